/** The codecs that a recording can hold, and the choice among those that an m-line offers. */
import { chooseCrypto } from './crypto.ts';
import type { MLine, PayloadType } from './offer.ts';

/** Encoding names of RFC 3551 and RFC 7587, upper case. */
export const CODEC_NAMES = ['PCMU', 'PCMA', 'G722', 'G729', 'OPUS'] as const;
export type CodecName = (typeof CODEC_NAMES)[number];

export interface Codec {
  name: CodecName;
  /** Hz: of RTP timestamps, as the rtpmap names it. */
  clockRate: number;
  /** Hz: of the audio. */
  sampleRate: number;
  /** What the rtpmap may name as channels. */
  channels: readonly number[];
}

/**
 * RFC 3551 4.5.2: the clock rate of G.722 is 8000 by an old mistake; its audio has twice as many samples.
 * RFC 7587 7: Opus always says 48000/2, whatever it carries; some leave the 2 out.
 */
export const CODECS: Readonly<Record<CodecName, Codec>> = {
  PCMU: { name: 'PCMU', clockRate: 8000, sampleRate: 8000, channels: [1] },
  PCMA: { name: 'PCMA', clockRate: 8000, sampleRate: 8000, channels: [1] },
  G722: { name: 'G722', clockRate: 8000, sampleRate: 16_000, channels: [1] },
  G729: { name: 'G729', clockRate: 8000, sampleRate: 8000, channels: [1] },
  OPUS: { name: 'OPUS', clockRate: 48_000, sampleRate: 48_000, channels: [2, 1] },
};

const PLAIN_PROTOCOLS = ['RTP/AVP', 'RTP/AVPF'];

/** The codec of a payload type; undefined if it cannot be recorded. */
export const codecOf = ({ encoding, clockRate, channels = 1 }: PayloadType): Codec | undefined =>
  Object.values(CODECS).find(
    (codec) =>
      codec.name === encoding.toUpperCase() &&
      codec.clockRate === clockRate &&
      codec.channels.includes(channels),
  );

/** RFC 4733: events, not audio; they accompany a codec of the same clock rate. */
export const isTelephoneEvent = ({ encoding }: PayloadType): boolean =>
  encoding.toLowerCase() === 'telephone-event';

/** The clock rates, in Hz, of an m-line's telephone events, by payload type. */
export const telephoneEventsOf = ({ payloadTypes }: Pick<MLine, 'payloadTypes'>): Map<number, number> =>
  new Map(
    payloadTypes.filter(isTelephoneEvent).map(({ payloadType, clockRate }) => [payloadType, clockRate]),
  );

/**
 * The payload types of an m-line that can be recorded, in the offer's order of preference.
 * @returns undefined if the m-line has to be refused (port 0 in the answer); if all are, the INVITE is answered 488
 */
export function chooseCodec(mLine: MLine): PayloadType[] | undefined {
  const { media, port, protocol, payloadTypes } = mLine;
  if (media !== 'audio' || port === 0) return undefined;
  if (!PLAIN_PROTOCOLS.includes(protocol) && chooseCrypto(mLine) === undefined) return undefined;
  const recordable = payloadTypes.filter(codecOf);
  return recordable.length > 0 ? recordable : undefined;
}
