/** Receives by `node:dgram`: wherever Node runs. Drops of the kernel are read from `/proc`. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';
import { setImmediate as untilNextTurn } from 'node:timers/promises';
import { asSystemError } from '../system-error.ts';
import { KernelDrops } from './kernel-drops.ts';
import {
  type MediaSocket,
  RECEIVE_BUFFER_BYTES,
  type Receiver,
  type ReceiverOptions,
  type Remote,
  type SocketHandler,
} from './receiver.ts';

/** Under load, one turn of Node's event loop can take seconds. */
const PROGRESS_EVERY = 64;

/** Senders that go on must not keep a stream open: a full buffer takes a part of this. */
const MAX_DRAIN_MS = 2000;

class DgramSocket implements MediaSocket {
  readonly #socket: Socket;
  readonly #onClose: () => void;
  /** Handed over so far. */
  packets = 0;

  constructor(
    socket: Socket,
    handler: SocketHandler,
    countPacket: (arrivedAt: number) => void,
    onClose: () => void,
  ) {
    this.#socket = socket;
    this.#onClose = onClose;
    socket.on('message', (packet, remote) => {
      const arrivedAt = performance.now();
      this.packets++;
      handler.onPacket(packet, packet.length, arrivedAt, remote);
      countPacket(arrivedAt);
    });
    socket.on('error', (error) => handler.onError(asSystemError(error)));
  }

  get receiveBufferBytes(): number {
    return this.#socket.getRecvBufferSize();
  }

  send(packet: Uint8Array, { address, port }: Remote, done: (error: Error | null) => void): void {
    this.#socket.send(packet, port, address, done);
  }

  async close(): Promise<void> {
    this.#onClose();
    this.#socket.close();
    await once(this.#socket, 'close');
  }
}

export function dgramReceiver({ address, onProgress }: ReceiverOptions): Receiver {
  const drops = new KernelDrops(address);
  let packets = 0;
  const countPacket = (arrivedAt: number): void => {
    packets++;
    if (packets % PROGRESS_EVERY === 0) onProgress(arrivedAt);
  };

  async function bind(port: number): Promise<Socket> {
    const socket = createSocket({
      type: isIPv6(address) ? 'udp6' : 'udp4',
      recvBufferSize: RECEIVE_BUFFER_BYTES,
    });
    try {
      socket.bind({ address, port, exclusive: true });
      await once(socket, 'listening');
    } catch (error) {
      socket.close();
      throw error;
    }
    return socket;
  }

  /**
   * Waits until the event loop has read what the kernel holds: it reads some packets of a socket per turn, and the
   * first turn may have begun before the last packet came.
   */
  async function readAll(sockets: readonly DgramSocket[]): Promise<void> {
    const taken = () => sockets.reduce((sum, socket) => sum + socket.packets, 0);
    const endsAt = performance.now() + MAX_DRAIN_MS;
    for (let before = -1; before < taken() && performance.now() < endsAt; ) {
      before = taken();
      await untilNextTurn();
      await untilNextTurn();
    }
  }

  return {
    async open(port, handler) {
      const socket = await bind(port);
      const { port: boundPort } = socket.address();
      drops.watch(boundPort, (...event) => handler.onDrops(...event));
      return new DgramSocket(socket, handler, countPacket, () => drops.forget(boundPort));
    },
    async drain(sockets) {
      await readAll(sockets as readonly DgramSocket[]);
      await drops.look();
    },
    get packets() {
      return packets;
    },
    // Node tells no times of arrival: what waits shows as a late turn of the event loop only.
    takeLongestWait: () => 0,
  };
}
