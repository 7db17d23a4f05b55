/**
 * Receiving media: opens streams on worker threads, spreads them, and gives out the ports.
 * A stream is a pair of UDP sockets and the journal of what they receive.
 *
 * A worker that dies is replaced at once, and its streams go on in the new one, on the same ports and in the next
 * segment of their journals: the senders do not notice.
 */
import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { nextSegment } from '../storage/journal-files.ts';
import { type AddressRule, addressTest } from './address-rule.ts';
import type {
  CaptureService,
  CaptureWorkerData,
  OpenRequest,
  StreamErrorEvent,
  StreamEvent,
} from './capture-worker.ts';
import type { ProtectionPeriod } from './decrypt-journal.ts';
import { NoPortsError, PortPool, type PortRange } from './port-pool.ts';
import type { StreamCounters } from './received-stream.ts';
import type { ReceiverKind } from './receivers/open-receiver.ts';
import { bufferWarning } from './receivers/receiver.ts';
import type { RtcpTerms } from './rtcp-reporter.ts';
import type { StreamSource } from './source-gate.ts';
import { WorkerCallError, WorkerChannel, WorkerExitedError } from './worker-channel.ts';
import { dropsOf, isOverloaded, newPulse, type Pulse, packetsOf } from './worker-pulse.ts';

export type { AddressRule } from './address-rule.ts';
export { InvalidAddressRuleError } from './address-rule.ts';
export type { StreamErrorEvent } from './capture-worker.ts';
export { NoPortsError, type PortRange } from './port-pool.ts';
export type { StreamCounters } from './received-stream.ts';
export { chooseReceiver, type ReceiverKind } from './receivers/open-receiver.ts';
export type { RtcpTerms } from './rtcp-reporter.ts';
export type { StreamSource } from './source-gate.ts';
export type { SystemError } from './system-error.ts';
export { WorkerCallError, WorkerExitedError } from './worker-channel.ts';

const RTCP_INTERVAL_MS = 5000;
const PORT_REST_MS = 30_000;
/** With the flush after 600 ms, what is longer breaks the promise that a crash costs a second at most. */
const MAX_STALL_MS = 400;
/** A packet is garbage at once: with little room its memory is used again while the processor's cache still has it. */
const MAX_YOUNG_GENERATION_MB = 2;

/** A worker that lived shorter may die of something that is still there: its replacement waits, twice as long each time. */
const SHORT_LIFE_MS = 10_000;
const FIRST_REPLACEMENT_DELAY_MS = 1_000;
const LAST_REPLACEMENT_DELAY_MS = 30_000;

/** How often an opening is tried again that a worker's death has cut off. */
const MAX_OPENINGS = 3;

/** What the SDP says of a stream. */
export interface StreamTerms {
  /** Who may send: packets from other addresses are counted and not recorded. */
  accept: AddressRule;
  rtcp?: RtcpTerms;
  /** Where the journal is to be in clear: what the offers so far have told of the encryption. The same way from the start. */
  decrypt?: readonly ProtectionPeriod[];
}

export interface CaptureOptions {
  /** Worker threads that receive. */
  workers: number;
  /** Local address that sockets are bound to. */
  address: string;
  portRange: PortRange;
  /** Between two receiver reports of a stream, on average. Default: the 5 s of RFC 3550 6.2. */
  rtcpIntervalMs?: number;
  /** How workers take packets from the kernel. Default: `dgram`. */
  receiver?: ReceiverKind;
  /** Between two uses of a pair of ports. Default: 30 s. */
  portRestMs?: number;
  /** Packets that wait for longer are a sign that a worker cannot keep up. Default: 400 ms. */
  maxStallMs?: number;
  /** A worker died; these streams go on in another one, less what came meanwhile and in the last second before. */
  onWorkerExit: (exit: { streamIds: number[]; error: WorkerExitedError }) => void;
  /** They receive again: so many, all that could be opened again. */
  onWorkerReplaced?: (replaced: { streams: number }) => void;
  /** A stream's journal cannot be written any more, or a socket reports an error. Once for each. */
  onStreamError?: (event: StreamErrorEvent) => void;
}

/** What to open. */
export interface StreamOpening extends StreamTerms {
  /** Of the first segment. */
  journalPath: string;
  /** A new source of the stream has been heard for the first time; of the first 31. */
  onSource?: (source: StreamSource) => void;
}

/** A stream of a dead recorder, whose sender still sends to this port. */
export interface StreamReopening extends StreamOpening {
  rtpPort: number;
  /** Nothing is recorded before a packet from one of these comes; none means that all are welcome. */
  knownSsrcs: readonly number[];
}

export interface OpenedStream {
  streamId: number;
  rtpPort: number;
  rtcpPort: number;
  /** Receive buffer that the kernel granted for the RTP socket. */
  receiveBufferBytes: number;
}

/** The stream is not open: never opened, closed already, or capture has been stopped. */
export class StreamNotOpenError extends Error {
  readonly streamId: number;

  constructor(streamId: number) {
    super(`stream ${streamId} is not open`);
    this.name = 'StreamNotOpenError';
    this.streamId = streamId;
  }
}

/** No worker is left to receive: all have died, or capture has been stopped. */
export class NoCaptureWorkerError extends Error {
  constructor() {
    super('no worker thread is left to receive media');
    this.name = 'NoCaptureWorkerError';
  }
}

interface CaptureWorker {
  channel: WorkerChannel<CaptureService, StreamEvent>;
  /** Those that it receives, or is to open. */
  streams: Set<Stream>;
  startedAt: number;
  pulse: Pulse;
}

interface Stream {
  streamId: number;
  opening: StreamOpening;
  knownSsrcs: readonly number[];
  rtpPort: number;
  worker: CaptureWorker;
  /** Settles when it has been opened again after the death of its worker. Never rejects. */
  reopened?: Promise<void>;
  /** Why it could not be. */
  lost?: Error;
}

export class MediaCapture {
  readonly #options: CaptureOptions;
  readonly #ports: PortPool;
  /** Those alive. */
  readonly #workers: CaptureWorker[];
  readonly #streams = new Map<number, Stream>();
  readonly #stopped = new AbortController();
  /** Of workers that have died. */
  readonly #pastCounts = { packets: 0, drops: 0 };
  #replacedWorkers = 0;
  #lastStreamId = 0;
  #replacementDelayMs = 0;
  #warning: string | undefined;

  /**
   * @throws RangeError if the port range holds no pair, or `workers` is not a positive number
   * @throws WorkerExitedError if a worker cannot be started
   */
  static async start(options: CaptureOptions): Promise<MediaCapture> {
    const capture = new MediaCapture(options);
    try {
      const [booked] = await Promise.all(
        capture.#workers.map(({ channel }) => channel.call('probe', undefined)),
      );
      capture.#warning = booked === undefined ? undefined : bufferWarning(booked);
    } catch (error) {
      await capture.stop();
      throw error;
    }
    return capture;
  }

  private constructor(options: CaptureOptions) {
    if (!(options.workers >= 1)) throw new RangeError(`${options.workers} capture workers cannot receive`);
    this.#options = options;
    this.#ports = new PortPool(options.portRange, options.portRestMs ?? PORT_REST_MS);
    this.#workers = Array.from({ length: options.workers }, () => this.#startWorker());
  }

  #startWorker(): CaptureWorker {
    const pulse = newPulse();
    const worker: CaptureWorker = {
      streams: new Set(),
      startedAt: performance.now(),
      pulse,
      channel: new WorkerChannel({
        script: 'capture-worker',
        workerData: {
          receiver: this.#options.receiver ?? 'dgram',
          address: this.#options.address,
          rtcpIntervalMs: this.#options.rtcpIntervalMs ?? RTCP_INTERVAL_MS,
          pulse,
          maxStallMs: this.#maxStallMs,
        } satisfies CaptureWorkerData,
        resourceLimits: { maxYoungGenerationSizeMb: MAX_YOUNG_GENERATION_MB },
        onEvent: (event) => this.#onEvent(event),
        onExit: (error) => this.#onWorkerExit(worker, error),
      }),
    };
    return worker;
  }

  #onEvent(event: StreamEvent): void {
    if (event.kind === 'source') this.#streams.get(event.streamId)?.opening.onSource?.(event.source);
    else this.#options.onStreamError?.(event);
  }

  #onWorkerExit(worker: CaptureWorker, error: WorkerExitedError): void {
    this.#workers.splice(this.#workers.indexOf(worker), 1);
    this.#pastCounts.packets += packetsOf(worker.pulse);
    this.#pastCounts.drops += dropsOf(worker.pulse);
    if (this.#stopped.signal.aborted) return;
    const streams = [...worker.streams].filter(({ streamId }) => this.#streams.has(streamId));
    const replacement = this.#replacementOf(worker);
    replacement.catch(() => {}); // capture has been stopped while it waited
    for (const stream of streams) stream.reopened = this.#reopen(stream, replacement);
    this.#options.onWorkerExit({ streamIds: streams.map(({ streamId }) => streamId), error });
    void Promise.all(streams.map(({ reopened }) => reopened)).then(() => {
      if (this.#stopped.signal.aborted) return;
      this.#options.onWorkerReplaced?.({ streams: streams.filter(({ lost }) => !lost).length });
    });
  }

  /** The first one is there when this returns: new streams need not wait. */
  async #replacementOf({ startedAt }: CaptureWorker): Promise<CaptureWorker> {
    const isShort = performance.now() - startedAt < SHORT_LIFE_MS;
    const delayMs = isShort ? this.#replacementDelayMs : 0;
    this.#replacementDelayMs = Math.min(
      LAST_REPLACEMENT_DELAY_MS,
      isShort ? Math.max(FIRST_REPLACEMENT_DELAY_MS, 2 * delayMs) : 0,
    );
    if (delayMs > 0) await delay(delayMs, undefined, { signal: this.#stopped.signal });
    const worker = this.#startWorker();
    this.#workers.push(worker);
    this.#replacedWorkers++;
    return worker;
  }

  async #reopen(stream: Stream, replacement: Promise<CaptureWorker>): Promise<void> {
    try {
      const worker = await replacement;
      if (this.#streams.get(stream.streamId) === stream)
        await this.#openIn(worker, stream, await segmentAfter(stream));
    } catch (error) {
      if (this.#stopped.signal.aborted || error instanceof WorkerExitedError) return; // stopped, or opened once more
      stream.lost = error as Error;
      const { code = 'EUNKNOWN', message } = error as NodeJS.ErrnoException;
      this.#options.onStreamError?.({ streamId: stream.streamId, kind: 'reopen', error: { code, message } });
    }
  }

  /** The port, the journal and the terms as they are now. */
  async #openIn(worker: CaptureWorker, stream: Stream, journalPath: string): Promise<number> {
    const { streamId, rtpPort, knownSsrcs, opening } = stream;
    stream.worker.streams.delete(stream);
    stream.worker = worker;
    worker.streams.add(stream);
    const { accept, rtcp = {}, decrypt } = opening;
    const request: OpenRequest = { streamId, rtpPort, journalPath, accept, rtcp, decrypt, knownSsrcs };
    const { receiveBufferBytes } = await worker.channel.call('open', request);
    return receiveBufferBytes;
  }

  /** Worker threads that receive. */
  get workers(): number {
    return this.#workers.length;
  }

  /**
   * Opens a pair of ports and a journal at `journalPath`, which must not hold anything yet.
   * @throws NoPortsError every pair of the range is in use
   * @throws InvalidAddressRuleError
   * @throws WorkerCallError with the errno as `code` if a socket or the journal cannot be had (`ENOSPC`, `EACCES`)
   * @throws NoCaptureWorkerError | WorkerExitedError
   */
  async openStream(opening: StreamOpening): Promise<OpenedStream> {
    addressTest(opening.accept);
    for (let triesLeft = this.#ports.free; ; triesLeft--) {
      if (triesLeft === 0) throw new NoPortsError(this.#options.portRange);
      const rtpPort = this.#ports.take();
      try {
        return await this.#open({ ...opening, rtpPort, knownSsrcs: [] }, opening.journalPath);
      } catch (error) {
        this.#ports.giveBackUnused(rtpPort);
        const portTaken = error instanceof WorkerCallError && error.code === 'EADDRINUSE';
        if (!portTaken) throw error;
      }
    }
  }

  /**
   * Opens a stream of a recorder that died, on the port that its sender knows and in the next segment of its journal.
   * @throws as `openStream`; WorkerCallError with `EADDRINUSE` if another program has the port
   */
  async reopenStream(reopening: StreamReopening): Promise<OpenedStream> {
    addressTest(reopening.accept);
    this.#ports.reserve(reopening.rtpPort);
    try {
      return await this.#open(reopening, await segmentAfter({ opening: reopening }));
    } catch (error) {
      this.#ports.giveBack(reopening.rtpPort);
      throw error;
    }
  }

  async #open(
    { rtpPort, knownSsrcs, ...opening }: StreamReopening,
    journalPath: string,
  ): Promise<OpenedStream> {
    const streamId = ++this.#lastStreamId;
    for (let openings = 1; ; openings++) {
      const worker = this.#leastLoaded();
      const stream: Stream = { streamId, opening, knownSsrcs, rtpPort, worker };
      try {
        const path = openings === 1 ? journalPath : await segmentAfter(stream);
        const receiveBufferBytes = await this.#openIn(worker, stream, path);
        this.#streams.set(streamId, stream);
        return { streamId, rtpPort, rtcpPort: rtpPort + 1, receiveBufferBytes };
      } catch (error) {
        worker.streams.delete(stream);
        if (!(error instanceof WorkerExitedError) || openings === MAX_OPENINGS) throw error;
      }
    }
  }

  #leastLoaded(): CaptureWorker {
    const [first, ...others] = this.#workers;
    if (first === undefined) throw new NoCaptureWorkerError();
    return others.reduce(
      (least, worker) => (worker.streams.size < least.streams.size ? worker : least),
      first,
    );
  }

  /** An open stream, as soon as no reopening of it is under way. */
  async #settled(streamId: number): Promise<Stream> {
    const stream = this.#streams.get(streamId);
    if (stream === undefined) throw new StreamNotOpenError(streamId);
    for (let seen: Stream['reopened']; seen !== stream.reopened; ) {
      seen = stream.reopened;
      await seen;
    }
    return stream;
  }

  /**
   * Applies a new offer to a stream that goes on, on the same ports and in the same journal.
   * @throws InvalidAddressRuleError | StreamNotOpenError
   * @throws Error the stream was lost with its worker, and could not be opened again
   */
  async updateStream(streamId: number, { accept, rtcp = {}, decrypt }: StreamTerms): Promise<void> {
    addressTest(accept);
    const stream = await this.#settled(streamId);
    // Also for the next worker, should this one die over it.
    stream.opening = { ...stream.opening, accept, rtcp, ...(decrypt && { decrypt }) };
    if (stream.lost) throw stream.lost;
    try {
      await stream.worker.channel.call('update', { streamId, accept, rtcp, decrypt });
    } catch (error) {
      if (!(error instanceof WorkerExitedError)) throw error;
      await this.#settled(streamId);
    }
  }

  /**
   * Closes the ports and the journal, which is complete when this resolves.
   * @throws StreamNotOpenError
   * @throws WorkerExitedError the stream's worker has died over it: the journal may lack the last second
   * @throws Error the stream was lost with its worker, and could not be opened again
   */
  async closeStream(streamId: number): Promise<StreamCounters> {
    const stream = await this.#settled(streamId);
    if (!this.#streams.delete(streamId)) throw new StreamNotOpenError(streamId);
    try {
      if (stream.lost) throw stream.lost;
      return await stream.worker.channel.call('close', { streamId });
    } finally {
      stream.worker.streams.delete(stream);
      this.#ports.giveBack(stream.rtpPort);
    }
  }

  /** What each open stream has received so far; without those that no worker receives. */
  async counters(): Promise<Map<number, StreamCounters>> {
    const snapshots = await Promise.allSettled(
      this.#workers.map(({ channel }) => channel.call('counters', undefined)),
    );
    return new Map(
      snapshots.flatMap((snapshot) => (snapshot.status === 'fulfilled' ? [...snapshot.value] : [])),
    );
  }

  /** What the system should be set to, if it is not. */
  get warning(): string | undefined {
    return this.#warning;
  }

  /** Pairs of ports in the range. */
  get portPairs(): number {
    return this.#ports.size;
  }

  /** Pairs of ports that a stream could have now: those of finished ones rest for a while. */
  freePorts(): number {
    return this.#ports.free;
  }

  /** A worker cannot keep up, or could not some seconds ago: new streams would cost others their packets. */
  isOverloaded(): boolean {
    return this.#workers.some(({ pulse }) => isOverloaded(pulse, this.#maxStallMs));
  }

  /** Packets of any kind that were taken in since the start; a little behind. */
  packets(): number {
    return this.#workers.reduce((sum, { pulse }) => sum + packetsOf(pulse), this.#pastCounts.packets);
  }

  /** Packets that the kernel dropped since the start, for want of room in a socket's buffer. */
  drops(): number {
    return this.#workers.reduce((sum, { pulse }) => sum + dropsOf(pulse), this.#pastCounts.drops);
  }

  /** Worker threads that were started in place of dead ones. */
  get replacedWorkers(): number {
    return this.#replacedWorkers;
  }

  get #maxStallMs(): number {
    return this.#options.maxStallMs ?? MAX_STALL_MS;
  }

  /** Kills one of the workers, as a crash would. For drills. */
  async crashWorker(index: number): Promise<void> {
    await this.#workers[index]?.channel.crash();
  }

  /** Closes all streams and ends the workers. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await Promise.allSettled([...this.#streams.keys()].map((streamId) => this.closeStream(streamId)));
    await Promise.all(this.#workers.splice(0).map(({ channel }) => channel.stop()));
  }
}

/** What a dead writer has left is not written to. */
async function segmentAfter({ opening: { journalPath } }: Pick<Stream, 'opening'>): Promise<string> {
  const directory = dirname(journalPath);
  return join(directory, nextSegment(await readdir(directory), basename(journalPath)));
}
