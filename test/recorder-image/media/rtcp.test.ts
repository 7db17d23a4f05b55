import { readRtcp, writeReceiverReport } from '../../../recorder-image/src/media/rtcp.ts';
import { rtcp, rtcpBye, senderReport } from './support.ts';

describe('readRtcp', () => {
  it('finds sender reports and all sources of a BYE in a compound packet', () => {
    const compound = Buffer.concat([
      senderReport(7, 0xaaaa_bbbb),
      rtcp(202, 1, 7, 0x0101_6100),
      rtcpBye(7, 8),
    ]);
    expect([...readRtcp(compound)]).toEqual([
      {
        type: 'sender-report',
        ssrc: 7,
        ntpMiddle: 0xaaaa_bbbb,
        ntpSeconds: 0xe1e2_aaaa + 0xbbbb / 0x1_0000,
        rtpTimestamp: 0,
      },
      { type: 'cname', ssrc: 7, cname: 'a' },
      { type: 'bye', ssrc: 7 },
      { type: 'bye', ssrc: 8 },
    ]);
  });

  it('reads the names of all sources, whatever else is said of them', () => {
    const name = Buffer.from([0, 0, 0, 7, 2, 1, 0x78, 1, 3, 0x61, 0x62, 0x63, 0, 0, 0, 0]);
    const words = [...name, ...Buffer.from([0, 0, 0, 8, 1, 1, 0x64, 0])];
    const packet = Buffer.concat([Buffer.from([0x82, 202, 0, words.length / 4]), Buffer.from(words)]);
    expect([...readRtcp(packet)]).toEqual([
      { type: 'cname', ssrc: 7, cname: 'abc' },
      { type: 'cname', ssrc: 8, cname: 'd' },
    ]);
    packet.writeUInt8(200, 4 + 8); // a length that reaches beyond the packet
    expect([...readRtcp(packet)]).toEqual([]);
  });

  it('reads up to where a packet is no longer well formed', () => {
    const whole = Buffer.concat([senderReport(7, 0xaaaa_bbbb), rtcpBye(7)]);
    for (let length = 0; length < whole.length; length++)
      expect([...readRtcp(whole.subarray(0, length))]).toHaveLength(length < 28 ? 0 : 1);
    expect([...readRtcp(rtcp(203, 31, 7))]).toEqual([{ type: 'bye', ssrc: 7 }]);
    expect([...readRtcp(Buffer.concat([Buffer.from([0x40, 203, 0, 1, 0, 0, 0, 7])]))]).toEqual([]);
    expect([...readRtcp(rtcp(200, 0, 7))]).toEqual([]);
  });
});

describe('writeReceiverReport', () => {
  it('is a report with its blocks, and a description with the name', () => {
    const block = {
      ssrc: 0xdead_beef,
      fractionLost: 12,
      cumulativeLost: -2,
      extendedHighestSequence: 0x1_0002,
      jitter: 345,
      lastSenderReport: 0xaaaa_bbbb,
      delaySinceLastSenderReport: 65_536,
    };
    const packet = writeReceiverReport(0x0102_0304, 'abcde', [block]);
    expect(packet.toString('hex')).toBe(
      '81c90007 01020304 deadbeef 0cfffffe 00010002 00000159 aaaabbbb 00010000'
        .concat('81ca0003 01020304 01056162 63646500')
        .replaceAll(' ', ''),
    );
  });

  it.each(['a', 'ab', 'abc', 'abcd'])('ends at a word after a name as long as %s', (name) => {
    const packet = writeReceiverReport(1, name, []);
    expect(packet.length % 4).toBe(0);
    expect(packet.subarray(0, 8).toString('hex')).toBe('80c9000100000001');
    expect(packet.readUInt16BE(10)).toBe((packet.length - 8) / 4 - 1);
    expect(packet.toString('latin1', 18, 18 + name.length)).toBe(name);
    expect(packet.at(-1)).toBe(0);
  });
});
