/**
 * The grammars inside SIP header values (RFC 3261 section 25): lists, parameters, URIs, name-addr, Via, CSeq.
 * Every parser throws SipParseError, and nothing else, on text that does not fit.
 */
import { randomBytes } from 'node:crypto';
import { SipParseError } from './errors.ts';

/** Parameters in order; names in lower case; undefined for a parameter without value (`;lr`); quotes kept. */
export type Params = ReadonlyMap<string, string | undefined>;

export interface Uri {
  /** Lower case: `sip`, `sips`, `tel` and so on. */
  scheme: string;
  /** The number of a `tel` URI is here as well. */
  user?: string;
  /** IPv6 addresses keep their brackets; empty for schemes without a host. */
  host: string;
  port?: number;
  params: Params;
}

export interface NameAddr {
  /** Without quotes and escapes. */
  displayName?: string;
  uri: string;
  params: Params;
}

export interface Via {
  /** Lower case: `udp`, `tcp`, `tls`. */
  protocol: string;
  host: string;
  port?: number;
  params: Params;
}

export interface CSeq {
  seq: number;
  method: string;
}

/** RFC 3261 8.1.1.7: what a branch made under this RFC begins with. */
export const BRANCH_COOKIE = 'z9hG4bK';

export const newBranch = (): string => BRANCH_COOKIE + randomBytes(12).toString('hex');
export const newTag = (): string => randomBytes(8).toString('hex');
export const newCallId = (host: string): string => `${randomBytes(16).toString('hex')}@${host}`;

/** Splits at a separator that stands outside quotes and angle brackets; parts are trimmed, empty ones dropped. */
export function splitOutsideQuotes(text: string, separator: ',' | ';'): string[] {
  const parts: string[] = [];
  let quoted = false;
  let depth = 0;
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (quoted) {
      if (char === '\\') i++;
      else if (char === '"') quoted = false;
    } else if (char === '"') quoted = true;
    else if (char === '<') depth++;
    else if (char === '>') depth = Math.max(0, depth - 1);
    else if (char === separator && depth === 0) {
      parts.push(text.slice(start, i));
      start = i + 1;
    }
  }
  parts.push(text.slice(start));
  return parts.map((part) => part.trim()).filter((part) => part !== '');
}

/** `;a=1;b` to a map. The first of two equal names wins, so that a forged second tag changes nothing. */
export function parseParams(text: string): Params {
  const params = new Map<string, string | undefined>();
  for (const part of splitOutsideQuotes(text, ';')) {
    const equals = part.indexOf('=');
    const name = (equals < 0 ? part : part.slice(0, equals)).trim().toLowerCase();
    if (!params.has(name)) params.set(name, equals < 0 ? undefined : part.slice(equals + 1).trim());
  }
  return params;
}

export const formatParams = (params: Params): string =>
  [...params].map(([name, value]) => (value === undefined ? `;${name}` : `;${name}=${value}`)).join('');

const HOST_PORT = /^(\[[0-9a-f:.]+\]|[^\s:@;,<>[\]]+)(?:\s*:\s*(\d{1,5}))?$/i;

function parseHostPort(text: string): { host: string; port?: number } {
  const match = HOST_PORT.exec(text.trim());
  const port = match?.[2] === undefined ? undefined : Number(match[2]);
  if (!match?.[1] || (port !== undefined && port > 65_535)) {
    throw new SipParseError(`not a host and port: ${text}`);
  }
  return port === undefined ? { host: match[1] } : { host: match[1], port };
}

/** A `sip:`, `sips:` or `tel:` URI (RFC 3261 19.1, RFC 3966). Header fields after `?` are dropped. */
export function parseUri(text: string): Uri {
  const match = /^([a-z][a-z0-9+.-]*):(.+)$/is.exec(text.trim());
  if (!match?.[1] || !match[2]) throw new SipParseError(`not a URI: ${text}`);
  const scheme = match[1].toLowerCase();
  const rest = match[2].split('?', 1)[0] ?? '';
  if (scheme !== 'sip' && scheme !== 'sips') {
    const [user = '', ...params] = rest.split(';');
    return { scheme, user, host: '', params: parseParams(params.join(';')) };
  }
  // The user part may itself hold semicolons (telephone-subscriber), so the last @ divides.
  const at = rest.lastIndexOf('@');
  const [hostPort = '', ...params] = rest.slice(at + 1).split(';');
  const user = at < 0 ? {} : { user: rest.slice(0, at) };
  return { scheme, ...user, ...parseHostPort(hostPort), params: parseParams(params.join(';')) };
}

/** From, To, Contact, Route, Record-Route: `"Name" <uri>;params`, or an addr-spec whose parameters are the header's. */
export function parseNameAddr(text: string): NameAddr {
  const match = /^\s*("(?:[^"\\]|\\.)*"|[^"<]*?)\s*<([^<>]*)>\s*(;.*)?$/s.exec(text);
  if (match?.[2]) {
    const name = match[1]?.startsWith('"') ? match[1].slice(1, -1).replace(/\\(.)/gs, '$1') : match[1];
    const params = parseParams(match[3] ?? '');
    return { ...(name ? { displayName: name } : {}), uri: match[2].trim(), params };
  }
  const [uri = '', ...params] = text.trim().split(';');
  if (!/^[a-z][a-z0-9+.-]*:[^\s<>"]+$/i.test(uri)) throw new SipParseError(`not a name-addr: ${text}`);
  return { uri, params: parseParams(params.join(';')) };
}

/** One Via value (RFC 3261 20.42). */
export function parseVia(text: string): Via {
  const match = /^\s*SIP\s*\/\s*2\.0\s*\/\s*([a-z]+)\s+([^;]+)(;.*)?$/is.exec(text);
  if (!match?.[1] || !match[2]) throw new SipParseError(`not a Via: ${text}`);
  return {
    protocol: match[1].toLowerCase(),
    ...parseHostPort(match[2]),
    params: parseParams(match[3] ?? ''),
  };
}

export const formatVia = ({ protocol, host, port, params }: Via): string =>
  `SIP/2.0/${protocol.toUpperCase()} ${host}${port === undefined ? '' : `:${port}`}${formatParams(params)}`;

/** CSeq: a number below 2^31 (RFC 3261 8.1.1.5) and a method. BroadWorks starts near 10^9. */
export function parseCSeq(text: string): CSeq {
  const match = /^\s*(\d{1,10})\s+([^\s]+)\s*$/.exec(text);
  if (!match?.[1] || !match[2] || Number(match[1]) >= 2 ** 31) {
    throw new SipParseError(`not a CSeq: ${text}`);
  }
  return { seq: Number(match[1]), method: match[2] };
}
