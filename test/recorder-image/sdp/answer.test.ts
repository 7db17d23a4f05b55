import * as sdpTransform from 'sdp-transform';
import { type AnswerStream, writeAnswer } from '../../../recorder-image/src/sdp/answer.ts';
import { chooseCodec } from '../../../recorder-image/src/sdp/codecs.ts';
import { type AnswerCrypto, answerCrypto, chooseCrypto } from '../../../recorder-image/src/sdp/crypto.ts';
import { readOffer, type SdpOffer } from '../../../recorder-image/src/sdp/offer.ts';
import { sdpFixture } from '../../fixtures/load.ts';
import { mutations } from '../../fixtures/mutate.ts';

const options = { address: '192.0.2.10', sessionId: '1234', version: 1 };
const session = 'v=0\r\no=- 1 1 IN IP4 192.0.2.20\r\ns=-\r\nc=IN IP4 192.0.2.21\r\nt=0 0\r\n';

/** Every m-line with a recordable codec, on ports from 30000 on. */
function streamsFor({ mLines }: SdpOffer): Map<number, AnswerStream> {
  const streams = new Map<number, AnswerStream>();
  for (const mLine of mLines) {
    const payloadTypes = chooseCodec(mLine);
    if (payloadTypes) streams.set(mLine.index, { port: 30000 + 2 * mLine.index, payloadTypes });
  }
  return streams;
}

const answerTo = (text: string, changes: Partial<typeof options> = {}) => {
  const offer = readOffer(text);
  return writeAnswer(offer, { ...options, ...changes, streams: streamsFor(offer) });
};

describe('writeAnswer', () => {
  it('answers a BroadWorks offer of two streams', () => {
    const media = (port: number, label: number) => [
      `m=audio ${port} RTP/AVP 0 8 18 101`,
      'a=rtpmap:0 PCMU/8000',
      'a=rtpmap:8 PCMA/8000',
      'a=rtpmap:18 G729/8000',
      'a=rtpmap:101 telephone-event/8000',
      'a=fmtp:18 annexb=no',
      'a=fmtp:101 0-15',
      'a=recvonly',
      `a=label:${label}`,
    ];
    expect(answerTo(sdpFixture('broadworks-dual')).split('\r\n')).toEqual([
      'v=0',
      'o=- 1234 1 IN IP4 192.0.2.10',
      's=-',
      'c=IN IP4 192.0.2.10',
      't=0 0',
      ...media(30000, 1),
      ...media(30002, 2),
      '',
    ]);
  });

  it('answers over IPv6', () => {
    const lines = answerTo(sdpFixture('broadworks-single'), { address: '2001:db8::10', version: 2 }).split(
      '\r\n',
    );
    expect(lines).toContain('o=- 1234 2 IN IP6 2001:db8::10');
    expect(lines).toContain('c=IN IP6 2001:db8::10');
  });

  it.each([
    ['sendonly', 'recvonly'],
    ['sendrecv', 'recvonly'],
    ['recvonly', 'inactive'],
    ['inactive', 'inactive'],
  ])('answers %s with %s', (offered, answered) => {
    const answer = answerTo(`${session}m=audio 4000 RTP/AVP 0\r\na=${offered}\r\n`);
    expect(sdpTransform.parse(answer).media[0]?.direction).toBe(answered);
  });

  it('answers an m-line without direction with recvonly', () => {
    expect(answerTo(`${session}m=audio 4000 RTP/AVP 0\r\n`)).toContain('a=recvonly\r\n');
  });

  it('keeps number and order of the m-lines, and refuses with port 0', () => {
    const answer = answerTo(
      [
        `${session}m=video 5000 RTP/AVP 99`,
        'a=rtpmap:99 H264/90000',
        'm=audio 4000 RTP/AVPF 15 8',
        'a=label:x',
        'm=audio 0 RTP/AVP 0',
        'm=audio 4004 RTP/SAVP 0',
        'm=audio 4006 RTP/AVP 15',
        'm=application 9 UDP/BFCP *',
        'm=audio 4008 RTP/AVP',
        '',
      ].join('\r\n'),
    );
    expect(answer.split('\r\n').filter((line) => line.startsWith('m='))).toEqual([
      'm=video 0 RTP/AVP 99',
      'm=audio 30002 RTP/AVPF 8',
      'm=audio 0 RTP/AVP 0',
      'm=audio 0 RTP/SAVP 0',
      'm=audio 0 RTP/AVP 15',
      'm=application 0 UDP/BFCP *',
      'm=audio 0 RTP/AVP 0',
    ]);
    expect(answer).toContain('a=label:x\r\n');
  });

  it('puts what the caller chose first, in its order', () => {
    const offer = readOffer(sdpFixture('broadworks-single'));
    const [pcmu, pcma] = offer.mLines[0]?.payloadTypes ?? [];
    if (!pcmu || !pcma) throw new Error('the fixture offers both');
    const answer = writeAnswer(offer, {
      ...options,
      streams: new Map([[0, { port: 30000, payloadTypes: [pcma, pcmu] }]]),
    });
    expect(answer).toContain('m=audio 30000 RTP/AVP 8 0 101\r\n');
  });

  it('keeps only the telephone events of a chosen clock rate', () => {
    const answer = answerTo(
      `${session}m=audio 4000 RTP/AVP 0 101 102\r\na=rtpmap:101 telephone-event/48000\r\na=rtpmap:102 telephone-event/8000\r\n`,
    );
    expect(answer).toContain('m=audio 30000 RTP/AVP 0 102\r\n');
  });

  it('repeats t= of the offer', () => {
    expect(
      answerTo(`${session}m=audio 4000 RTP/AVP 0\r\n`.replace('t=0 0', 't=3900000000 3900003600')),
    ).toContain('t=3900000000 3900003600\r\n');
  });

  it('answers every offer that can be read, with the same m-lines', () => {
    const seeds = [sdpFixture('broadworks-dual'), sdpFixture('broadworks-single')].map((seed) =>
      Buffer.from(seed),
    );
    let answered = 0;
    for (const input of mutations(seeds, 3)) {
      let offer: SdpOffer;
      try {
        offer = readOffer(input.toString());
      } catch {
        continue;
      }
      const answer = readOffer(writeAnswer(offer, { ...options, streams: streamsFor(offer) }));
      expect(answer.mLines.map(({ media, protocol }) => [media, protocol])).toEqual(
        offer.mLines.map(({ media, protocol }) => [media, protocol]),
      );
      answered += 1;
      if (answered === 2000) break;
    }
  });
});

describe('writeAnswer to RTP/SAVP', () => {
  const KEY = Buffer.alloc(30, 0x5a).toString('base64');
  const OTHER_KEY = Buffer.alloc(30, 0x3c).toString('base64');
  const crypto = (tag: number, key: string) => `a=crypto:${tag} AES_CM_128_HMAC_SHA1_80 inline:${key}|2^20`;

  /** Answers as a recording session does: an m-line keeps its own key from one answer to the next. */
  const recordingSession = () => {
    const own = new Map<number, AnswerCrypto>();
    return (...lines: string[]): string => {
      const offer = readOffer(`${session}${lines.join('\r\n')}\r\n`);
      const streams = streamsFor(offer);
      for (const mLine of offer.mLines) {
        const chosen = chooseCrypto(mLine);
        const stream = streams.get(mLine.index);
        if (!chosen || !stream) continue;
        const answered = answerCrypto(chosen, own.get(mLine.index));
        own.set(mLine.index, answered);
        stream.crypto = answered;
      }
      return writeAnswer(offer, { ...options, streams });
    };
  };
  const linesOf = (answer: string, start: string): string[] =>
    answer.split('\r\n').filter((line) => line.startsWith(start));

  it.each(['RTP/SAVP', 'RTP/SAVPF'])(
    'takes %s with a key of its own under the tag of the offer',
    (protocol) => {
      const answer = recordingSession()(
        `m=audio 4000 ${protocol} 0`,
        'a=crypto:1 F8_128_HMAC_SHA1_80 inline:AAAA',
        crypto(2, KEY),
        crypto(3, OTHER_KEY),
      );
      expect(linesOf(answer, 'm=')).toEqual([`m=audio 30000 ${protocol} 0`]);
      expect(linesOf(answer, 'a=crypto')).toEqual([
        expect.stringMatching(/^a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:[A-Za-z0-9+/]{40}$/),
      ]);
      expect(answer).not.toContain(KEY);
    },
  );

  it('refuses RTP/SAVP without a usable key, and leaves RTP/AVP in the clear', () => {
    const answer = recordingSession()(
      'm=audio 4000 RTP/SAVP 0',
      'm=audio 4002 RTP/SAVP 0',
      `${crypto(1, KEY)} UNENCRYPTED_SRTP`,
      'm=audio 4004 RTP/AVP 0',
      crypto(1, KEY),
    );
    expect(linesOf(answer, 'm=')).toEqual([
      'm=audio 0 RTP/SAVP 0',
      'm=audio 0 RTP/SAVP 0',
      'm=audio 30004 RTP/AVP 0',
    ]);
    expect(linesOf(answer, 'a=crypto')).toEqual([]);
  });

  it('gives each stream a key of its own', () => {
    const answer = recordingSession()(
      'm=audio 4000 RTP/SAVP 0',
      crypto(1, KEY),
      'm=audio 4002 RTP/SAVP 0',
      crypto(1, OTHER_KEY),
    );
    expect(new Set(linesOf(answer, 'a=crypto')).size).toBe(2);
  });

  it('stays the same when the SRC changes its key, and loses its key when the stream becomes RTP/AVP', () => {
    const answer = recordingSession();
    const first = answer('m=audio 4000 RTP/SAVP 0', crypto(1, KEY));
    expect(answer('m=audio 4000 RTP/SAVP 0', crypto(1, OTHER_KEY))).toBe(first);
    const plain = answer('m=audio 4000 RTP/AVP 0', crypto(1, OTHER_KEY));
    expect(linesOf(plain, 'm=')).toEqual(['m=audio 30000 RTP/AVP 0']);
    expect(linesOf(plain, 'a=crypto')).toEqual([]);
    expect(answer('m=audio 4000 RTP/SAVP 0', crypto(2, KEY))).toBe(first.replace('a=crypto:1', 'a=crypto:2'));
  });
});
