import { readOffer, SdpError, streamLabels } from '../../../recorder-image/src/sdp/offer.ts';
import { sdpFixture } from '../../fixtures/load.ts';
import { mutations } from '../../fixtures/mutate.ts';

const DUAL = sdpFixture('broadworks-dual');

const session = 'v=0\r\no=- 1 1 IN IP4 192.0.2.20\r\ns=-\r\nc=IN IP4 192.0.2.21\r\nt=0 0\r\n';
const onlyMLine = (text: string) => {
  const { mLines } = readOffer(text);
  expect(mLines.length).toBe(1);
  return mLines[0];
};

describe('readOffer', () => {
  it('reads a BroadWorks offer of two streams', () => {
    const offer = readOffer(DUAL);
    expect(offer.origin).toEqual({
      username: 'BroadWorks',
      sessionId: '2855165',
      version: '1',
      address: '192.0.2.20',
    });
    expect(offer.timing).toEqual({ start: 0, stop: 0 });
    expect(offer.mLines.map(({ label }) => label)).toEqual(['1', '2']);
    expect(offer.mLines[1]).toEqual({
      index: 1,
      media: 'audio',
      port: 21002,
      protocol: 'RTP/AVP',
      formats: ['0', '8', '18', '101'],
      payloadTypes: [
        { payloadType: 0, encoding: 'PCMU', clockRate: 8000 },
        { payloadType: 8, encoding: 'PCMA', clockRate: 8000 },
        { payloadType: 18, encoding: 'G729', clockRate: 8000, fmtp: 'annexb=no' },
        { payloadType: 101, encoding: 'telephone-event', clockRate: 8000, fmtp: '0-15' },
      ],
      direction: 'sendonly',
      label: '2',
      connectionAddress: '192.0.2.21',
      held: false,
      rtcpPort: 21003,
      rtcpMux: false,
      ptimeMs: 20,
    });
  });

  it('reads the same from bare LF, trailing blanks, odd blanks and unknown lines', () => {
    const untidy = DUAL.replaceAll('\r\n', ' \t\n')
      .replaceAll('m=audio ', 'm=audio  ')
      .replaceAll('a=rtpmap:', 'a=rtpmap: ')
      .replaceAll('a=ptime', 'a=candidate:1 1 UDP 1 192.0.2.1 1 typ host\ny=?\nnonsense\na=ptime');
    expect(readOffer(untidy)).toEqual(readOffer(DUAL));
  });

  it('needs no o=, s=, c= and t= lines', () => {
    expect(readOffer('v=0\nm=audio 4000 RTP/AVP 0\n')).toEqual({
      timing: { start: 0, stop: 0 },
      mLines: [
        {
          index: 0,
          media: 'audio',
          port: 4000,
          protocol: 'RTP/AVP',
          formats: ['0'],
          payloadTypes: [{ payloadType: 0, encoding: 'PCMU', clockRate: 8000 }],
          direction: 'sendrecv',
          held: false,
          rtcpPort: 4001,
          rtcpMux: false,
        },
      ],
    });
  });

  it('knows the static payload types without rtpmap, and lets rtpmap overrule them', () => {
    const mLine = onlyMLine(`${session}m=audio 4000 RTP/AVP 0 8 9 18 96 97\r\na=rtpmap:96 opus/48000/2\r\n`);
    expect(mLine?.payloadTypes).toEqual([
      { payloadType: 0, encoding: 'PCMU', clockRate: 8000 },
      { payloadType: 8, encoding: 'PCMA', clockRate: 8000 },
      { payloadType: 9, encoding: 'G722', clockRate: 8000 },
      { payloadType: 18, encoding: 'G729', clockRate: 8000 },
      { payloadType: 96, encoding: 'opus', clockRate: 48000, channels: 2 },
    ]);
    expect(onlyMLine(`${session}m=audio 4000 RTP/AVP 0\r\na=rtpmap:0 PCMA/8000\r\n`)?.payloadTypes).toEqual([
      { payloadType: 0, encoding: 'PCMA', clockRate: 8000 },
    ]);
  });

  it('takes the direction of the session for an m-line without one', () => {
    const offer = readOffer(
      `${session}a=inactive\r\nm=audio 1 RTP/AVP 0\r\nm=audio 3 RTP/AVP 0\r\na=sendonly\r\n`,
    );
    expect(offer.mLines.map(({ direction }) => direction)).toEqual(['inactive', 'sendonly']);
  });

  it.each([
    ['IN IP4 0.0.0.0', '0.0.0.0', true],
    ['IN IP6 ::', '::', true],
    ['IN IP6 2001:db8::1', '2001:db8::1', false],
    ['IN IP4 233.252.0.1/127', '233.252.0.1', false],
  ])('reads the connection of the media, %s', (connection, address, held) => {
    const mLine = onlyMLine(`${session}m=audio 4000 RTP/AVP 0\r\nc=${connection}\r\n`);
    expect(mLine).toMatchObject({ connectionAddress: address, held });
  });

  it('reads the RTCP port', () => {
    expect(onlyMLine(`${session}m=audio 4000 RTP/AVP 0\r\na=rtcp:4700\r\na=rtcp-mux\r\n`)).toMatchObject({
      rtcpPort: 4700,
      rtcpMux: true,
    });
  });

  it('keeps the formats of an m-line that is not RTP', () => {
    expect(onlyMLine(`${session}m=application 9 UDP/BFCP *\r\n`)).toMatchObject({
      formats: ['*'],
      payloadTypes: [],
    });
  });

  it.each([
    ['', 'SDP: no v= line'],
    ['m=audio 4000 RTP/AVP 0', 'SDP: no v= line: m=audio 4000 RTP/AVP 0'],
    [session, 'SDP: no m= line'],
    [`${session}m=audio`, 'SDP: m-line cannot be read: m=audio'],
    [`${session}m=audio 70000 RTP/AVP 0`, 'SDP: m-line cannot be read: m=audio 70000 RTP/AVP 0'],
    [`${session}m=audio x RTP/AVP 0`, 'SDP: m-line cannot be read: m=audio x RTP/AVP 0'],
    [`${session}${'m=audio 6000 RTP/AVP 0\r\n'.repeat(65)}`, 'SDP: 65 m= lines, no more than 64 are read'],
  ])('refuses %j', (text, message) => {
    expect(() => readOffer(text)).toThrow(new SdpError(message.replace('SDP: ', '')));
  });

  it('names the offending line in the error', () => {
    const read = () => readOffer(`${session}m=audio zero RTP/AVP 0\r\n`);
    expect(read).toThrow(SdpError);
    expect(read).toThrow(expect.objectContaining({ line: 'm=audio zero RTP/AVP 0' }));
  });

  it('lets only SdpError escape, whatever the damage', () => {
    const seeds = [
      DUAL,
      sdpFixture('broadworks-single'),
      `${session}m=audio 0 RTP/AVPF 96\r\na=rtpmap:96 opus/48000/2\r\n`,
    ];
    let read = 0;
    let refused = 0;
    for (const input of mutations(
      seeds.map((seed) => Buffer.from(seed)),
      2,
    )) {
      try {
        expect(readOffer(input.toString()).mLines.length).toBeGreaterThan(0);
        read += 1;
      } catch (error) {
        expect(error).toBeInstanceOf(SdpError);
        refused += 1;
      }
      if (read + refused === 5000) break;
    }
    expect(read).toBeGreaterThan(1000);
    expect(refused).toBeGreaterThan(100);
  });
});

describe('readOffer of SDES keys', () => {
  const key = (fill: number): string => Buffer.alloc(30, fill).toString('base64');
  const line = (tag: number): string => `a=crypto:${tag} AES_CM_128_HMAC_SHA1_80 inline:${key(tag)}`;

  it('reads the lines of each m-line, and none of the session', () => {
    const { mLines } = readOffer(
      [
        `${session}${line(9)}`,
        'm=audio 4000 RTP/SAVP 0',
        line(1),
        line(2),
        'm=audio 4002 RTP/AVP 0',
        'm=audio 4004 RTP/SAVPF 0',
        'a=crypto : 3  AES_CM_128_HMAC_SHA1_80\tnothing ',
        line(4),
        '',
      ].join('\r\n'),
    );
    expect(mLines.map(({ crypto }) => crypto?.usable.map(({ tag }) => tag))).toEqual([
      [1, 2],
      undefined,
      [4],
    ]);
    expect(mLines.map(({ crypto }) => crypto?.warnings)).toEqual([
      [],
      undefined,
      ['a=crypto:3 ignored: no inline key'],
    ]);
  });

  it('reads all session parameters, not just the first', () => {
    const offer = `${session}m=audio 4000 RTP/SAVP 0\r\n${line(1)} KDR=0 UNENCRYPTED_SRTP\r\n`;
    expect(onlyMLine(offer)?.crypto?.usable).toEqual([]);
  });

  it('has no key in its error', () => {
    for (const text of [
      `${line(1)}\r\nm=audio 4000 RTP/SAVP 0`,
      `v=0\r\n${line(1)}`,
      `v=0\r\nm=audio\r\n${line(1)}`,
    ])
      expect(() => readOffer(text)).toThrow(
        expect.not.objectContaining({ message: expect.stringContaining(key(1)) }),
      );
  });
});

describe('streamLabels', () => {
  it('gives every m-line a label of its own', () => {
    const { mLines } = readOffer(
      `${session}m=audio 1 RTP/AVP 0\r\na=label:7\r\nm=audio 3 RTP/AVP 0\r\nm=audio 5 RTP/AVP 0\r\na=label:7\r\n`,
    );
    expect(streamLabels(mLines)).toEqual(['7', 'm1', 'm2']);
  });
});
