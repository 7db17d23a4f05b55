import {
  decryptJournalPackets,
  emptyDecryptionReport,
  type ProtectionPeriod,
} from '../../../recorder-image/src/media/decrypt-journal.ts';
import { JournalReader } from '../../../recorder-image/src/media/journal.ts';
import { SrtcpSender } from '../../../recorder-image/src/media/srtp.ts';
import type { SrtpKeying } from '../../../recorder-image/src/sdp/crypto.ts';
import { keyAndSaltOf, keyingOf, protectRtp, SUITES } from './srtp-support.ts';
import { type Arrival, EPOCH_MS, rtcpPacket, talk, useTemporaryDirectory, writeJournal } from './support.ts';

const inDirectory = useTemporaryDirectory();

const FIRST = keyingOf('AES_CM_128_HMAC_SHA1_80', 3);
const SECOND = keyingOf('AEAD_AES_256_GCM', 5);

/** An offer `atMs` after the start of the call. */
const period = (atMs: number, keying?: SrtpKeying): ProtectionPeriod => ({
  fromMs: EPOCH_MS + atMs,
  ...(keying && { keying }),
});

const protect = (arrivals: readonly Arrival[], keying: SrtpKeying, rollovers = 0): Arrival[] =>
  arrivals.map(({ packet, ...arrival }) => ({ ...arrival, packet: protectRtp(keying, packet, rollovers) }));

/** Writes the journal, and reads it as assembly does. */
function decrypt(arrivals: readonly Arrival[], periods: readonly ProtectionPeriod[]) {
  const path = inDirectory('journal');
  writeJournal(path, arrivals);
  const report = emptyDecryptionReport();
  const packets = Array.from(
    decryptJournalPackets(new JournalReader(path).packets(), periods, report),
    ({ arrivalMs, rtcp, packet }) => ({
      atMs: arrivalMs - EPOCH_MS,
      packet: Buffer.from(packet),
      ...(rtcp && { rtcp }),
    }),
  );
  return { packets, report };
}

describe('decryptJournalPackets', () => {
  it.each(SUITES)('gives what was sent under %s, RTCP too', (suite) => {
    const keying = keyingOf(suite, 3);
    const sent = talk({ seed: 1, packets: 100 });
    const srtcp = new SrtcpSender({ suite, keyAndSalt: keyAndSaltOf(keying) }).protect(rtcpPacket());
    const journal = [...protect(sent, keying), { atMs: 2000, packet: srtcp, rtcp: true }];
    const { packets, report } = decrypt(journal, [period(0, keying)]);
    expect(packets).toEqual([...sent, { atMs: 2000, packet: rtcpPacket(), rtcp: true }]);
    expect(report).toEqual(emptyDecryptionReport());
  });

  it('gives the same when the journal is read again', () => {
    const sent = talk({ seed: 1, packets: 20 });
    const path = inDirectory('journal');
    writeJournal(path, protect(sent, FIRST));
    for (let pass = 0; pass < 2; pass++) {
      const report = emptyDecryptionReport();
      const packets = decryptJournalPackets(new JournalReader(path).packets(), [period(0, FIRST)], report);
      expect(Array.from(packets, ({ packet }) => Buffer.from(packet))).toEqual(
        sent.map(({ packet }) => packet),
      );
      expect(report).toEqual(emptyDecryptionReport());
    }
  });

  it('counts, and leaves out, what is under no key, not encrypted, or there twice', () => {
    const sent = talk({ seed: 1, packets: 3 });
    const [first, second, third] = protect(sent, FIRST) as [Arrival, Arrival, Arrival];
    const journal = [
      first,
      ...protect(talk({ seed: 2, packets: 2, sequence: 50 }), keyingOf(FIRST.suite, 7)),
      second,
      ...talk({ seed: 3, packets: 4, sequence: 60 }),
      first,
      third,
      { atMs: 100, packet: rtcpPacket(), rtcp: true },
    ];
    const { packets, report } = decrypt(journal, [period(0, FIRST)]);
    expect(packets.map(({ packet }) => packet)).toEqual(sent.map(({ packet }) => packet));
    expect(report).toEqual({
      rtp: { unauthentic: 6, replayed: 1 },
      rtcp: { unauthentic: 1, replayed: 0 },
    });
  });

  it.each([900, 1000, 1500])('follows a change of key at 1000 ms that was offered at %d ms', (offerAtMs) => {
    const sent = talk({ seed: 1, packets: 100 });
    const isSecond = (index: number): boolean => index >= 50 && index !== 52 && index !== 55;
    const journal = sent.map(({ atMs, packet }, index) => ({
      atMs,
      packet: protectRtp(isSecond(index) ? SECOND : FIRST, packet),
    }));
    const { packets, report } = decrypt(journal, [period(0, FIRST), period(offerAtMs, SECOND)]);
    expect(packets).toEqual(sent);
    expect(report).toEqual(emptyDecryptionReport());
  });

  it.each([0, 3])(
    'follows a change of key of a sender whose rollover counter is %d after it',
    (rollovers) => {
      const before = talk({ seed: 1, packets: 10, sequence: 65_400 });
      const after = talk({
        seed: 1,
        packets: 10,
        atMs: 200,
        sequence: 65_410,
        sample: 1600,
        timestamp: 1600,
      });
      const changed = keyingOf(FIRST.suite, 9);
      const journal = [...protect(before, FIRST, 3), ...protect(after, changed, rollovers)];
      const { packets, report } = decrypt(journal, [period(0, FIRST), period(200, changed)]);
      expect(packets).toEqual([...before, ...after]);
      expect(report.rtp.unauthentic).toBe(0);
    },
  );

  it('goes on counting rollovers when an offer repeats the key', () => {
    const before = talk({ seed: 1, packets: 10, sequence: 65_526 });
    const after = talk({ seed: 1, packets: 10, atMs: 200, sequence: 0, timestamp: 1600 });
    const journal = [...protect(before, FIRST), ...protect(after, FIRST, 1), ...protect(before, FIRST)];
    const again = keyingOf(FIRST.suite, 3);
    const { packets, report } = decrypt(journal, [period(0, FIRST), period(200, again)]);
    expect(packets).toEqual([...before, ...after]);
    expect(report.rtp).toEqual({ unauthentic: 0, replayed: 10 });
  });

  it('takes packets that are not encrypted where the offer asks for none', () => {
    const encrypted = talk({ seed: 1, packets: 10 });
    const plain = talk({ seed: 1, packets: 10, atMs: 1000, sequence: 12, timestamp: 1760 });
    const late = talk({ seed: 1, packets: 1, atMs: 1010, sequence: 11, timestamp: 1600 });
    const journal = [...protect(encrypted, FIRST), ...plain.slice(0, 1), ...protect(late, FIRST)].concat(
      plain.slice(1),
    );
    const { packets, report } = decrypt(journal, [period(0, FIRST), period(1000)]);
    expect(packets).toEqual([...encrypted, ...plain.slice(0, 1), ...late, ...plain.slice(1)]);
    expect(report).toEqual(emptyDecryptionReport());
  });

  it('takes plain packets after an offer to encrypt until the SRC can have its answer, and no longer', () => {
    const plain = talk({ seed: 1, packets: 60 });
    const encrypted = talk({ seed: 1, packets: 60, atMs: 1200, sequence: 61, timestamp: 9600 });
    const stray = talk({ seed: 1, packets: 1, atMs: 3100, sequence: 200, timestamp: 40_000 });
    const { packets, report } = decrypt(
      [...plain, ...protect(encrypted, SECOND), ...stray],
      [period(0), period(1000, SECOND)],
    );
    expect(packets).toEqual([...plain, ...encrypted]);
    expect(report.rtp).toEqual({ unauthentic: 1, replayed: 0 });
  });
});
