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
export const splitOutsideQuotes = (text: string, separator: ',' | ';'): string[] =>
  allParts(text, separator).filter((part) => part !== '');

/** Whether a semicolon has no parameter after it, which the grammar does not allow (RFC 4475 3.1.2.1). */
export const hasEmptyParam = (value: string): boolean => allParts(value, ';').includes('');

function allParts(text: string, separator: ',' | ';'): string[] {
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
  return parts.map((part) => part.trim());
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
export const parseUri = (text: string): Uri => splitUri(text).uri;

/** As `parseUri`, for a Request-URI, where header fields are not allowed (RFC 3261 19.1.1, table 1). */
export function parseRequestUri(text: string): Uri {
  const { uri, headers } = splitUri(text);
  if (headers !== undefined) throw new SipParseError(`header fields in a Request-URI: ${text}`);
  return uri;
}

function splitUri(text: string): { uri: Uri; headers: string | undefined } {
  const match = /^([a-z][a-z0-9+.-]*):(.+)$/is.exec(text.trim());
  if (!match?.[1] || !match[2]) throw new SipParseError(`not a URI: ${text}`);
  const scheme = match[1].toLowerCase();
  const rest = match[2];
  if (scheme !== 'sip' && scheme !== 'sips') {
    const [user = '', ...params] = rest.split(';');
    return { uri: { scheme, user, host: '', params: parseParams(params.join(';')) }, headers: undefined };
  }
  // The user part may itself hold semicolons (telephone-subscriber) and question marks, so the last @ divides.
  const at = rest.lastIndexOf('@');
  const afterUser = rest.slice(at + 1);
  const question = afterUser.indexOf('?');
  const [hostPort = '', ...params] = (question < 0 ? afterUser : afterUser.slice(0, question)).split(';');
  const user = at < 0 ? {} : { user: rest.slice(0, at) };
  return {
    uri: { scheme, ...user, ...parseHostPort(hostPort), params: parseParams(params.join(';')) },
    headers: question < 0 ? undefined : afterUser.slice(question + 1),
  };
}

/** RFC 3261 25.1, and letters beyond ASCII, which peers write without quotes too. */
const TOKENS = /^[!%'*+\-.\w`~\s\u0080-\uffff]*$/;

/**
 * From, To, Contact, Route, Record-Route: `"Name" <uri>;params`, or an addr-spec whose parameters are the header's.
 * A name without quotes is made of tokens; a URI with a comma or question mark stands in angle brackets, and has no
 * blanks there (RFC 3261 20, 20.10).
 */
export function parseNameAddr(text: string): NameAddr {
  const match = /^("(?:[^"\\]|\\.)*"\s*|[^"<]*)<([^<>\s]+)>\s*(;.*)?$/s.exec(text.trim());
  if (match?.[2]) {
    const beforeUri = (match[1] ?? '').trim();
    const quoted = beforeUri.startsWith('"');
    if (!quoted && !TOKENS.test(beforeUri)) throw new SipParseError(`not a name-addr: ${text}`);
    const name = quoted ? beforeUri.slice(1, -1).replace(/\\(.)/gs, '$1') : beforeUri;
    const params = parseParams(match[3] ?? '');
    return { ...(name ? { displayName: name } : {}), uri: match[2], params };
  }
  const [written = '', ...params] = text.split(';');
  const uri = written.trim();
  if (!/^[a-z][a-z0-9+.-]*:[^\s<>",?]+$/i.test(uri)) throw new SipParseError(`not a name-addr: ${text}`);
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
