/** The simulator's offers, and what it reads from the recorder's answers (RFC 8866, RFC 3264). */
import { parse } from 'sdp-transform';
import type { SimulatedCall } from './call.ts';
import { CODECS } from './g711.ts';
import type { RtpDestination } from './rtp-tone.ts';

export interface OfferOptions {
  localAddress: string;
  /** 1 in the INVITE, one more with each change (RFC 3264 section 8). */
  version: number;
  /** While paused, BroadWorks offers inactive streams at 0.0.0.0. */
  paused: boolean;
}

/** One m-line per stream, labelled (RFC 4574). */
export function makeOffer(call: SimulatedCall, { localAddress, version, paused }: OfferOptions): string {
  const { payloadType, rtpmap } = CODECS[call.codec];
  return [
    'v=0',
    `o=BroadWorks ${call.sdpSessionId} ${version} IN IP4 ${localAddress}`,
    's=-',
    `c=IN IP4 ${paused ? '0.0.0.0' : localAddress}`,
    't=0 0',
    ...call.streams.flatMap(({ rtpPort, label }) => [
      `m=audio ${rtpPort} RTP/AVP ${payloadType}`,
      `a=rtpmap:${payloadType} ${rtpmap}`,
      'a=ptime:20',
      `a=label:${label}`,
      paused ? 'a=inactive' : 'a=sendonly',
    ]),
    '',
  ].join('\r\n');
}

/** The answer does not take the offered streams as they were offered. */
export class SdpAnswerError extends Error {
  constructor(why: string) {
    super(`the recorder's SDP answer cannot be used: ${why}`);
    this.name = 'SdpAnswerError';
  }
}

/**
 * Where to send each offered stream, in the offer's order.
 * @throws SdpAnswerError when a stream is missing, refused, without address or in another codec
 */
export function readAnswer(call: SimulatedCall, answer: string): RtpDestination[] {
  const session = parse(answer);
  if (session.media.length !== call.streams.length) {
    throw new SdpAnswerError(`${session.media.length} m-lines for ${call.streams.length} offered`);
  }
  const { payloadType } = CODECS[call.codec];
  return session.media.map((media, index) => {
    const address = (media.connection ?? session.connection)?.ip;
    if (media.port === 0) throw new SdpAnswerError(`stream ${index + 1} is refused (port 0)`);
    if (!address) throw new SdpAnswerError(`stream ${index + 1} has no c= line`);
    // sdp-transform gives a lone payload type as a number, against its own types.
    if (!String(media.payloads).split(' ').includes(String(payloadType))) {
      throw new SdpAnswerError(`stream ${index + 1} lacks payload type ${payloadType}`);
    }
    return { address, port: media.port };
  });
}
