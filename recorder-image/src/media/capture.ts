/**
 * Receiving media: opens streams on worker threads, spreads them, and gives out the ports.
 * A stream is a pair of UDP sockets and the journal of what they receive.
 */
import { type AddressRule, addressTest } from './address-rule.ts';
import type { CaptureService, CaptureWorkerData, StreamErrorEvent } from './capture-worker.ts';
import { NoPortsError, PortPool, type PortRange } from './port-pool.ts';
import type { StreamCounters } from './received-stream.ts';
import type { ReceiverKind } from './receivers/open-receiver.ts';
import { bufferWarning } from './receivers/receiver.ts';
import type { RtcpTerms } from './rtcp-reporter.ts';
import { WorkerCallError, WorkerChannel, type WorkerExitedError } from './worker-channel.ts';
import { isOverloaded, newPulse, type Pulse, packetsOf } from './worker-pulse.ts';

export type { AddressRule } from './address-rule.ts';
export { InvalidAddressRuleError } from './address-rule.ts';
export type { StreamErrorEvent } from './capture-worker.ts';
export { NoPortsError, type PortRange } from './port-pool.ts';
export type { StreamCounters } from './received-stream.ts';
export { chooseReceiver, type ReceiverKind } from './receivers/open-receiver.ts';
export type { RtcpTerms } from './rtcp-reporter.ts';
export type { SystemError } from './system-error.ts';
export { WorkerCallError, WorkerExitedError } from './worker-channel.ts';

const RTCP_INTERVAL_MS = 5000;
const PORT_REST_MS = 30_000;
/** With the flush after half a second, what is longer breaks the promise that a crash costs a second at most. */
const MAX_STALL_MS = 500;

/** What the SDP says of a stream. */
export interface StreamTerms {
  /** Who may send: packets from other addresses are counted and not recorded. */
  accept: AddressRule;
  rtcp?: RtcpTerms;
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
  /** Packets that wait for longer are a sign that a worker cannot keep up. Default: 500 ms. */
  maxStallMs?: number;
  /** A worker died, and with it these streams; their journals hold all but the last second. */
  onWorkerExit: (exit: { streamIds: number[]; error: WorkerExitedError }) => void;
  /** A stream's journal cannot be written any more, or a socket reports an error. Once for each. */
  onStreamError?: (event: StreamErrorEvent) => void;
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
  channel: WorkerChannel<CaptureService, StreamErrorEvent>;
  streamIds: Set<number>;
  pulse: Pulse;
}

export class MediaCapture {
  readonly #options: CaptureOptions;
  readonly #ports: PortPool;
  /** Those alive. */
  readonly #workers: CaptureWorker[];
  readonly #streams = new Map<number, { worker: CaptureWorker; rtpPort: number }>();
  #lastStreamId = 0;
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
      streamIds: new Set(),
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
        onEvent: (event) => this.#options.onStreamError?.(event),
        onExit: (error) => this.#onWorkerExit(worker, error),
      }),
    };
    return worker;
  }

  /** The streams stay known, so that closing them tells what became of them. */
  #onWorkerExit(worker: CaptureWorker, error: WorkerExitedError): void {
    this.#workers.splice(this.#workers.indexOf(worker), 1);
    const streamIds = [...worker.streamIds].filter((streamId) => this.#streams.has(streamId));
    this.#options.onWorkerExit({ streamIds, error });
  }

  /**
   * Opens a pair of ports and a journal at `journalPath`, which must not hold anything yet.
   * @throws NoPortsError every pair of the range is in use
   * @throws InvalidAddressRuleError
   * @throws WorkerCallError with the errno as `code` if a socket or the journal cannot be had (`ENOSPC`, `EACCES`)
   * @throws NoCaptureWorkerError | WorkerExitedError
   */
  async openStream({
    journalPath,
    accept,
    rtcp = {},
  }: StreamTerms & { journalPath: string }): Promise<OpenedStream> {
    addressTest(accept);
    for (let triesLeft = this.#ports.free; ; triesLeft--) {
      if (triesLeft === 0) throw new NoPortsError(this.#options.portRange);
      const worker = this.#leastLoaded();
      const rtpPort = this.#ports.take();
      const streamId = ++this.#lastStreamId;
      worker.streamIds.add(streamId);
      try {
        const { receiveBufferBytes } = await worker.channel.call('open', {
          streamId,
          rtpPort,
          journalPath,
          accept,
          rtcp,
        });
        this.#streams.set(streamId, { worker, rtpPort });
        return { streamId, rtpPort, rtcpPort: rtpPort + 1, receiveBufferBytes };
      } catch (error) {
        worker.streamIds.delete(streamId);
        this.#ports.giveBackUnused(rtpPort);
        const portTaken = error instanceof WorkerCallError && error.code === 'EADDRINUSE';
        if (!portTaken) throw error;
      }
    }
  }

  #leastLoaded(): CaptureWorker {
    const [first, ...others] = this.#workers;
    if (first === undefined) throw new NoCaptureWorkerError();
    return others.reduce(
      (least, worker) => (worker.streamIds.size < least.streamIds.size ? worker : least),
      first,
    );
  }

  /**
   * Applies a new offer to a stream that goes on, on the same ports and in the same journal.
   * @throws InvalidAddressRuleError | StreamNotOpenError
   * @throws WorkerExitedError the stream's worker has died
   */
  async updateStream(streamId: number, { accept, rtcp = {} }: StreamTerms): Promise<void> {
    addressTest(accept);
    const stream = this.#streams.get(streamId);
    if (stream === undefined) throw new StreamNotOpenError(streamId);
    await stream.worker.channel.call('update', { streamId, accept, rtcp });
  }

  /**
   * Closes the ports and the journal, which is complete when this resolves.
   * @throws StreamNotOpenError
   * @throws WorkerExitedError the stream's worker has died: the journal may lack the last second
   */
  async closeStream(streamId: number): Promise<StreamCounters> {
    const stream = this.#streams.get(streamId);
    if (stream === undefined) throw new StreamNotOpenError(streamId);
    this.#streams.delete(streamId);
    try {
      return await stream.worker.channel.call('close', { streamId });
    } finally {
      stream.worker.streamIds.delete(streamId);
      this.#ports.giveBack(stream.rtpPort);
    }
  }

  /** What each open stream has received so far; without those whose worker has died. */
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

  /** Pairs of ports that a stream could have now: those of finished ones rest for a while. */
  freePorts(): number {
    return this.#ports.free;
  }

  /** A worker cannot keep up, or could not some seconds ago: new streams would cost others their packets. */
  isOverloaded(): boolean {
    return this.#workers.some(({ pulse }) => isOverloaded(pulse, this.#maxStallMs));
  }

  /** Packets of any kind that the workers alive have taken in; a little behind. */
  packets(): number {
    return this.#workers.reduce((sum, { pulse }) => sum + packetsOf(pulse), 0);
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
    const workers = this.#workers.splice(0);
    await Promise.allSettled([...this.#streams.keys()].map((streamId) => this.closeStream(streamId)));
    await Promise.all(workers.map(({ channel }) => channel.stop()));
  }
}
