/**
 * How a recorder that runs is told to drain: by a Unix socket in its spool. No network leads to it, only its own user may
 * write to it, and it cannot be mistaken for another process's, as a pid in a file can. One line of JSON each way.
 */
import { once } from 'node:events';
import { chmodSync, closeSync, constants, openSync, rmSync } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';

export const CONTROL_SOCKET = 'control';

/** `sockaddr_un` has room for 108 bytes on Linux, 104 elsewhere. */
const MAX_ADDRESS_BYTES = 100;
/** For a request to come, and for the first answer. */
const LIMIT_MS = 5_000;
const MAX_REQUEST_BYTES = 1_000;

const requestSchema = z.object({ command: z.literal('drain') });
const answerSchema = z.union([
  z.object({ draining: z.literal(true), activeRecordings: z.int() }),
  z.object({ stopped: z.literal(true) }),
  z.object({ error: z.string() }),
]);
type Answer = z.infer<typeof answerSchema>;

/** An address that is short enough, however deep the directory lies; to be closed after the socket. */
function addressIn(directory: string): { address: string; close(): void } {
  const address = resolve(directory, CONTROL_SOCKET);
  if (Buffer.byteLength(address) <= MAX_ADDRESS_BYTES) return { address, close() {} };
  const descriptor = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  return {
    address: `/proc/self/fd/${descriptor}/${CONTROL_SOCKET}`,
    close: () => closeSync(descriptor),
  };
}

export interface ControlSocket {
  /** Tells whoever waits that the recorder has stopped. */
  close(): Promise<void>;
}

/**
 * Opens the socket of a spool; for whoever has its lock, so that what lies there is a dead one's.
 * @param drain begins it, or finds it begun; returns how many recordings still run
 * @throws Error with the errno as `code` if the file system has no sockets
 */
export async function openControlSocket(directory: string, drain: () => number): Promise<ControlSocket> {
  rmSync(join(directory, CONTROL_SOCKET), { force: true });
  const { address, close } = addressIn(directory);
  const clients = new Set<Socket>();
  const server = createServer((client) => {
    clients.add(client);
    client.on('close', () => clients.delete(client));
    client.on('error', () => {}); // who has gone is told nothing
    serve(client, drain);
  });
  try {
    await listening(server, address);
    chmodSync(address, 0o600);
  } catch (error) {
    server.close();
    close();
    throw error;
  }
  return {
    async close() {
      const closed = once(server, 'close');
      server.close();
      for (const client of clients) client.end(`${JSON.stringify({ stopped: true } satisfies Answer)}\n`);
      const patience = setTimeout(() => {
        for (const client of clients) client.destroy();
      }, LIMIT_MS);
      await closed;
      clearTimeout(patience);
      close();
    },
  };
}

async function listening(server: Server, address: string): Promise<void> {
  server.listen(address);
  await once(server, 'listening');
}

function serve(client: Socket, drain: () => number): void {
  const answer = (what: Answer) => client.write(`${JSON.stringify(what)}\n`);
  const refuse = (error: string) => {
    answer({ error });
    client.destroySoon();
  };
  const timer = setTimeout(() => client.destroy(), LIMIT_MS);
  client.on('close', () => clearTimeout(timer));
  let text = '';
  client.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
    const end = text.indexOf('\n');
    if (text.length > MAX_REQUEST_BYTES) return refuse('the request is too long');
    if (end < 0) return;
    clearTimeout(timer);
    client.removeAllListeners('data').resume();
    if (isDrain(text.slice(0, end))) answer({ draining: true, activeRecordings: drain() });
    else refuse('the only command is drain');
  });
}

function isDrain(line: string): boolean {
  try {
    return requestSchema.safeParse(JSON.parse(line)).success;
  } catch {
    return false;
  }
}

/** No recorder can be told: none runs, or it does not answer. */
export class NoRecorderError extends Error {
  override readonly name = 'NoRecorderError';
}

/** Why the socket cannot be reached, by errno; anything else is told as it is. */
const UNREACHABLE: Readonly<Record<string, string>> = {
  ENOENT: 'no recorder runs on it',
  ECONNREFUSED: 'no recorder runs on it (the last one was killed)',
  ENOTSOCK: `its ${CONTROL_SOCKET} is no socket`,
  ENOTDIR: 'it is no directory',
  EACCES: 'run this as the user that the recorder runs as',
};

/**
 * Tells the recorder of a spool to drain.
 * @param onDraining it does, with so many recordings still running
 * @param waits whether to wait until it has stopped
 * @throws NoRecorderError
 */
export async function requestDrain(
  directory: string,
  onDraining: (activeRecordings: number) => void,
  waits: boolean,
): Promise<void> {
  const fail = (why: string, cause?: unknown) =>
    new NoRecorderError(`the recorder of spool ${directory} cannot be told to drain: ${why}`, { cause });
  const { address, close } = openAddress(directory, fail);
  const socket = createConnection(address);
  const broken = new Promise<never>((_, reject) => {
    socket.on('error', (error: NodeJS.ErrnoException) =>
      reject(fail(UNREACHABLE[error.code ?? ''] ?? error.message, error)),
    );
  });
  const timer = setTimeout(
    () => socket.destroy(new Error(`it has not answered for ${LIMIT_MS / 1000} s`)),
    LIMIT_MS,
  );
  const talk = async () => {
    socket.write(`${JSON.stringify({ command: 'drain' })}\n`);
    let isDraining = false;
    for await (const line of createInterface({ input: socket })) {
      clearTimeout(timer);
      const answer = answerSchema.parse(JSON.parse(line));
      if ('error' in answer) throw fail(answer.error);
      if ('stopped' in answer) return;
      isDraining = true;
      onDraining(answer.activeRecordings);
      if (!waits) return;
    }
    throw fail(
      isDraining
        ? 'it ended before it had stopped: the next start on the spool, or recover, finishes what is left'
        : 'it ended without an answer',
    );
  };
  try {
    await Promise.race([talk(), broken]);
  } finally {
    clearTimeout(timer);
    socket.destroy();
    close();
  }
}

function openAddress(directory: string, fail: (why: string, cause: unknown) => Error) {
  try {
    return addressIn(directory);
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    throw fail(UNREACHABLE[code] ?? message, error);
  }
}
