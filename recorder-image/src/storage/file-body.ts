/** Files as bodies of requests. */
import { createReadStream, type ReadStream } from 'node:fs';

interface FileRange {
  /** First and last byte. */
  start?: number;
  end?: number;
}

/**
 * Sends a request whose body is a file, or a part of one.
 * @param signal ends the request, as an error of the file does
 * @throws what `send` throws, or the error of the file
 */
export async function withFileBody<Answer>(
  path: string,
  range: FileRange,
  signal: AbortSignal | undefined,
  send: (body: ReadStream, signal: AbortSignal) => Promise<Answer>,
): Promise<Answer> {
  const body = createReadStream(path, range);
  const unreadable = new AbortController();
  // For as long as it lives: the SDK listens to none, and one that came after the request has failed would end the process.
  body.on('error', (error) => unreadable.abort(error));
  try {
    return await send(body, AbortSignal.any([unreadable.signal, ...(signal ? [signal] : [])]));
  } catch (error) {
    body.destroy(); // only now: after an answer that came before its end was read, the connection would be lost, too
    throw unreadable.signal.aborted ? unreadable.signal.reason : error;
  }
}
