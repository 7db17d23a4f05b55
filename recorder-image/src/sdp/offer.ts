/**
 * An SDP offer (RFC 8866, RFC 3264), read into what a recorder needs to know.
 *
 * Tolerant: bare LF, trailing blanks, unknown lines and missing `s=`, `t=` or `c=` lines are normal. Only an offer
 * that no answer can be given to is refused.
 */
import * as sdpTransform from 'sdp-transform';
import { type OfferedCrypto, readCrypto } from './crypto.ts';

export const DIRECTIONS = ['sendrecv', 'sendonly', 'recvonly', 'inactive'] as const;
export type MediaDirection = (typeof DIRECTIONS)[number];

/** One format of an RTP m-line whose encoding is known. */
export interface PayloadType {
  payloadType: number;
  /** As sent; compare without regard to case (RFC 8866 section 6.6). */
  encoding: string;
  /** Hz. */
  clockRate: number;
  channels?: number;
  fmtp?: string;
}

export interface MLine {
  /** Place in the offer, from 0. */
  index: number;
  media: string;
  /** 0 = the stream is refused or removed. */
  port: number;
  protocol: string;
  /** The formats as listed, in the offerer's order of preference; not always numbers (RFC 8866 section 5.14). */
  formats: string[];
  /** Those of the formats that are RTP payload types with a known encoding, in the same order. */
  payloadTypes: PayloadType[];
  direction: MediaDirection;
  label?: string;
  /** Where the offerer would receive; absent when no `c=` line applies. */
  connectionAddress?: string;
  /** Old style of hold (RFC 3264 section 8.4): the connection address is all zeros. */
  held: boolean;
  /** `a=rtcp` (RFC 3605), otherwise the port after the RTP port; the recorder does not accept rtcp-mux. */
  rtcpPort: number;
  rtcpMux: boolean;
  /** Milliseconds of audio in a packet, where the offer says. */
  ptimeMs?: number;
  /** SDES keys; absent without `a=crypto`. */
  crypto?: OfferedCrypto;
}

export interface SdpOffer {
  /** The `o=` line; absent when it cannot be read. Versions are text because they can exceed 2^53. */
  origin?: { username: string; sessionId: string; version: string; address: string };
  /** The `t=` line, seconds since 1900; 0 0 when it is missing. */
  timing: { start: number; stop: number };
  mLines: MLine[];
}

/** The offer cannot be answered. `line` is the offending line, where there is one. */
export class SdpError extends Error {
  readonly line: string | undefined;

  constructor(reason: string, line?: string) {
    super(line === undefined ? `SDP: ${reason}` : `SDP: ${reason}: ${line}`);
    this.name = 'SdpError';
    this.line = line;
  }
}

/** RFC 3551 section 6: payload types that need no rtpmap. */
const STATIC_PAYLOAD_TYPES: Record<number, { encoding: string; clockRate: number }> = {
  0: { encoding: 'PCMU', clockRate: 8000 },
  8: { encoding: 'PCMA', clockRate: 8000 },
  9: { encoding: 'G722', clockRate: 8000 },
  18: { encoding: 'G729', clockRate: 8000 },
};

/** RFC 7866 section 8.4 asks for four; each costs time, and a line of the answer. */
const MAX_M_LINES = 64;

const UNSPECIFIED_ADDRESSES = ['0.0.0.0', '::'];

/** media, port, transport, formats; the number of ports (`/2`) is not used by RTP/AVP senders. */
const M_LINE = /^m=(\w[\w-]*) (\d{1,5})(?:\/\d+)? ([\w/]+)(?: (.*))?$/;

/** The lines that are read; all others never reach sdp-transform's patterns. */
const READ_LINE =
  /^(?:[votc]=|m=|a=(?:rtpmap|fmtp|label|ptime|rtcp|rtcp-mux|sendrecv|sendonly|recvonly|inactive)\b)/;

/**
 * Reads an offer.
 * @throws SdpError if there is no `v=` line, no m-line, or an m-line that cannot be read
 */
export function readOffer(text: string): SdpOffer {
  const allLines = text.split(/\r\n|\r|\n/).map(normalised);
  const lines = allLines.filter((line) => READ_LINE.test(line));
  if (!lines.some((line) => line.startsWith('v='))) throw new SdpError('no v= line', lines[0]);
  const description = sdpTransform.parse(lines.join('\r\n'));
  if (description.media.length === 0) throw new SdpError('no m= line');
  if (description.media.length > MAX_M_LINES)
    throw new SdpError(`${description.media.length} m= lines, no more than ${MAX_M_LINES} are read`);
  const crypto = cryptoValues(allLines);
  const { origin, timing } = description;
  return {
    ...(origin && {
      origin: {
        username: String(origin.username),
        sessionId: String(origin.sessionId),
        version: String(origin.sessionVersion),
        address: String(origin.address),
      },
    }),
    timing: { start: Number(timing?.start ?? 0), stop: Number(timing?.stop ?? 0) },
    mLines: description.media.map((media, index) => {
      const values = crypto[index] ?? [];
      return {
        ...mLineOf(media, index, description),
        ...(values.length > 0 && { crypto: readCrypto(values) }),
      };
    }),
  };
}

/** The line as sdp-transform's patterns want it: single blanks, none at the end, none after an attribute's colon. */
function normalised(line: string): string {
  const trimmed = line
    .replace(/[ \t]+/g, ' ')
    .replace(/^(a=[\w-]+) ?: ?/, '$1:')
    .trim();
  if (!trimmed.startsWith('m=')) return trimmed;
  const match = M_LINE.exec(trimmed);
  const [, media, port, protocol, formats = ''] = match ?? [];
  if (!match || Number(port) > 65535) throw new SdpError('m-line cannot be read', trimmed);
  return `m=${media} ${Number(port)} ${protocol} ${formats}`;
}

/**
 * What follows `a=crypto:`, by m-line; at the session level it means nothing (RFC 4568 section 4). sdp-transform is
 * not asked: it drops all session parameters but the first, and with them those that a line must be refused for.
 */
function cryptoValues(lines: readonly string[]): string[][] {
  const values: string[][] = [];
  for (const line of lines) {
    if (line.startsWith('m=')) values.push([]);
    else if (line.startsWith(CRYPTO)) values.at(-1)?.push(line.slice(CRYPTO.length));
  }
  return values;
}

const CRYPTO = 'a=crypto:';

type Description = sdpTransform.SessionDescription;
type MediaSection = Description['media'][number];

function mLineOf(media: MediaSection, index: number, session: Description): MLine {
  const connection = media.connection ?? session.connection;
  const address = connection && String(connection.ip).split('/')[0];
  const formats = String(media.payloads ?? '')
    .split(' ')
    .filter((format) => format !== '');
  return {
    index,
    media: String(media.type).toLowerCase(),
    port: media.port,
    protocol: String(media.protocol).toUpperCase(),
    formats,
    payloadTypes: [...new Set(formats)].flatMap((format) => payloadTypeOf(format, media) ?? []),
    direction: media.direction ?? session.direction ?? 'sendrecv',
    ...(media.label !== undefined && { label: String(media.label) }),
    ...(address && { connectionAddress: address }),
    held: address !== undefined && UNSPECIFIED_ADDRESSES.includes(address),
    rtcpPort: Number(media.rtcp?.port) || media.port + 1,
    rtcpMux: media.rtcpMux !== undefined,
    ...(Number(media.ptime) > 0 && { ptimeMs: Number(media.ptime) }),
  };
}

function payloadTypeOf(format: string, media: MediaSection): PayloadType | undefined {
  const payloadType = Number(format);
  if (!/^\d{1,3}$/.test(format) || payloadType > 127) return undefined;
  const rtpmap = media.rtp.find(({ payload }) => Number(payload) === payloadType);
  const known = STATIC_PAYLOAD_TYPES[payloadType];
  const encoding = rtpmap ? String(rtpmap.codec) : known?.encoding;
  if (!encoding) return undefined;
  const channels = Number(rtpmap?.encoding);
  const fmtp = media.fmtp.filter(({ payload }) => Number(payload) === payloadType);
  return {
    payloadType,
    encoding,
    clockRate: Number(rtpmap?.rate) || known?.clockRate || 8000,
    ...(channels > 0 && { channels }),
    ...(fmtp.length > 0 && { fmtp: fmtp.map(({ config }) => config).join(';') }),
  };
}

/**
 * A label for every m-line, unique within the offer: the one that was sent, otherwise `m` and the index.
 * SRCs that send no label, or one label twice, exist; a recording still has to tell its streams apart.
 */
export function streamLabels(mLines: readonly MLine[]): string[] {
  const labels: string[] = [];
  for (const { label, index } of mLines)
    labels.push(label !== undefined && !labels.includes(label) ? label : `m${index}`);
  return labels;
}
