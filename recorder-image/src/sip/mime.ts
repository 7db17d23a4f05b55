/**
 * The body of a raw SIP message, read into its parts (RFC 2046 multipart, RFC 5621 its use in SIP).
 *
 * It works on bytes, because drachtio-srf's own parser loses or cuts the metadata of several shapes that SRCs
 * really send. It never throws: a body that breaks the rules gives what could be read, and a warning.
 */
import type { Warning } from '../../../core/manifest.ts';

/** A warning without its time, which the caller knows. */
export type BodyWarning = Omit<Warning, 'at'>;

export interface BodyPart {
  /** Lower case, without parameters. */
  contentType: string;
  /** Parameters of the content type, names in lower case. */
  parameters: ReadonlyMap<string, string>;
  /** Absent when the part has no Content-Disposition (RFC 5621 section 8: then it depends on the type). */
  disposition?: { type: string; handling?: string };
  /** Names in lower case and in their long form. */
  headers: ReadonlyMap<string, string>;
  content: Buffer;
}

export interface Body {
  /** The leaves, in order; a multipart inside a multipart gives its own leaves in its place. */
  parts: BodyPart[];
  warnings: BodyWarning[];
}

/** A UDP datagram cannot carry more; nothing that an SRC sends comes near it (3.7 kB measured). */
const MAX_BODY_BYTES = 64 * 1024;
const MAX_PARTS = 16;
const MAX_DEPTH = 4;

/** RFC 3261 section 20: the short names of the headers that describe a body. */
const LONG_NAMES: Record<string, string> = { c: 'content-type', l: 'content-length', e: 'content-encoding' };

/** What a body without a usable Content-Type is, by its first characters. */
const KNOWN_BEGINNINGS: readonly (readonly [RegExp, string])[] = [
  [/^v=\d/, 'application/sdp'],
  [/^<[?\w]/, 'application/rs-metadata+xml'],
  [/^--\S/, 'multipart/mixed'],
];

const LF = 0x0a;
const CR = 0x0d;

/**
 * Reads the parts of a SIP message's body. A body that is not multipart is one part, with the headers of the message.
 * Time is linear in the length of the message.
 * @param raw the whole message, from its start line on, as drachtio-srf's `req.raw` gives it
 */
export function readBody(raw: Buffer | string): Body {
  const message = typeof raw === 'string' ? Buffer.from(raw) : raw;
  const { headers, end } = readMessageHeaders(message);
  const body: Body = { parts: [], warnings: [] };
  const content = message.subarray(end);
  checkContentLength(headers, content.length, body);
  if (content.length > MAX_BODY_BYTES)
    warn(body, 'body-too-large', `${content.length} bytes, only the first ${MAX_BODY_BYTES} are read`);
  if (content.length > 0)
    readEntity({ headers, content: content.subarray(0, MAX_BODY_BYTES) }, 0, { left: MAX_PARTS }, body);
  return body;
}

interface Entity {
  headers: ReadonlyMap<string, string>;
  content: Buffer;
}

function readEntity(entity: Entity, depth: number, budget: { left: number }, body: Body): void {
  const { type, parameters } = contentTypeOf(entity, body);
  if (!type.startsWith('multipart/')) {
    body.parts.push({
      contentType: type,
      parameters,
      ...dispositionOf(entity.headers),
      headers: entity.headers,
      content: entity.content,
    });
    return;
  }
  if (depth === MAX_DEPTH) {
    warn(body, 'body-too-deep', `multipart inside ${MAX_DEPTH} others is not read`);
    return;
  }
  for (const piece of splitMultipart(entity.content, parameters.get('boundary'), body)) {
    if (budget.left === 0) {
      warn(body, 'too-many-parts', `only the first ${MAX_PARTS} parts are read`);
      return;
    }
    budget.left -= 1;
    const part = readPart(piece);
    checkPartLength(part, body);
    readEntity(part, depth + 1, budget, body);
  }
}

interface Split {
  pieces: Buffer[];
  /** The closing delimiter was there. */
  closed: boolean;
}

/** The pieces between the delimiters (RFC 2046 section 5.1.1), preamble and epilogue left out. */
function splitMultipart(content: Buffer, declared: string | undefined, body: Body): Buffer[] {
  let split: Split = declared ? piecesBetween(content, declared) : { pieces: [], closed: false };
  if (split.pieces.length === 0) {
    const guessed = guessBoundary(content);
    if (guessed === undefined) {
      warn(body, 'no-boundary', 'multipart body without any delimiter, read as one part');
      return [content];
    }
    warn(body, 'boundary-guessed', `declared ${declared || 'none'}, found ${guessed}`);
    split = piecesBetween(content, guessed);
  }
  if (!split.closed) warn(body, 'no-close-delimiter', 'the body ends without its closing delimiter');
  return split.pieces;
}

function piecesBetween(content: Buffer, boundary: string): Split {
  const delimiter = Buffer.from(`--${boundary}`);
  const pieces: Buffer[] = [];
  let from: number | undefined;
  let previousEnd = 0;
  for (const line of linesOf(content)) {
    const isDelimiter =
      line.end - line.start >= delimiter.length &&
      delimiter.equals(content.subarray(line.start, line.start + delimiter.length));
    const rest = isDelimiter
      ? content.toString('latin1', line.start + delimiter.length, line.end).trim()
      : '';
    if (isDelimiter && (rest === '' || rest === '--')) {
      // The line break before a delimiter belongs to the delimiter.
      if (from !== undefined) pieces.push(content.subarray(from, Math.max(from, previousEnd)));
      if (rest === '--') return { pieces, closed: true };
      from = line.next;
    }
    previousEnd = line.end;
  }
  if (from !== undefined) pieces.push(content.subarray(from));
  return { pieces, closed: false };
}

function guessBoundary(content: Buffer): string | undefined {
  for (const line of linesOf(content)) {
    const text = content.toString('utf8', line.start, Math.min(line.end, line.start + 256)).trimEnd();
    if (text.length > 2 && text.startsWith('--')) return text.slice(2);
  }
  return undefined;
}

const HEADER_LINE = /^([\w.!%*+`'~-]+)[ \t]*:(.*)$/s;

/** Headers of a SIP message: after the start line, up to the first blank line. A malformed line is passed over. */
function readMessageHeaders(message: Buffer): { headers: Map<string, string>; end: number } {
  const headers = new HeaderLines();
  let startLineSeen = false;
  for (const line of linesOf(message)) {
    const text = message.toString('utf8', line.start, line.end);
    if (!startLineSeen) {
      // RFC 3261 section 7.5: blank lines before the start line are ignored.
      startLineSeen = text !== '';
    } else if (text === '') return { headers: headers.map, end: line.next };
    else headers.add(text);
  }
  return { headers: headers.map, end: message.length };
}

/** A part: headers up to the blank line; a line that cannot be a header already belongs to the content. */
function readPart(piece: Buffer): Entity {
  const headers = new HeaderLines();
  for (const line of linesOf(piece)) {
    const text = piece.toString('utf8', line.start, line.end);
    if (text === '') return { headers: headers.map, content: piece.subarray(line.next) };
    if (!headers.add(text)) return { headers: headers.map, content: piece.subarray(line.start) };
  }
  return { headers: headers.map, content: piece.subarray(piece.length) };
}

/** Collects header lines; the first of a name wins, folded lines are joined (RFC 3261 section 7.3.1). */
class HeaderLines {
  readonly map = new Map<string, string>();
  /** The header that a folded line continues; none after a repeated one. */
  #last: string | undefined;

  /** @returns false if the line is neither a header nor the continuation of one */
  add(line: string): boolean {
    if (this.map.size > 0 && /^[ \t]/.test(line)) {
      if (this.#last) this.map.set(this.#last, `${this.map.get(this.#last)} ${line.trim()}`);
      return true;
    }
    const match = HEADER_LINE.exec(line);
    if (!match?.[1]) return false;
    const shortOrLong = match[1].toLowerCase();
    const name = LONG_NAMES[shortOrLong] ?? shortOrLong;
    this.#last = this.map.has(name) ? undefined : name;
    if (this.#last) this.map.set(name, (match[2] ?? '').trim());
    return true;
  }
}

function contentTypeOf(entity: Entity, body: Body): { type: string; parameters: Map<string, string> } {
  const { value, parameters } = readParameters(entity.headers.get('content-type') ?? '');
  if (/^[^\s/]+\/[^\s/]+$/.test(value)) return { type: value, parameters };
  const beginning = entity.content.toString('latin1', 0, 64).trimStart();
  const type = KNOWN_BEGINNINGS.find(([pattern]) => pattern.test(beginning))?.[1] ?? 'text/plain';
  warn(body, 'content-type-guessed', `declared ${value || 'none'}, read as ${type}`);
  return { type, parameters };
}

function dispositionOf(headers: ReadonlyMap<string, string>): Pick<BodyPart, 'disposition'> {
  const header = headers.get('content-disposition');
  if (header === undefined) return {};
  const { value, parameters } = readParameters(header);
  const handling = parameters.get('handling')?.toLowerCase();
  return { disposition: { type: value, ...(handling !== undefined && { handling }) } };
}

const PARAMETER = /;\s*([^\s=;"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;]*))/g;

/** `value;name=value;name="value"` by RFC 2045 section 5.1; the value itself in lower case. */
function readParameters(header: string): { value: string; parameters: Map<string, string> } {
  const [value = ''] = header.split(';', 1);
  const parameters = new Map<string, string>();
  for (const [, name = '', quoted, bare = ''] of header.matchAll(PARAMETER))
    parameters.set(name.toLowerCase(), (quoted?.replace(/\\(.)/g, '$1') ?? bare).trim());
  return { value: value.trim().toLowerCase(), parameters };
}

/** RFC 3261 section 18.3. Hops that write a wrong length exist: what arrived is read either way. */
function checkContentLength(headers: ReadonlyMap<string, string>, actual: number, body: Body): void {
  const header = headers.get('content-length');
  if (header === undefined || Number(header) === actual) return;
  const code = Number(header) > actual ? 'body-truncated' : 'content-length-mismatch';
  warn(body, code, `Content-Length ${header}, body of ${actual} bytes`);
}

/** A part's Content-Length means nothing in MIME, but a wrong one hints at a hop that rewrites bodies. */
function checkPartLength({ headers, content }: Entity, body: Body): void {
  const header = headers.get('content-length');
  if (header === undefined) return;
  const lineBreakBytes = Number(header) - content.length;
  // Some senders count the line break before the delimiter.
  if (!(lineBreakBytes >= 0 && lineBreakBytes <= 2))
    warn(body, 'part-length-mismatch', `Content-Length ${header}, part of ${content.length} bytes`);
}

interface Line {
  start: number;
  /** Without the line break. */
  end: number;
  /** Start of the line after it. */
  next: number;
}

/** Lines that end in CRLF or in a bare LF; the last one may end with the data. */
function* linesOf(data: Buffer): Generator<Line> {
  for (let start = 0; start < data.length; ) {
    const at = data.indexOf(LF, start);
    const next = at < 0 ? data.length : at + 1;
    const lineFeed = at < 0 ? data.length : at;
    const end = lineFeed > start && data[lineFeed - 1] === CR ? lineFeed - 1 : lineFeed;
    yield { start, end, next };
    start = next;
  }
}

const warn = (body: Body, code: string, detail: string): void => {
  if (!body.warnings.some((known) => known.code === code && known.detail === detail))
    body.warnings.push({ code, detail });
};
