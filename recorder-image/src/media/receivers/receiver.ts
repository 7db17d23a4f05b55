/**
 * What takes datagrams from the kernel for the streams of a media worker. There are two, which behave alike:
 * `dgram.ts`, which runs everywhere, and `native.ts`, which is faster and needs a compiled addon.
 */
import type { SystemError } from '../system-error.ts';

/**
 * Asked of the kernel for every socket; it grants up to `net.core.rmem_max`, and books twice as much.
 *
 * A datagram of 20 ms G.711 is booked with about 770 bytes, so this holds 54 s of one stream, and the 208 KiB that an
 * untuned Linux grants still 11 s: many times what a worker may be late before the recorder refuses new calls.
 */
export const RECEIVE_BUFFER_BYTES = 1024 * 1024;

/**
 * What to do about buffers that are smaller than asked; nothing if they are not.
 * @param booked receive buffer of a socket, as the kernel books it
 */
export const bufferWarning = (booked: number): string | undefined =>
  booked >= 2 * RECEIVE_BUFFER_BYTES
    ? undefined
    : `the kernel grants receive buffers of ${booked / 2} bytes, ${RECEIVE_BUFFER_BYTES} are wanted: ` +
      `sysctl -w net.core.rmem_max=${RECEIVE_BUFFER_BYTES}`;

/** Where a datagram came from. IPv6 addresses may carry a zone. */
export interface Remote {
  readonly address: string;
  readonly port: number;
}

/** What becomes of a socket's datagrams. Times are those of `performance.now()`. Its methods must not throw. */
export interface SocketHandler {
  /**
   * @param packet begins with the datagram, and is used again as soon as this returns
   * @param length of the datagram in bytes; one longer than `MAX_PACKET_BYTES` need not be whole in `packet`
   */
  onPacket(packet: Uint8Array, length: number, arrivedAt: number, remote: Remote): void;
  /** The kernel had no room for so many datagrams, at some time between these two. */
  onDrops(packets: number, from: number, to: number): void;
  /** A datagram could not be received. */
  onError(error: SystemError): void;
}

export interface MediaSocket {
  /** As the kernel books them: twice what was asked, if it was granted. */
  readonly receiveBufferBytes: number;
  send(packet: Uint8Array, to: Remote, done: (error: Error | null) => void): void;
  /** Resolves when the port can be bound again. Nothing is handed over any more. */
  close(): Promise<void>;
}

export interface Receiver {
  /**
   * Binds a socket of its own to a UDP port; no other socket shares it.
   * @throws NodeJS.ErrnoException with the `code` of the system, such as `EADDRINUSE`
   */
  open(port: number, handler: SocketHandler): Promise<MediaSocket>;
  /** Hands over what the kernel holds for these sockets, and tells of their drops up to now. */
  drain(sockets: readonly MediaSocket[]): Promise<void>;
  /** Handed over so far, to all sockets. */
  readonly packets: number;
  /** The longest that a datagram waited in the kernel since the last call, in ms; 0 if that cannot be seen. */
  takeLongestWait(): number;
}
