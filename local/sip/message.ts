/** SIP messages as values: parse, serialise, read and build (RFC 3261 sections 7, 8 and 18.3). */
import { SipParseError } from './errors.ts';
import { reasonPhrase } from './status.ts';
import type { CSeq, Via } from './values.ts';
import {
  hasEmptyParam,
  parseCSeq,
  parseNameAddr,
  parseRequestUri,
  parseVia,
  splitOutsideQuotes,
} from './values.ts';

/** One header line; the name in its long form, otherwise as written; the value unfolded and trimmed. */
export type Header = readonly [name: string, value: string];

export interface SipRequest {
  readonly method: string;
  readonly uri: string;
  readonly headers: readonly Header[];
  readonly body: Buffer;
}

export interface SipResponse {
  /** 100 to 699. */
  readonly status: number;
  readonly reason: string;
  readonly headers: readonly Header[];
  readonly body: Buffer;
}

export type SipMessage = SipRequest | SipResponse;

export const isRequest = (message: SipMessage): message is SipRequest => 'method' in message;

/** Compact forms (RFC 3261 7.3.3 and the IANA registry). */
const LONG_NAMES: Record<string, string> = {
  a: 'Accept-Contact',
  b: 'Referred-By',
  c: 'Content-Type',
  d: 'Request-Disposition',
  e: 'Content-Encoding',
  f: 'From',
  i: 'Call-ID',
  j: 'Reject-Contact',
  k: 'Supported',
  l: 'Content-Length',
  m: 'Contact',
  o: 'Event',
  r: 'Refer-To',
  s: 'Subject',
  t: 'To',
  u: 'Allow-Events',
  v: 'Via',
  x: 'Session-Expires',
};

const NO_BODY = Buffer.alloc(0);

// ---- reading -----------------------------------------------------------------------------------------------

const sameName = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase();

/** The first line of that name, whole; undefined if absent. Names compare without case. */
export const header = (message: SipMessage, name: string): string | undefined =>
  message.headers.find(([candidate]) => sameName(candidate, name))?.[1];

const headerLines = (message: SipMessage, name: string): string[] =>
  message.headers.filter(([candidate]) => sameName(candidate, name)).map(([, value]) => value);

/** Every value of a list header (Via, Route, Contact, Allow...), over all its lines, split at the commas. */
export const headerValues = (message: SipMessage, name: string): string[] =>
  headerLines(message, name).flatMap((value) => splitOutsideQuotes(value, ','));

/** As `header`, for what a valid message must have. @throws SipParseError if it is absent */
export function requiredHeader(message: SipMessage, name: string): string {
  const value = header(message, name);
  if (value === undefined) throw new SipParseError(`no ${name} header`);
  return value;
}

export const callId = (message: SipMessage): string => requiredHeader(message, 'Call-ID');
export const cseq = (message: SipMessage): CSeq => parseCSeq(requiredHeader(message, 'CSeq'));
export const topVia = (message: SipMessage): Via => parseVia(headerValues(message, 'Via')[0] ?? '');

const tagOf = (message: SipMessage, name: string): string | undefined =>
  parseNameAddr(requiredHeader(message, name)).params.get('tag');

export const fromTag = (message: SipMessage): string | undefined => tagOf(message, 'From');
export const toTag = (message: SipMessage): string | undefined => tagOf(message, 'To');

// ---- parsing -----------------------------------------------------------------------------------------------

const METHOD = /^[!%'*+\-.\w`~]+(?= )/;
const VERSION = / SIP\/(\d+\.\d+) *$/i;
const STATUS_LINE = /^SIP\/(\d+\.\d+) +([1-6]\d\d)(?: +(.*))?$/i;
const HEADER_LINE = /^([!%'*+\-.\w`~]+)[ \t]*:[ \t]*(.*)$/s;

/** Where the header section ends, and where the body begins; undefined while the empty line is not there. */
export function findBody(bytes: Buffer): { headEnd: number; bodyStart: number } | undefined {
  const crlf = bytes.indexOf('\r\n\r\n');
  if (crlf >= 0) return { headEnd: crlf, bodyStart: crlf + 4 };
  const lf = bytes.indexOf('\n\n');
  return lf >= 0 ? { headEnd: lf, bodyStart: lf + 2 } : undefined;
}

type StartLine = { method: string; uri: string } | { status: number; reason: string };

interface Problem {
  text: string;
  status: number;
}

/** A line of which method and version can be read is a request, and can be answered, whatever is wrong in between. */
function parseStartLine(line: string): { startLine: StartLine; problem: Problem | undefined } {
  const status = STATUS_LINE.exec(line);
  if (status?.[1] && status[2]) {
    const startLine = { status: Number(status[2]), reason: (status[3] ?? '').trim() };
    return { startLine, problem: versionProblem(status[1]) };
  }
  const method = METHOD.exec(line)?.[0];
  const version = VERSION.exec(line);
  if (method === undefined || !version?.[1]) throw notStartLine(line);
  const uri = line.slice(method.length, version.index).trim();
  // RFC 3261 7.1: one space before the URI, one after it, none in it, none at the end.
  const strict = !/\s/.test(uri) && line.length === `${method} ${uri} SIP/${version[1]}`.length;
  const spacing = strict ? undefined : { text: notStartLine(line).message, status: 400 };
  return { startLine: { method, uri }, problem: versionProblem(version[1]) ?? spacing };
}

const notStartLine = (line: string): SipParseError =>
  new SipParseError(`not a SIP start line: ${line.slice(0, 80)}`);

const versionProblem = (version: string): Problem | undefined =>
  version === '2.0' ? undefined : { text: `SIP version ${version}`, status: 505 };

/** Enough for an answer to find its way: RFC 4475 3.3.1 wants one even without From, To and Call-ID. */
function answerable(message: SipMessage): { request?: SipRequest } {
  if (!isRequest(message) || message.method === 'ACK') return {};
  try {
    topVia(message);
    return { request: message };
  } catch (error) {
    if (error instanceof SipParseError) return {};
    throw error;
  }
}

/**
 * Start line and headers, without body; every problem found is in `problem`, so that a bad message
 * can still be answered. @throws SipParseError if not even the start line can be read
 */
function parseHead(text: string): { message: SipMessage; problem: Problem | undefined } {
  const unfolded = text.replace(/\r?\n[ \t]+/g, ' ');
  const [first = '', ...lines] = unfolded.split(/\r?\n/);
  const { startLine, problem: startLineProblem } = parseStartLine(first);
  const headers: Header[] = [];
  let problem = startLineProblem;
  for (const line of lines) {
    const match = HEADER_LINE.exec(line);
    if (match?.[1]) headers.push([LONG_NAMES[match[1].toLowerCase()] ?? match[1], (match[2] ?? '').trim()]);
    else problem ??= { text: `not a header line: ${line.slice(0, 80)}`, status: 400 };
  }
  return { message: { ...startLine, headers, body: NO_BODY }, problem };
}

/** The declared body length in bytes; undefined without Content-Length. @throws SipParseError */
function declaredLength(message: SipMessage): number | undefined {
  const values = new Set(headerValues(message, 'Content-Length'));
  const [value] = values;
  if (value === undefined) return undefined;
  if (values.size > 1 || !/^\d{1,9}$/.test(value)) {
    throw new SipParseError(`bad Content-Length: ${[...values].join(', ')}`);
  }
  return Number(value);
}

/** Of these a message has one (RFC 3261 7.3.1); which of several would count is nobody's to guess. */
const SINGLE = ['From', 'To', 'Call-ID', 'CSeq'];

/** The checks without which nothing above could work: RFC 3261 8.1.1's headers, except Max-Forwards. */
function validate(message: SipMessage): void {
  topVia(message);
  for (const name of SINGLE) {
    requiredHeader(message, name);
    if (headerLines(message, name).length > 1) throw new SipParseError(`more than one ${name} header`);
  }
  const addresses = [
    ...['From', 'To'].map((name) => requiredHeader(message, name)),
    ...headerValues(message, 'Contact').filter((contact) => contact !== '*'),
  ];
  for (const address of addresses) parseNameAddr(address);
  for (const value of [headerValues(message, 'Via')[0] ?? '', ...addresses])
    if (hasEmptyParam(value)) throw new SipParseError(`a semicolon without parameter: ${value}`);
  if (callId(message) === '') throw new SipParseError('empty Call-ID');
  const { method } = cseq(message);
  if (!isRequest(message)) return;
  if (method !== message.method) throw new SipParseError(`CSeq method ${method} in a ${message.method}`);
  parseRequestUri(message.uri);
}

/** Runs a check; its SipParseError then carries the request, if that can be answered. */
function checked<T>(message: SipMessage, check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (error instanceof SipParseError) {
      throw new SipParseError(error.message, { status: error.status, ...answerable(message) });
    }
    throw error;
  }
}

/**
 * One whole message, as in a datagram. Excess bytes after Content-Length are ignored, missing ones are an error
 * (RFC 3261 18.3); without Content-Length the body is what is left. Bare LF line ends are accepted.
 *
 * @throws SipParseError and nothing else, whatever the bytes
 */
export function parseMessage(datagram: Buffer): SipMessage {
  // RFC 3261 7.5: line ends before the start line are ignored.
  const start = datagram.findIndex((byte) => byte !== 13 && byte !== 10);
  const bytes = datagram.subarray(Math.max(0, start));
  const body = findBody(bytes);
  const { message: head, problem } = parseHead(bytes.toString('utf8', 0, body?.headEnd));
  return checked(head, () => {
    if (problem) throw new SipParseError(problem.text, { status: problem.status });
    if (!body) throw new SipParseError('no empty line after the headers');
    const length = declaredLength(head) ?? bytes.length - body.bodyStart;
    if (body.bodyStart + length > bytes.length) {
      throw new SipParseError(`body of ${bytes.length - body.bodyStart} bytes, Content-Length ${length}`);
    }
    validate(head);
    return { ...head, body: bytes.subarray(body.bodyStart, body.bodyStart + length) };
  });
}

/**
 * Body length that a header section announces, for framing on a stream.
 * @throws SipParseError if it is absent or unusable: the stream cannot be read on from there (RFC 3261 18.3)
 */
export function contentLength(head: Buffer): number {
  const { message } = parseHead(head.toString('utf8'));
  return checked(message, () => {
    const length = declaredLength(message);
    if (length === undefined) throw new SipParseError('no Content-Length on a stream transport');
    return length;
  });
}

/**
 * A message that may lack what a network message must have: start line, headers, and all the rest as body.
 * For what an application hands over to be completed. @throws SipParseError
 */
export function parseFragment(bytes: Buffer): SipMessage {
  const body = findBody(bytes);
  const { message, problem } = parseHead(bytes.toString('utf8', 0, body?.headEnd));
  if (problem) throw new SipParseError(problem.text);
  return { ...message, body: body ? bytes.subarray(body.bodyStart) : NO_BODY };
}

// ---- building ----------------------------------------------------------------------------------------------

/** Bytes for the network. Content-Length is always that of the body, and always last. */
export function serialise(message: SipMessage): Buffer {
  const startLine = isRequest(message)
    ? `${message.method} ${message.uri} SIP/2.0`
    : `SIP/2.0 ${message.status} ${message.reason}`;
  const lines = withoutHeaders(message.headers, 'Content-Length').map(([name, value]) => `${name}: ${value}`);
  const head = [startLine, ...lines, `Content-Length: ${message.body.length}`, '', ''].join('\r\n');
  return Buffer.concat([Buffer.from(head), message.body]);
}

/** The headers without every line of these names. */
export function withoutHeaders(headers: readonly Header[], ...names: string[]): Header[] {
  return headers.filter(([name]) => !names.some((other) => sameName(name, other)));
}

/** The headers with one line of that name: in the place of the first, or at the end. */
export function withHeader(headers: readonly Header[], name: string, value: string): Header[] {
  const index = headers.findIndex(([candidate]) => sameName(candidate, name));
  if (index < 0) return [...headers, [name, value]];
  return headers.flatMap((line, i): Header[] => {
    if (i === index) return [[name, value]];
    return sameName(line[0], name) ? [] : [line];
  });
}

export const makeRequest = (
  method: string,
  uri: string,
  headers: readonly Header[],
  body: Buffer | string = NO_BODY,
): SipRequest => ({ method, uri, headers, body: Buffer.from(body) });

/**
 * A response with what the request dictates: every Via, From, To, Call-ID, CSeq, and Record-Route where the
 * response can form a dialog (RFC 3261 8.2.6.2, 12.1.1).
 *
 * @param options.toTag put on To if the request's To has none; a 100 needs none
 */
export function makeResponse(
  request: SipRequest,
  status: number,
  options: { reason?: string; toTag?: string; headers?: readonly Header[]; body?: Buffer | string } = {},
): SipResponse {
  const formsDialog = status > 100 && status < 300;
  const copied = formsDialog
    ? ['via', 'record-route', 'from', 'to', 'call-id', 'cseq']
    : ['via', 'from', 'to', 'call-id', 'cseq'];
  const headers = request.headers
    .filter(([name], index) => {
      const lower = name.toLowerCase();
      const first = request.headers.findIndex(([other]) => other.toLowerCase() === lower) === index;
      return copied.includes(lower) && (first || lower === 'via' || lower === 'record-route');
    })
    .map(([name, value]): Header => {
      const needsTag = options.toTag !== undefined && sameName(name, 'To') && !/;\s*tag\s*=/i.test(value);
      return needsTag ? [name, `${value};tag=${options.toTag}`] : [name, value];
    });
  return {
    status,
    reason: options.reason ?? reasonPhrase(status),
    headers: [...headers, ...(options.headers ?? [])],
    body: Buffer.from(options.body ?? NO_BODY),
  };
}
