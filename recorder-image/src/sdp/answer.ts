/** The answer of a recorder to an SDP offer: RFC 3264 section 6 with the rules of RFC 7866 sections 7.2 and 8.3. */
import { isIPv6 } from 'node:net';
import * as sdpTransform from 'sdp-transform';
import { isTelephoneEvent } from './codecs.ts';
import { type AnswerCrypto, isSecure, toCryptoLine } from './crypto.ts';
import type { MediaDirection, MLine, PayloadType, SdpOffer } from './offer.ts';

export interface AnswerStream {
  /** The even local port that receives RTP; RTCP is received at the next. */
  port: number;
  /** What the recorder takes, in its order of preference: a choice from the m-line's own payload types. */
  payloadTypes: readonly PayloadType[];
  /** Of RTP/SAVP(F) only, and there needed: without it the m-line is refused. */
  crypto?: AnswerCrypto;
}

export interface AnswerOptions {
  /** Where media is received, IPv4 or IPv6. */
  address: string;
  /** Of the `o=` line: digits, the same for the whole recording session. */
  sessionId: string;
  /** Of the `o=` line: grows by one with every changed answer, and only then (RFC 3264 section 8). */
  version: number;
  /** The streams to record, by index of the m-line; all others are refused with port 0. */
  streams: ReadonlyMap<number, AnswerStream>;
}

/** RFC 3264 section 6.1: a recorder only ever receives, and a paused stream stays paused. */
const ANSWER_DIRECTION: Record<MediaDirection, MediaDirection> = {
  sendrecv: 'recvonly',
  sendonly: 'recvonly',
  recvonly: 'inactive',
  inactive: 'inactive',
};

/** The answer's text, with CRLF: every m-line of the offer in its place, labels echoed. */
export function writeAnswer(offer: SdpOffer, options: AnswerOptions): string {
  const ipVersion = isIPv6(options.address) ? 6 : 4;
  return sdpTransform.write({
    version: 0,
    origin: {
      username: '-',
      sessionId: options.sessionId,
      sessionVersion: options.version,
      netType: 'IN',
      ipVer: ipVersion,
      address: options.address,
    },
    name: '-',
    connection: { version: ipVersion, ip: options.address },
    timing: offer.timing,
    media: offer.mLines.map((mLine) => {
      const stream = options.streams.get(mLine.index);
      const canTake = mLine.port !== 0 && (!isSecure(mLine) || stream?.crypto !== undefined);
      return stream && canTake ? taken(mLine, stream) : refused(mLine);
    }),
  });
}

type MediaSection = Parameters<typeof sdpTransform.write>[0]['media'][number];

function taken(mLine: MLine, { port, payloadTypes, crypto }: AnswerStream): MediaSection {
  const clockRates = payloadTypes.map(({ clockRate }) => clockRate);
  const events = mLine.payloadTypes.filter(
    (payload) => isTelephoneEvent(payload) && clockRates.includes(payload.clockRate),
  );
  const answered = [...payloadTypes, ...events];
  return {
    ...common(mLine),
    port,
    payloads: answered.map(({ payloadType }) => payloadType).join(' '),
    rtp: answered.map(({ payloadType, encoding, clockRate, channels }) => ({
      payload: payloadType,
      codec: encoding,
      rate: clockRate,
      ...(channels !== undefined && { encoding: channels }),
    })),
    fmtp: answered.flatMap(({ payloadType, fmtp }) =>
      fmtp === undefined ? [] : [{ payload: payloadType, config: fmtp }],
    ),
    direction: ANSWER_DIRECTION[mLine.direction],
    ...(crypto && isSecure(mLine) && { crypto: [toCryptoLine(crypto)] }),
  };
}

/** RFC 3264 section 6: port 0, and the formats mean nothing, but the grammar wants at least one. */
const refused = (mLine: MLine): MediaSection => ({
  ...common(mLine),
  port: 0,
  payloads: mLine.formats.join(' ') || '0',
});

/** What every m-line of an answer repeats. Some SRCs drop an answer without its labels (OpenSIPS). */
const common = ({ media, protocol, label }: MLine) => ({
  type: media,
  protocol,
  rtp: [],
  fmtp: [],
  ...(label !== undefined && { label }),
});
