/** The codecs that a recording can hold, and the choice among those that an m-line offers. */
import type { MLine, PayloadType } from './offer.ts';

export interface Codec {
  /** The encoding name of RFC 3551, upper case. */
  name: 'PCMU' | 'PCMA';
  /** Hz. */
  clockRate: number;
  channels: number;
}

export const CODECS: readonly Codec[] = [
  { name: 'PCMU', clockRate: 8000, channels: 1 },
  { name: 'PCMA', clockRate: 8000, channels: 1 },
];

/** Without SRTP: a SAVP m-line is refused, because the SRC would send what nobody here can decrypt. */
const PROTOCOLS = ['RTP/AVP', 'RTP/AVPF'];

/** The codec of a payload type; undefined if it cannot be recorded. */
export const codecOf = ({ encoding, clockRate, channels = 1 }: PayloadType): Codec | undefined =>
  CODECS.find(
    (codec) =>
      codec.name === encoding.toUpperCase() && codec.clockRate === clockRate && codec.channels === channels,
  );

/** RFC 4733: events, not audio; they accompany a codec of the same clock rate. */
export const isTelephoneEvent = ({ encoding }: PayloadType): boolean =>
  encoding.toLowerCase() === 'telephone-event';

/**
 * The payload types of an m-line that can be recorded, in the offer's order of preference.
 * @returns undefined if the m-line has to be refused (port 0 in the answer); if all are, the INVITE is answered 488
 */
export function chooseCodec({ media, port, protocol, payloadTypes }: MLine): PayloadType[] | undefined {
  if (media !== 'audio' || port === 0 || !PROTOCOLS.includes(protocol)) return undefined;
  const recordable = payloadTypes.filter(codecOf);
  return recordable.length > 0 ? recordable : undefined;
}
