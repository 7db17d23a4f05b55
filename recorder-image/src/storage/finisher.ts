/**
 * Works off the spool: finishes recordings one after the other as they end, and tries again until S3 has them.
 * Order does not matter, and a recording that cannot be finished never holds up the others.
 */
import { mkdir, rename } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Logger } from 'pino';
import { type FinishDependencies, finishRecording } from './finish.ts';
import { SessionRecordError } from './session-record.ts';

const CONCURRENCY = 4;

/** Milliseconds to the second try; each further wait is twice as long, up to `lastMs`. */
export interface RetryDelays {
  firstMs: number;
  lastMs: number;
}
const RETRY_DELAYS: RetryDelays = { firstMs: 1_000, lastMs: 60_000 };

export interface FinisherCounters {
  finished: number;
  failedTries: number;
  /** Waiting, in work, or waiting for the next try. */
  pending: number;
}

export class Finisher {
  readonly #dependencies: FinishDependencies;
  readonly #logger: Logger;
  readonly #delays: RetryDelays;
  readonly #queue: { directory: string; tries: number }[] = [];
  readonly #waiting = new Set<NodeJS.Timeout>();
  #working = 0;
  #stopped = false;
  readonly #onIdle: (() => void)[] = [];
  #finished = 0;
  #failedTries = 0;

  constructor(dependencies: FinishDependencies, logger: Logger, delays: RetryDelays = RETRY_DELAYS) {
    this.#dependencies = dependencies;
    this.#logger = logger;
    this.#delays = delays;
  }

  get counters(): FinisherCounters {
    const pending = this.#queue.length + this.#working + this.#waiting.size;
    return { finished: this.#finished, failedTries: this.#failedTries, pending };
  }

  /** Takes a spool directory whose recording has ended. */
  add(directory: string): void {
    this.#enqueue(directory, 0);
  }

  /** Resolves when nothing is left to do. */
  idle(): Promise<void> {
    return new Promise((resolve) => {
      this.#onIdle.push(resolve);
      this.#checkIdle();
    });
  }

  /** Begins nothing more; what waits stays in the spool for the next start. Resolves when what is in work is done. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#queue.length = 0;
    for (const timer of this.#waiting) clearTimeout(timer);
    this.#waiting.clear();
    await this.idle();
  }

  #enqueue(directory: string, tries: number): void {
    if (this.#stopped) return;
    this.#queue.push({ directory, tries });
    this.#next();
  }

  #next(): void {
    while (this.#working < CONCURRENCY) {
      const job = this.#queue.shift();
      if (!job) break;
      this.#working++;
      void this.#finish(job.directory, job.tries).finally(() => {
        this.#working--;
        this.#next();
        this.#checkIdle();
      });
    }
  }

  async #finish(directory: string, tries: number): Promise<void> {
    try {
      const manifest = await finishRecording(directory, this.#dependencies);
      this.#finished++;
      this.#logger.info(
        {
          recordingId: manifest?.recordingId,
          status: manifest?.status,
          reasons: manifest?.statusReasons,
          directory,
        },
        manifest ? 'recording is in S3' : 'nothing to keep of a call that was never answered',
      );
    } catch (error) {
      this.#failedTries++;
      if (error instanceof SessionRecordError) return this.#setAside(directory, error);
      const retryMs = Math.min(this.#delays.lastMs, this.#delays.firstMs * 2 ** Math.min(tries, 10));
      this.#logger.error(
        { err: error, directory, tries: tries + 1, retryMs },
        'recording not finished; it stays in the spool',
      );
      this.#retryLater(directory, tries + 1, retryMs);
    }
  }

  /** Nothing will ever finish this one by itself: kept where it is not tried again, for a person to look at. */
  async #setAside(directory: string, error: SessionRecordError): Promise<void> {
    const unusable = join(dirname(directory), 'unusable', basename(directory));
    try {
      await mkdir(dirname(unusable), { recursive: true });
      await rename(directory, unusable);
      this.#logger.fatal({ err: error, unusable }, 'recording cannot be finished; set aside');
    } catch (cause) {
      this.#logger.fatal({ err: error, cause, directory }, 'recording can neither be finished nor set aside');
    }
  }

  #retryLater(directory: string, tries: number, afterMs: number): void {
    if (this.#stopped) return;
    const timer = setTimeout(() => {
      this.#waiting.delete(timer);
      this.#enqueue(directory, tries);
    }, afterMs);
    this.#waiting.add(timer);
  }

  #checkIdle(): void {
    if (this.counters.pending > 0) return;
    for (const resolve of this.#onIdle.splice(0)) resolve();
  }
}
