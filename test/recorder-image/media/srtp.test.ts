import { createSecretKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads';
import { SrtcpSender, SrtpReceiver } from '../../../recorder-image/src/media/srtp.ts';
import { deriveSessionKeys, SRTP_TRANSFORMS } from '../../../recorder-image/src/media/srtp-transform.ts';
import type { SrtpKeying, SrtpSuite } from '../../../recorder-image/src/sdp/crypto.ts';
import { keyAndSaltOf, keyingOf, protectRtp, SUITES } from './srtp-support.ts';
import { rtcpPacket, rtpPacket, speech } from './support.ts';

const [SUITE] = SUITES as [SrtpSuite, ...SrtpSuite[]];
const keying = keyingOf(SUITE, 3);

const voice = (sequence: number, ssrc = 0x1234) =>
  rtpPacket({ sequence, ssrc, timestamp: 160 * sequence, payload: speech(1, 160 * sequence, 160) });

/** What the receiver makes of a packet, and of a copy, so that the packet can come again. */
const receive = (receiver: SrtpReceiver, packet: Buffer, rtcp = false) =>
  receiver.unprotect(Buffer.from(packet), rtcp);

describe('SrtpReceiver and libsrtp', () => {
  interface Sender {
    suite: SrtpSuite;
    keyAndSalt: string;
    mki: string;
    packets: { protocol: 'rtp' | 'rtcp'; plain: string; protected: string }[];
  }
  const file = new URL('../../fixtures/srtp/libsrtp.json', import.meta.url);
  const { senders } = JSON.parse(readFileSync(file, 'utf8')) as { senders: Sender[] };
  const masterKeyOf = ({ keyAndSalt, mki }: Sender) => ({
    keyAndSalt: createSecretKey(Buffer.from(keyAndSalt, 'hex')),
    ...(mki !== '' && { mki: Buffer.from(mki, 'hex') }),
  });

  it.each(senders)('decrypt: $suite, MKI "$mki", across a rollover', (sender) => {
    const { suite, packets } = sender;
    const receiver = new SrtpReceiver({ suite, masterKeys: [masterKeyOf(sender)], keyDerivationRateBits: 0 });
    const decrypted = packets.map(({ protocol, protected: hex }) => {
      const result = receiver.unprotect(Buffer.from(hex, 'hex'), protocol === 'rtcp');
      return typeof result === 'string' ? result : Buffer.from(result).toString('hex');
    });
    expect(decrypted).toEqual(packets.map(({ plain }) => plain));
  });

  it.each(senders.filter(({ mki }) => mki === ''))('protect RTCP alike: $suite', (sender) => {
    const srtcp = new SrtcpSender({ suite: sender.suite, ...masterKeyOf(sender) }, 0);
    srtcp.protect(rtcpPacket()); // libsrtp counts from 1
    const packets = sender.packets.filter(({ protocol }) => protocol === 'rtcp');
    expect(packets.map(({ plain }) => srtcp.protect(Buffer.from(plain, 'hex')).toString('hex'))).toEqual(
      packets.map((packet) => packet.protected),
    );
  });
});

describe.each(SUITES)('SrtpReceiver with %s', (suite) => {
  const keys = keyingOf(suite, 3);

  it('decrypts in place, with CSRCs, header extension and padding', () => {
    const plain = rtpPacket({ csrcs: [1, 2], extensionWords: 3, padding: 8, payload: speech(1, 0, 160) });
    const packet = protectRtp(keys, plain);
    const result = new SrtpReceiver(keys).unprotect(packet, false);
    expect(result).toEqual(plain);
    expect((result as Buffer).buffer).toBe(packet.buffer);
  });

  it('rejects a packet with any byte changed, or cut short, and leaves it as it was', () => {
    const packet = protectRtp(keys, voice(7));
    const receiver = new SrtpReceiver(keys);
    for (const at of packet.keys()) {
      const changed = Buffer.from(packet);
      changed[at] = (changed[at] as number) ^ 0x10;
      const copy = Buffer.from(changed);
      expect(receiver.unprotect(changed, false)).toBe('unauthentic');
      expect(changed).toEqual(copy);
      expect(receive(receiver, packet.subarray(0, at))).toBe('unauthentic');
    }
    expect(receive(receiver, packet)).toEqual(voice(7));
  });

  it('rejects what is under another key, or not encrypted at all', () => {
    const receiver = new SrtpReceiver(keyingOf(suite, 5));
    expect(receive(receiver, protectRtp(keys, voice(7)))).toBe('unauthentic');
    expect(receive(receiver, voice(7))).toBe('unauthentic');
    expect(receive(receiver, rtcpPacket(), true)).toBe('unauthentic');
  });

  it('takes RTCP once, and rejects it with any byte changed, or cut short', () => {
    const sender = new SrtcpSender({ suite, keyAndSalt: keyAndSaltOf(keys) });
    const report = Buffer.concat([rtcpPacket(), Buffer.from('81cb00010000123400000000', 'hex')]);
    const [first, second] = [sender.protect(report), sender.protect(report)];
    expect(first).not.toEqual(second);
    const receiver = new SrtpReceiver(keys);
    for (const at of first.keys()) {
      const changed = Buffer.from(first);
      changed[at] = (changed[at] as number) ^ 0x01;
      expect(receive(receiver, changed, true)).toBe('unauthentic');
      expect(receive(receiver, first.subarray(0, at), true)).toBe('unauthentic');
    }
    expect(receive(receiver, second, true)).toEqual(report);
    expect(receive(receiver, first, true)).toEqual(report);
    expect(receive(receiver, first, true)).toBe('replayed');
  });

  it('takes RTCP that is authenticated only', () => {
    const { tagBytes, tagFollowsCiphertext, seal } = SRTP_TRANSFORMS[suite];
    const report = Buffer.from('81cb00010000123400000000', 'hex');
    const indexWord = Buffer.from('00000005', 'hex');
    const context = {
      keys: deriveSessionKeys(suite, keyAndSaltOf(keys), 'rtcp'),
      ssrc: 0x1234,
      index: 5,
      before: report,
      after: indexWord,
      tagBytes: tagBytes.rtcp,
    };
    const { tag } = seal(context, Buffer.alloc(0));
    const packet = Buffer.concat([report, ...(tagFollowsCiphertext ? [tag, indexWord] : [indexWord, tag])]);
    expect(receive(new SrtpReceiver(keys), packet, true)).toEqual(report);
    packet[9] = 1;
    expect(receive(new SrtpReceiver(keys), packet, true)).toBe('unauthentic');
  });

  it('derives new session keys at the rate that the offer told', () => {
    const rated: SrtpKeying = { ...keys, keyDerivationRateBits: 2 };
    const receiver = new SrtpReceiver(rated);
    const sequences = [1, 2, 3, 4, 7, 5, 8, 6, 900, 9];
    for (const sequence of sequences)
      expect(receive(receiver, protectRtp(rated, voice(sequence)))).toEqual(voice(sequence));
    expect(protectRtp(rated, voice(9))).not.toEqual(protectRtp(keys, voice(9)));
  });

  it('tells keys apart by their MKI, and goes on counting when the key changes', () => {
    const [before, after] = [
      keyingOf(suite, 7, Buffer.from([0, 1])),
      keyingOf(suite, 9, Buffer.from([1, 0])),
    ];
    const both: SrtpKeying = { ...before, masterKeys: [...before.masterKeys, ...after.masterKeys] };
    const receiver = new SrtpReceiver(both);
    expect(receive(receiver, protectRtp(before, voice(65_535)))).toEqual(voice(65_535));
    expect(receive(receiver, protectRtp(after, voice(1), 1))).toEqual(voice(1));
    expect(receive(receiver, protectRtp(before, voice(0), 1))).toEqual(voice(0));
    const unknown = keyingOf(suite, 7, Buffer.from([1, 1]));
    expect(receive(receiver, protectRtp(unknown, voice(2), 1))).toBe('unauthentic');
  });
});

describe('SrtpReceiver', () => {
  it('follows rollovers, with late packets on both sides', () => {
    const receiver = new SrtpReceiver(keying);
    const order: [number, number][] = [
      [65_500, 0],
      [65_534, 0],
      [1, 1],
      [65_533, 0],
      [0, 1],
      [65_535, 0],
      [30_000, 1],
      [60_000, 1],
      [2, 2],
      [65_535, 1],
    ];
    for (const [sequence, rollovers] of order)
      expect(receive(receiver, protectRtp(keying, voice(sequence), rollovers))).toEqual(voice(sequence));
  });

  it('begins in the middle of a stream', () => {
    const receiver = new SrtpReceiver(keying);
    expect(receive(receiver, protectRtp(keying, voice(2), 17))).toEqual(voice(2));
    expect(receive(receiver, protectRtp(keying, voice(65_535), 16))).toEqual(voice(65_535));
    expect(receive(receiver, protectRtp(keying, voice(3), 17))).toEqual(voice(3));
  });

  it('finds a stream again after more than half a turn of sequence numbers', () => {
    const receiver = new SrtpReceiver(keying);
    expect(receive(receiver, protectRtp(keying, voice(100)))).toEqual(voice(100));
    expect(receive(receiver, protectRtp(keying, voice(40_000)))).toEqual(voice(40_000));
    expect(receive(receiver, protectRtp(keying, voice(39_000), 1))).toEqual(voice(39_000));
  });

  it('begins in the middle also after many foreign packets, if not at once', () => {
    const receiver = new SrtpReceiver(keying);
    for (let sequence = 0; sequence < 100; sequence++)
      expect(receive(receiver, voice(sequence, 0x9999))).toBe('unauthentic');
    const results = Array.from({ length: 70 }, (_, sequence) =>
      receive(receiver, protectRtp(keying, voice(sequence), 5)),
    );
    const firstKnown = results.findIndex((result) => result !== 'unauthentic');
    expect(firstKnown).toBeLessThan(64);
    expect(results.slice(firstKnown)).toEqual(
      Array.from({ length: 70 - firstKnown }, (_, index) => voice(firstKnown + index)),
    );
  });

  it('rejects what was seen, or is too old to tell, and takes what is late', () => {
    const receiver = new SrtpReceiver(keying);
    const packets = [10, 1500].map((sequence) => protectRtp(keying, voice(sequence)));
    for (const packet of packets) expect(typeof receive(receiver, packet)).not.toBe('string');
    for (const packet of packets) expect(receive(receiver, packet)).toBe('replayed');
    expect(receive(receiver, protectRtp(keying, voice(476)))).toBe('replayed');
    expect(receive(receiver, protectRtp(keying, voice(477)))).toEqual(voice(477));
    expect(receive(receiver, protectRtp(keying, voice(477)))).toBe('replayed');
  });

  it('keeps SSRCs apart', () => {
    const receiver = new SrtpReceiver(keying);
    expect(receive(receiver, protectRtp(keying, voice(65_535, 1)))).toEqual(voice(65_535, 1));
    expect(receive(receiver, protectRtp(keying, voice(0, 1), 1))).toEqual(voice(0, 1));
    expect(receive(receiver, protectRtp(keying, voice(0, 2)))).toEqual(voice(0, 2));
  });

  it('works with a keying that was posted to a thread', () => {
    const { port1, port2 } = new MessageChannel();
    port1.postMessage(keyingOf(SUITE, 3, Buffer.from([9])));
    const posted = receiveMessageOnPort(port2)?.message as SrtpKeying;
    port1.close();
    const packet = protectRtp(keyingOf(SUITE, 3, Buffer.from([9])), voice(1));
    expect(receive(new SrtpReceiver(posted), packet)).toEqual(voice(1));
  });
});
