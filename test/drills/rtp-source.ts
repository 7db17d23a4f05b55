/** The media of a drill's calls: streams that are sent by a thread of their own, in real time. */
import { Worker } from 'node:worker_threads';
import type {
  Destination,
  OpenedStream,
  RtpSourceCall,
  RtpSourceService,
  SentPackets,
} from './rtp-source-worker.ts';

export class RtpSource {
  readonly #worker = new Worker(new URL('./rtp-source-worker.ts', import.meta.url));
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #calls = 0;
  #failure: Error | undefined;

  constructor() {
    this.#worker.on('message', ({ id, result }) => {
      this.#waiting.get(id)?.resolve(result);
      this.#waiting.delete(id);
    });
    this.#worker.on('error', (error: Error) => {
      this.#failure = error;
      for (const { reject } of this.#waiting.values()) reject(error);
    });
  }

  /** Opens new streams, whose source ports stay. */
  open(streams: number): Promise<OpenedStream[]> {
    return this.#call('open', streams);
  }

  /** Begins to send streams, together. */
  start(destinations: Destination[]): Promise<void> {
    return this.#call('start', destinations);
  }

  /** Ends streams, together, and closes their ports. */
  stop(streams: number[]): Promise<SentPackets[]> {
    return this.#call('stop', streams);
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  #call<Method extends keyof RtpSourceService>(
    method: Method,
    argument: Parameters<RtpSourceService[Method]>[0],
  ): Promise<Awaited<ReturnType<RtpSourceService[Method]>>> {
    if (this.#failure) return Promise.reject(this.#failure);
    const id = ++this.#calls;
    const waiting = Promise.withResolvers<unknown>();
    this.#waiting.set(id, waiting);
    this.#worker.postMessage({ id, method, argument } satisfies RtpSourceCall);
    return waiting.promise as Promise<Awaited<ReturnType<RtpSourceService[Method]>>>;
  }
}
