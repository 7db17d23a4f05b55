/**
 * What lies below a socket of `node:dgram`: its file descriptor, and whether the event loop reads it. Node does not document it,
 * so it may be missing in another version; the socket then works as documented.
 */
import type { Socket } from 'node:dgram';
import { readSync } from 'node:fs';

export interface UdpHandle {
  readonly fd: number;
  recvStart(): number;
  recvStop(): number;
}

/** @param socket bound to a port */
export function udpHandleOf(socket: Socket): UdpHandle | undefined {
  const state = Object.getOwnPropertySymbols(socket).find(
    ({ description }) => description === 'state symbol',
  );
  const handle = state && (socket as unknown as Record<symbol, { handle?: UdpHandle }>)[state]?.handle;
  const isComplete =
    handle !== undefined &&
    handle.fd >= 0 &&
    typeof handle.recvStart === 'function' &&
    typeof handle.recvStop === 'function';
  return isComplete ? handle : undefined;
}

/**
 * The next datagram, without its source: a fourth of what an event costs.
 * @param buffer that it is written to; what does not fit is lost
 * @returns its length in bytes, or -1 if there is none
 * @throws NodeJS.ErrnoException
 */
export function readDatagram(fd: number, buffer: Uint8Array): number {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0; // "there is none" comes as an error, of which the stack is half the cost
  try {
    return readSync(fd, buffer, 0, buffer.length, null);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return -1;
    throw error;
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}
