/**
 * Worker thread that receives media. `capture.ts` is its other side; `received-stream.ts` is the way of a packet.
 */
import { workerData } from 'node:worker_threads';
import type { AddressRule } from './address-rule.ts';
import type { ProtectionPeriod } from './decrypt-journal.ts';
import { ReceivedStream, type StreamCounters } from './received-stream.ts';
import { openReceiver, type ReceiverKind } from './receivers/open-receiver.ts';
import type { SocketHandler } from './receivers/receiver.ts';
import type { RtcpTerms } from './rtcp-reporter.ts';
import type { StreamSource } from './source-gate.ts';
import type { SystemError } from './system-error.ts';
import { sendEvent, serve } from './worker-channel.ts';
import { beat, noteDrops, noteStall, type Pulse, showPackets } from './worker-pulse.ts';

/** Of the second that a crash may cost; the rest is for a stall. */
const FLUSH_AFTER_MS = 600;
/** Streams have their turns in groups, one group a tick, which spreads the writes. */
const TICK_MS = 20;
const GROUPS = 5;

export interface CaptureWorkerData {
  receiver: ReceiverKind;
  /** Local address to bind to. */
  address: string;
  /** Between two receiver reports of a stream, on average. */
  rtcpIntervalMs: number;
  /** What the worker shows of itself. */
  pulse: Pulse;
  /** Packets that have waited for longer are a stall. */
  maxStallMs: number;
}

export interface OpenRequest {
  streamId: number;
  rtpPort: number;
  journalPath: string;
  accept: AddressRule;
  rtcp: RtcpTerms;
  decrypt: readonly ProtectionPeriod[] | undefined;
  /** One of these must come first; none if any may. */
  knownSsrcs: readonly number[];
}

export interface UpdateRequest {
  streamId: number;
  accept: AddressRule;
  rtcp: RtcpTerms;
  decrypt: readonly ProtectionPeriod[] | undefined;
}

/** Sent once for each stream and kind; `reopen`: it could not be opened again after the death of its worker. */
export interface StreamErrorEvent {
  streamId: number;
  kind: 'write' | 'receive' | 'reopen';
  error: SystemError;
}

/** What a worker tells unasked. */
export type StreamEvent = StreamErrorEvent | { streamId: number; kind: 'source'; source: StreamSource };

const { address, rtcpIntervalMs, pulse, maxStallMs, ...data } = workerData as CaptureWorkerData;
const streams = new Map<number, ReceivedStream>();
const groups = Array.from({ length: GROUPS }, () => new Set<ReceivedStream>());
let ticks = 0;
let lastTickAt = performance.now();
const receiver = openReceiver(data.receiver, { address, onProgress: tickIfDue });

/** The turn of the next group. Timers may come a little early. */
function tickIfDue(now: number): void {
  if (now - lastTickAt < TICK_MS - 2) return;
  lastTickAt = now;
  for (const stream of groups[ticks++ % GROUPS] ?? []) stream.tick(now, FLUSH_AFTER_MS);
  showPackets(pulse, receiver.packets);
}

/** Binds both sockets and creates the journal. Fails with the errno of whatever could not be had. */
async function open({ streamId, ...request }: OpenRequest) {
  const tell = (kind: StreamErrorEvent['kind']) => (error: SystemError) =>
    sendEvent({ streamId, kind, error } satisfies StreamErrorEvent);
  const stream = await ReceivedStream.open(receiver, {
    ...request,
    address,
    rtcpIntervalMs,
    onSource: (source) => sendEvent({ streamId, kind: 'source', source } satisfies StreamEvent),
    onWriteError: tell('write'),
    onReceiveError: tell('receive'),
    onDrops: (packets) => noteDrops(pulse, packets),
  });
  streams.set(streamId, stream);
  groups[streamId % GROUPS]?.add(stream);
  return { receiveBufferBytes: stream.receiveBufferBytes };
}

function openStream(streamId: number): ReceivedStream {
  const stream = streams.get(streamId);
  if (stream === undefined) throw new Error(`stream ${streamId} is not open`);
  return stream;
}

const update = ({ streamId, ...terms }: UpdateRequest): Promise<void> =>
  openStream(streamId).update(receiver, terms);

/** Takes in what the sockets still hold, and closes them and the journal. */
async function close({ streamId }: { streamId: number }): Promise<StreamCounters> {
  const stream = openStream(streamId);
  streams.delete(streamId);
  groups[streamId % GROUPS]?.delete(stream);
  return stream.close(receiver);
}

const counters = (): Map<number, StreamCounters> =>
  new Map(Array.from(streams, ([streamId, stream]) => [streamId, stream.counters]));

/** Shows that the worker is ready, and how large a receive buffer the kernel grants; nothing if it gives no socket. */
async function probe(): Promise<number | undefined> {
  const handler: SocketHandler = { onPacket() {}, onDrops() {}, onError() {} };
  const socket = await receiver.open(0, handler).catch(() => undefined);
  const bytes = socket?.receiveBufferBytes;
  await socket?.close();
  return bytes;
}

const service = { probe, open, update, close, counters };
export type CaptureService = typeof service;

beat(pulse);
serve(service);

let lastTurnAt = performance.now();
setInterval(() => {
  const now = performance.now();
  tickIfDue(now);
  // A late turn of the event loop means that the disk or too many packets hold up all streams of the worker.
  const waitedMs = Math.max(performance.now() - lastTurnAt, receiver.takeLongestWait());
  lastTurnAt = now;
  if (waitedMs > maxStallMs) noteStall(pulse);
  beat(pulse);
}, TICK_MS);
