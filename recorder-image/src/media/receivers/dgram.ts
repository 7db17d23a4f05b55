/**
 * Receives by `node:dgram`: wherever Node runs. Drops of the kernel are read from `/proc`.
 *
 * An event for each packet costs four times as much as reading it from the file descriptor, which however tells no source
 * and makes an error of "there is none". So, where there are many sockets, those whose packets come steadily from one source
 * are read by turns, each when its next packet must have come; whatever is not of that source puts the socket back to
 * events, which tell who sends. (Nobody else can send under its SSRC unless he sees it, and then he could forge the address too.)
 * A packet that is read by turns is said to have arrived up to 30 ms after it did, seldom more.
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';
import { setImmediate as untilNextTurn } from 'node:timers/promises';
import { MAX_PACKET_BYTES } from '../journal.ts';
import { asSystemError } from '../system-error.ts';
import { KernelDrops } from './kernel-drops.ts';
import { ReadingPace } from './reading-pace.ts';
import {
  type MediaSocket,
  RECEIVE_BUFFER_BYTES,
  type Receiver,
  type ReceiverOptions,
  type Remote,
  type SocketHandler,
} from './receiver.ts';
import { SteadyFlow } from './steady-flow.ts';
import { readDatagram, type UdpHandle, udpHandleOf } from './udp-handle.ts';

/** Under load, one turn of Node's event loop can take seconds. */
const PROGRESS_EVERY = 64;

/** Senders that go on must not keep a stream open: a full buffer takes a part of this. */
const MAX_DRAIN_MS = 2000;

/** Up to here, 100 calls of two streams, events cost little, and tell the arrival exactly. */
const EVENTS_UP_TO_SOCKETS = 400;
const TURN_EVERY_MS = 10;
/** A socket that has more than that lets the others have their turn first. */
const MAX_PACKETS_PER_TURN = 64;

class DgramSocket implements MediaSocket {
  readonly #socket: Socket;
  readonly #handler: SocketHandler;
  readonly #owner: SocketOwner;
  readonly #flow = new SteadyFlow();
  /** Handed over so far. */
  packets = 0;
  /** While it is read by turns. */
  #turns: { readonly handle: UdpHandle; readonly pace: ReadingPace } | undefined;
  /** The packet that ended the turns: the next event may tell who sent it. */
  #unattributed: { readonly packet: Uint8Array; readonly arrivedAt: number } | undefined;

  constructor(socket: Socket, handler: SocketHandler, owner: SocketOwner) {
    this.#socket = socket;
    this.#handler = handler;
    this.#owner = owner;
    socket.on('message', (packet, remote) => this.#onMessage(packet, performance.now(), remote));
    socket.on('error', (error) => handler.onError(asSystemError(error)));
  }

  get receiveBufferBytes(): number {
    return this.#socket.getRecvBufferSize();
  }

  send(packet: Uint8Array, { address, port }: Remote, done: (error: Error | null) => void): void {
    this.#socket.send(packet, port, address, done);
  }

  async close(): Promise<void> {
    this.#turns = undefined; // the descriptor may be another file's from now on
    this.#owner.onClose(this);
    this.#socket.close();
    await once(this.#socket, 'close');
  }

  #onMessage(packet: Uint8Array, arrivedAt: number, remote: Remote): void {
    const isSteady = this.#flow.note(packet, packet.length, arrivedAt, remote);
    if (this.#unattributed) {
      const isSame = this.#flow.isOf(this.#unattributed.packet, this.#unattributed.packet.length);
      if (isSame || isSteady) this.#attribute(isSame ? remote : this.#owner.unknown);
    }
    this.#handOver(packet, packet.length, arrivedAt, remote);
    if (isSteady && this.#owner.hasMany) this.#beginTurns(arrivedAt);
  }

  #handOver(packet: Uint8Array, length: number, arrivedAt: number, remote: Remote): void {
    this.packets++;
    this.#handler.onPacket(packet, length, arrivedAt, remote);
    this.#owner.onPacket(arrivedAt);
  }

  #attribute(remote: Remote): void {
    if (this.#unattributed === undefined) return;
    const { packet, arrivedAt } = this.#unattributed;
    this.#unattributed = undefined;
    this.#handOver(packet, packet.length, arrivedAt, remote);
  }

  #beginTurns(now: number): void {
    const handle = udpHandleOf(this.#socket);
    if (handle === undefined || handle.recvStop() !== 0) return;
    this.#turns = { handle, pace: new ReadingPace(now, this.#flow.intervalMs) };
    this.#owner.onTurns(this, true);
  }

  #endTurns(): void {
    this.#turns?.handle.recvStart();
    this.#turns = undefined;
    this.#flow.interrupt();
    this.#owner.onTurns(this, false);
  }

  /** Reads what must have come; every now and then, all that has. */
  takeTurn(now: number): void {
    const pace = this.#turns?.pace;
    if (pace?.isAllDue(now)) {
      if (this.#readAll(MAX_PACKETS_PER_TURN) && !pace.noteEmpty(now)) this.#endTurns();
      return;
    }
    for (let count = 0; count < MAX_PACKETS_PER_TURN && pace?.isDue(now); count++) {
      if (!this.#read()) pace.noteNone(now + TURN_EVERY_MS);
    }
  }

  /** Hands over all that has come; what comes from now on comes as events. */
  finishTurns(): void {
    const endsAt = performance.now() + MAX_DRAIN_MS;
    while (this.#turns && !this.#readAll(MAX_PACKETS_PER_TURN) && performance.now() < endsAt);
    if (this.#turns) this.#endTurns();
    this.#attribute(this.#owner.unknown);
  }

  /** @returns whether nothing is left, and turns go on */
  #readAll(most: number): boolean {
    for (let count = 0; count < most; count++) if (!this.#read()) return this.#turns !== undefined;
    return false;
  }

  /** @returns whether there was a packet, and the next one may be read too */
  #read(): boolean {
    if (this.#turns === undefined) return false;
    const { handle, pace } = this.#turns;
    const { buffer } = this.#owner;
    const length = this.#readDatagram(handle.fd, buffer);
    if (length < 0) return false;
    const arrivedAt = performance.now();
    pace.notePacket();
    if (this.#flow.isOf(buffer, length)) {
      this.#handOver(buffer, length, arrivedAt, this.#flow.remote);
      return true;
    }
    this.#attribute(this.#owner.unknown);
    this.#unattributed = { packet: buffer.slice(0, length), arrivedAt };
    this.#endTurns();
    return false;
  }

  /** @returns its length, or -1 if there is none; events tell more of errors */
  #readDatagram(fd: number, buffer: Uint8Array): number {
    try {
      return readDatagram(fd, buffer);
    } catch (error) {
      this.#endTurns();
      this.#handler.onError(asSystemError(error as Error));
      return -1;
    }
  }
}

/** What the sockets of a receiver have in common. */
interface SocketOwner {
  readonly hasMany: boolean;
  /** One byte longer than what is recorded, which shows what is too long. */
  readonly buffer: Uint8Array;
  /** A sender whom nothing tells: of no network but that of all. */
  readonly unknown: Remote;
  onPacket(arrivedAt: number): void;
  /** The socket is read by turns from now on, or no more. */
  onTurns(socket: DgramSocket, isRead: boolean): void;
  onClose(socket: DgramSocket): void;
}

export interface DgramReceiver extends Receiver {
  /** Sockets that are read by turns at present. */
  readonly byTurns: number;
}

/** @param eventsUpTo with more sockets than that, steady ones are read by turns */
export function dgramReceiver(
  { address, onProgress }: ReceiverOptions,
  eventsUpTo = EVENTS_UP_TO_SOCKETS,
): DgramReceiver {
  const drops = new KernelDrops(address);
  const ports = new Map<DgramSocket, number>();
  const byTurns = new Set<DgramSocket>();
  let packets = 0;

  const owner: SocketOwner = {
    buffer: new Uint8Array(MAX_PACKET_BYTES + 1),
    unknown: { address: isIPv6(address) ? '::' : '0.0.0.0', port: 0 },
    get hasMany() {
      return ports.size > eventsUpTo;
    },
    onPacket(arrivedAt) {
      packets++;
      if (packets % PROGRESS_EVERY === 0) onProgress(arrivedAt);
    },
    onTurns(socket, isRead) {
      if (isRead) byTurns.add(socket);
      else byTurns.delete(socket);
    },
    onClose(socket) {
      drops.forget(ports.get(socket) as number);
      ports.delete(socket);
      byTurns.delete(socket);
    },
  };

  setInterval(() => {
    for (const socket of byTurns) socket.takeTurn(performance.now());
  }, TURN_EVERY_MS).unref();

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
      const opened = new DgramSocket(socket, handler, owner);
      ports.set(opened, boundPort);
      return opened;
    },
    async drain(sockets) {
      for (const socket of sockets as readonly DgramSocket[]) socket.finishTurns();
      await readAll(sockets as readonly DgramSocket[]);
      await drops.look();
    },
    get packets() {
      return packets;
    },
    get byTurns() {
      return byTurns.size;
    },
    // Node tells no times of arrival: what waits shows as a late turn of the event loop only.
    takeLongestWait: () => 0,
  };
}
