/** Cuts a TCP byte stream into SIP messages by Content-Length (RFC 3261 18.3), with RFC 5626 keep-alives. */
import { SipParseError } from './errors.ts';
import { contentLength, findBody } from './message.ts';

const MAX_HEAD_BYTES = 64 * 1024;
const MAX_BODY_BYTES = 1024 * 1024;
const CR = 13;
const LF = 10;

export interface StreamChunk {
  /** Whole messages, in order, each with its body. */
  messages: Buffer[];
  /** How many CRLFCRLF pings came; each wants a CRLF back (RFC 5626 4.4.1). */
  pings: number;
  /** Set when the stream cannot be framed any more: the connection must be closed. */
  error?: SipParseError;
}

/** Takes the next bytes of one connection, gives back what they complete. */
export type StreamReader = (chunk: Buffer) => StreamChunk;

/** A reader with its own buffer, one per connection. */
export function streamReader(): StreamReader {
  let pending: Buffer = Buffer.alloc(0);
  return (chunk) => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    const result: StreamChunk = { messages: [], pings: 0 };
    try {
      for (;;) {
        const { skipped, pings } = lineEnds(pending);
        result.pings += pings;
        pending = pending.subarray(skipped);
        const length = messageLength(pending);
        if (length === undefined || pending.length < length) return result;
        result.messages.push(pending.subarray(0, length));
        pending = pending.subarray(length);
      }
    } catch (error) {
      if (!(error instanceof SipParseError)) throw error;
      pending = Buffer.alloc(0);
      return { ...result, error };
    }
  };
}

/** Line ends before a start line: ignored, but every CRLFCRLF is a ping. Half a ping stays in the buffer. */
function lineEnds(bytes: Buffer): { skipped: number; pings: number } {
  let skipped = 0;
  while (bytes[skipped] === CR && bytes[skipped + 1] === LF) skipped += 2;
  const pings = Math.floor(skipped / 4);
  const rest = bytes.length - skipped;
  const undecided = rest === 0 || (rest === 1 && bytes[skipped] === CR);
  return { skipped: undecided ? pings * 4 : skipped, pings };
}

/** Length of the message at the start of the bytes; undefined while its headers are incomplete. */
function messageLength(bytes: Buffer): number | undefined {
  const body = findBody(bytes);
  if ((body?.headEnd ?? bytes.length) > MAX_HEAD_BYTES) {
    throw new SipParseError(`more than ${MAX_HEAD_BYTES} bytes of headers`);
  }
  if (!body) return undefined;
  const length = contentLength(bytes.subarray(0, body.headEnd));
  if (length > MAX_BODY_BYTES) throw new SipParseError(`body of ${length} bytes on a stream`);
  return body.bodyStart + length;
}
