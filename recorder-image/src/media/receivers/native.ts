/**
 * Receives by the compiled addon: every 60 ms, three packets of most streams, it takes from all sockets at once what has
 * come, into memory that is used again and again. The kernel tells when each datagram arrived, so that waiting for the next
 * time costs no accuracy, and how many it had dropped until then.
 */
import { getSystemErrorName } from 'node:util';
import { asSystemError } from '../system-error.ts';
import { FIELD, FLAG, loadNativeAddon, type NativeAddon } from './native-addon.ts';
import {
  type MediaSocket,
  RECEIVE_BUFFER_BYTES,
  type Receiver,
  type ReceiverOptions,
  type Remote,
  type SocketHandler,
} from './receiver.ts';

const RECEIVE_EVERY_MS = 60;
/** Longer than this at a time, receiving would hold up the answers to the main thread. */
const MAX_TURN_MS = 20;

const NOWHERE: Remote = { address: '', port: 0 };

function systemError(result: number, what: string): NodeJS.ErrnoException {
  const code = getSystemErrorName(result);
  return Object.assign(new Error(`${what} ${code}`), { code, errno: result });
}

class NativeSocket implements MediaSocket {
  readonly #addon: NativeAddon;
  readonly #onClose: () => void;
  readonly number: number;
  readonly handler: SocketHandler;
  readonly receiveBufferBytes: number;
  remote = NOWHERE;
  /** As told so far. */
  drops = 0;
  /** When the last datagram arrived; at first, when the socket was opened. */
  arrivedAt = performance.now();

  constructor(addon: NativeAddon, number: number, handler: SocketHandler, onClose: () => void) {
    this.#addon = addon;
    this.#onClose = onClose;
    this.number = number;
    this.handler = handler;
    this.receiveBufferBytes = addon.receiveBufferBytes(number);
  }

  send(packet: Uint8Array, { address, port }: Remote, done: (error: Error | null) => void): void {
    const result = this.#addon.send(this.number, packet, address, port);
    done(result < 0 ? systemError(result, 'send') : null);
  }

  noteDrops(drops: number, until: number): void {
    if (drops > this.drops) this.handler.onDrops(drops - this.drops, this.arrivedAt, until);
    this.drops = drops;
  }

  async close(): Promise<void> {
    this.#onClose();
    this.#addon.close(this.number);
  }
}

/** @throws Error if the addon is not there */
export function nativeReceiver({ address, onProgress }: ReceiverOptions): Receiver {
  const addon = loadNativeAddon();
  const { batch, fields, slotBytes } = addon;
  const arena = new Uint8Array(batch * slotBytes);
  const facts = new Int32Array(batch * fields);
  const slots = Array.from({ length: batch }, (_, slot) =>
    arena.subarray(slot * slotBytes, (slot + 1) * slotBytes),
  );
  /** By their numbers. */
  const sockets: (NativeSocket | undefined)[] = [];
  let packets = 0;
  let longestWaitMs = 0;
  /** Nothing that is in the kernel came before this: it was empty then. */
  let emptyAt = performance.now();
  let isContinuing = false;

  function handOver(slot: number, calledAt: number): void {
    const at = slot * fields;
    const socket = sockets[facts[at + FIELD.socket] as number];
    const length = facts[at + FIELD.length] as number;
    if (socket === undefined) return;
    if (length < 0) {
      socket.handler.onError(asSystemError(systemError(length, 'recvmmsg')));
      return;
    }
    // The wall clock, which the age is told from, may have been set; this one is right.
    const arrivedAt = Math.max(emptyAt, calledAt - (facts[at + FIELD.ageMicros] as number) / 1000);
    const flags = facts[at + FIELD.flags] as number;
    if (flags !== 0) {
      if (flags & FLAG.source) socket.remote = addon.sourceOf(slot);
      if (flags & FLAG.drops) socket.noteDrops((facts[at + FIELD.drops] as number) >>> 0, arrivedAt);
    }
    socket.arrivedAt = arrivedAt;
    if (calledAt - arrivedAt > longestWaitMs) longestWaitMs = calledAt - arrivedAt;
    socket.handler.onPacket(slots[slot] as Uint8Array, length, arrivedAt, socket.remote);
  }

  /** @returns whether there may be more */
  function receiveBatch(): boolean {
    const calledAt = performance.now();
    const count = addon.receive(arena, facts);
    for (let slot = 0; slot < count; slot++) handOver(slot, calledAt);
    packets += count;
    onProgress(calledAt);
    if (count === batch) return true;
    emptyAt = calledAt;
    return false;
  }

  /** Datagrams that come after `until` may come faster than they can be taken. */
  function drain(socket: NativeSocket, until: number): void {
    for (let count = batch; count === batch && socket.arrivedAt < until; ) {
      const calledAt = performance.now();
      count = addon.receiveFrom(socket.number, arena, facts);
      for (let slot = 0; slot < count; slot++) handOver(slot, calledAt);
      packets += count;
    }
  }

  function receive(): void {
    isContinuing = false;
    const endsAt = performance.now() + MAX_TURN_MS;
    while (receiveBatch()) {
      if (performance.now() < endsAt) continue;
      isContinuing = true;
      setImmediate(receive);
      return;
    }
  }

  setInterval(() => {
    if (!isContinuing) receive();
  }, RECEIVE_EVERY_MS);

  return {
    async open(port, handler) {
      const number = addon.open(address, port, RECEIVE_BUFFER_BYTES);
      if (number < 0) throw systemError(number, `bind ${address}:${port}`);
      const socket = new NativeSocket(addon, number, handler, () => {
        sockets[number] = undefined;
      });
      sockets[number] = socket;
      return socket;
    },
    async drain(drained) {
      const startedAt = performance.now();
      for (const socket of drained as readonly NativeSocket[]) {
        drain(socket, startedAt);
        socket.noteDrops(addon.drops(socket.number), performance.now());
      }
    },
    get packets() {
      return packets;
    },
    takeLongestWait() {
      const waitedMs = longestWaitMs;
      longestWaitMs = 0;
      return waitedMs;
    },
  };
}
