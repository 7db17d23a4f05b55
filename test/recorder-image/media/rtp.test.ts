import {
  isRtcp,
  isRtp,
  payloadEnd,
  payloadStart,
  payloadType,
  sequence,
  ssrc,
  timestamp,
} from '../../../recorder-image/src/media/rtp.ts';
import { rtcpPacket, rtpPacket } from './support.ts';

const payload = Buffer.from('voice');
const payloadOf = (packet: Buffer): string =>
  packet.toString('latin1', payloadStart(packet, packet.length), payloadEnd(packet, packet.length));

describe('the fields of an RTP packet', () => {
  it('are read up to their highest values', () => {
    const packet = rtpPacket({
      payloadType: 127,
      sequence: 0xffff,
      timestamp: 0xffff_fffe,
      ssrc: 0xdead_beef,
    });
    expect(isRtp(packet, packet.length)).toBe(true);
    expect(payloadType(packet)).toBe(127);
    expect(sequence(packet)).toBe(0xffff);
    expect(timestamp(packet)).toBe(0xffff_fffe);
    expect(ssrc(packet)).toBe(0xdead_beef);
  });

  it('leave the marker out of the payload type', () => {
    const packet = rtpPacket({ payloadType: 0x80 | 8 });
    expect(isRtp(packet, packet.length)).toBe(true);
    expect(payloadType(packet)).toBe(8);
  });
});

describe('the payload', () => {
  it.each([
    ['alone', {}],
    ['after a CSRC list', { csrcs: [1, 2, 3] }],
    ['after an empty extension', { extensionWords: 0 }],
    ['after an extension', { extensionWords: 2 }],
    ['before padding', { padding: 4 }],
    ['among all of them', { csrcs: [9], extensionWords: 1, padding: 3 }],
  ])('is found %s', (_, fields) => {
    const packet = rtpPacket({ ...fields, payload });
    expect(isRtp(packet, packet.length)).toBe(true);
    expect(payloadOf(packet)).toBe('voice');
  });

  it('may be empty', () => {
    const packet = rtpPacket({ padding: 2 });
    expect(isRtp(packet, packet.length)).toBe(true);
    expect(payloadOf(packet)).toBe('');
  });
});

describe('isRtp', () => {
  it('refuses every packet that is cut off before its payload', () => {
    const whole = rtpPacket({ csrcs: [1, 2], extensionWords: 3 });
    for (let length = 0; length < whole.length; length++) expect(isRtp(whole, length)).toBe(false);
    expect(isRtp(whole, whole.length)).toBe(true);
  });

  it('refuses padding of no bytes, and of more bytes than there are', () => {
    const tooLong = rtpPacket({ padding: 1, payload });
    tooLong[tooLong.length - 1] = 7;
    expect(isRtp(tooLong, tooLong.length)).toBe(false);
    const none = rtpPacket({ padding: 1 });
    none[none.length - 1] = 0;
    expect(payloadEnd(none, none.length)).toBe(none.length - 1);
  });

  it('refuses other versions, and RTCP', () => {
    const version1 = rtpPacket();
    version1[0] = 0x40;
    expect(isRtp(version1, version1.length)).toBe(false);
    expect(isRtp(rtcpPacket(), rtcpPacket().length)).toBe(false);
  });

  it('reads no further than the length it is told', () => {
    const reused = Buffer.concat([rtpPacket(), Buffer.from('left over from a longer packet')]);
    expect(isRtp(reused, 11)).toBe(false);
    expect(payloadEnd(reused, 12)).toBe(12);
  });
});

describe('isRtcp', () => {
  it('tells RTCP by the packet types of RFC 5761', () => {
    const isRtcpType = (type: number) => {
      const packet = rtcpPacket();
      packet[1] = type;
      return isRtcp(packet, packet.length);
    };
    const types = Array.from({ length: 256 }, (_, type) => type).filter(isRtcpType);
    expect([types[0], types.at(-1), types.length]).toEqual([192, 223, 32]);
  });

  it('refuses what is too short or of another version', () => {
    const packet = rtcpPacket();
    expect(isRtcp(packet, packet.length)).toBe(true);
    expect(isRtcp(packet, 7)).toBe(false);
    packet[0] = 0;
    expect(isRtcp(packet, packet.length)).toBe(false);
    expect(isRtcp(Buffer.alloc(0), 0)).toBe(false);
  });
});
