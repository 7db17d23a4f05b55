/**
 * Works off the spool: finishes recordings as they end, and tries again until S3 has them. Order does not matter, and a
 * recording that cannot be finished never holds up the others.
 *
 * Assembly and upload are stages with limits of their own, so that an S3 that hangs does not keep calls that have ended from
 * being assembled. While room on the disk is short, audio is only made as fast as S3 takes it, small recordings first: the
 * room that is left belongs to the calls that run.
 */
import { existsSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { MANIFEST_FILE, type Manifest } from '../../../core/manifest.ts';
import { describeRecording, type FinishDependencies, readDescribed, storeRecording } from './finish.ts';
import { type SessionEvent, SessionRecordError } from './session-record.ts';
import { appendEvents, setAside } from './spool.ts';
import { FileChangedError } from './uploader.ts';

type Stage = 'assembly' | 'upload';

/** Recordings in work at once. Audio itself is made in fewer threads: see `assembleInWorker`. */
const LIMITS: Readonly<Record<Stage, number>> = { assembly: 4, upload: 8 };
/** While room is short, no more recordings than these have their audio made and wait for S3. */
const AHEAD_WHILE_SHORT = 2;

/** Milliseconds to the second try; each further wait is twice as long, up to `lastMs`. */
export interface RetryDelays {
  firstMs: number;
  lastMs: number;
  /** From 0 to 1; each wait is between half and all of its length, lest all come back at the same time. */
  random?: () => number;
  /** Whoever has waited so long already tries again as soon as S3 takes a recording. Default 5 s. */
  wakeAfterMs?: number;
}
const RETRY_DELAYS: RetryDelays = { firstMs: 1_000, lastMs: 60_000 };

export interface FinisherCounters {
  finished: number;
  failedTries: number;
  /** Waiting, in work, or waiting for the next try. */
  pending: number;
}

/** What became of a try. Only after `failed` comes another. */
export type Outcome = { directory: string } & (
  | { kind: 'stored'; manifest: Manifest }
  | { kind: 'nothing' }
  | { kind: 'unusable'; error: Error }
  | { kind: 'failed'; error: Error }
);

interface Job {
  directory: string;
  /** What the session record is still to be told. */
  unwritten: readonly SessionEvent[];
  stage: Stage;
  tries: number;
  /** When it was taken, on the clock of `performance.now`. */
  since: number;
  /** What it takes on the disk; undefined before that is known. */
  bytes: number | undefined;
}

export class Finisher {
  readonly #dependencies: FinishDependencies;
  readonly #logger: Logger;
  readonly #delays: RetryDelays;
  readonly #onOutcome: (outcome: Outcome) => void;
  /** All that are pending. */
  readonly #jobs = new Set<Job>();
  readonly #queues: Readonly<Record<Stage, Job[]>> = { assembly: [], upload: [] };
  readonly #working: Record<Stage, number> = { assembly: 0, upload: 0 };
  /** For their next try; `since` is on the clock of `performance.now`. */
  readonly #waiting = new Map<Job, { timer: NodeJS.Timeout; since: number }>();
  #roomIsShort = false;
  #stopped = false;
  readonly #onIdle: (() => void)[] = [];
  #finished = 0;
  #failedTries = 0;

  constructor(
    dependencies: FinishDependencies,
    logger: Logger,
    delays: RetryDelays = RETRY_DELAYS,
    onOutcome: (outcome: Outcome) => void = () => {},
  ) {
    this.#dependencies = dependencies;
    this.#logger = logger;
    this.#delays = delays;
    this.#onOutcome = onOutcome;
  }

  get counters(): FinisherCounters {
    return { finished: this.#finished, failedTries: this.#failedTries, pending: this.#jobs.size };
  }

  /** Directories of all that is pending. */
  get pending(): string[] {
    return [...this.#jobs].map(({ directory }) => directory);
  }

  /** Seconds for which the oldest of them has waited; of what a process before this one left, since the start. */
  get waitingSeconds(): number {
    const since = Math.min(...[...this.#jobs].map((job) => job.since));
    return Number.isFinite(since) ? (performance.now() - since) / 1000 : 0;
  }

  /**
   * Takes a spool directory whose recording has ended.
   * @param unwritten events that the disk refused; they are appended to the session record first
   */
  add(directory: string, unwritten: readonly SessionEvent[] = []): void {
    if (this.#stopped) return;
    const job: Job = {
      directory,
      unwritten,
      stage: 'assembly',
      tries: 0,
      since: performance.now(),
      bytes: undefined,
    };
    if (existsSync(join(directory, MANIFEST_FILE))) job.stage = 'upload';
    this.#jobs.add(job);
    this.#enqueue(job);
    void bytesOf(directory).then((bytes) => {
      job.bytes = bytes;
      this.#next();
    });
  }

  /** Whether room on the spool's disk is short; to be told whenever that may have changed. */
  economise(roomIsShort: boolean): void {
    this.#roomIsShort = roomIsShort;
    this.#next();
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
    for (const { timer } of this.#waiting.values()) clearTimeout(timer);
    const { assembly, upload } = this.#queues;
    const begunLater = [...this.#waiting.keys(), ...assembly.splice(0), ...upload.splice(0)];
    for (const job of begunLater) this.#jobs.delete(job);
    this.#waiting.clear();
    await this.idle();
  }

  #enqueue(job: Job): void {
    this.#queues[job.stage].push(job);
    this.#next();
  }

  #next(): void {
    for (const stage of ['upload', 'assembly'] as const)
      for (let job = this.#take(stage); job; job = this.#take(stage)) void this.#work(job);
  }

  #take(stage: Stage): Job | undefined {
    const queue = this.#queues[stage];
    if (this.#working[stage] >= LIMITS[stage]) return undefined;
    if (stage === 'upload' || !this.#roomIsShort) return queue.shift();
    const ahead = [...this.#jobs].filter((job) => job.stage === 'upload').length;
    if (this.#working.assembly > 0 || ahead >= AHEAD_WHILE_SHORT) return undefined;
    const sizes = queue.map(({ bytes }) => bytes ?? Number.NaN);
    const smallest = sizes.indexOf(Math.min(...sizes)); // -1 before all are known, and when there are none
    return smallest < 0 ? undefined : queue.splice(smallest, 1)[0];
  }

  async #work(job: Job): Promise<void> {
    const { stage } = job;
    this.#working[stage]++;
    try {
      const outcome = await (stage === 'assembly' ? this.#assemble(job) : this.#upload(job));
      if (outcome) this.#succeed(job, outcome);
      else if (!this.#stopped) this.#enqueue(job);
      else this.#jobs.delete(job);
    } catch (error) {
      this.#failedTries++;
      if (error instanceof SessionRecordError) await this.#giveUp(job, error);
      else this.#retryLater(job, error as Error);
    } finally {
      this.#working[stage]--;
      this.#next();
      this.#checkIdle();
    }
  }

  /** @returns undefined if upload is next */
  async #assemble(job: Job): Promise<Outcome | undefined> {
    const { directory } = job;
    await appendEvents(directory, job.unwritten);
    job.unwritten = [];
    if (!(await describeRecording(directory, this.#dependencies))) return { kind: 'nothing', directory };
    job.stage = 'upload';
    return undefined;
  }

  /** @returns undefined if it must be assembled first */
  async #upload(job: Job): Promise<Outcome | undefined> {
    const { directory } = job;
    const manifest = await readDescribed(directory);
    if (!manifest) {
      job.stage = 'assembly';
      return undefined;
    }
    try {
      await storeRecording(directory, this.#dependencies.target, manifest);
    } catch (error) {
      if (error instanceof FileChangedError) job.stage = 'assembly';
      throw error;
    }
    return { kind: 'stored', directory, manifest };
  }

  #succeed(job: Job, outcome: Outcome): void {
    this.#jobs.delete(job);
    this.#finished++;
    const { directory } = job;
    if (outcome.kind === 'stored') {
      const { recordingId, status, statusReasons: reasons } = outcome.manifest;
      this.#logger.info({ recordingId, status, reasons, directory }, 'recording is in S3');
      this.#wakeUploads();
    } else this.#logger.info({ directory }, 'nothing to keep of a call that was never answered');
    this.#onOutcome(outcome);
  }

  /** Nothing will ever finish this one by itself. */
  async #giveUp(job: Job, error: SessionRecordError): Promise<void> {
    const { directory } = job;
    try {
      const unusable = await setAside(directory);
      this.#logger.fatal({ err: error, unusable }, 'recording cannot be finished; set aside');
    } catch (cause) {
      this.#logger.fatal({ err: error, cause, directory }, 'recording can neither be finished nor set aside');
    }
    this.#jobs.delete(job);
    this.#onOutcome({ kind: 'unusable', directory, error });
  }

  #retryLater(job: Job, error: Error): void {
    const { directory } = job;
    const { firstMs, lastMs, random = Math.random } = this.#delays;
    const retryMs = Math.round(
      Math.min(lastMs, firstMs * 2 ** Math.min(job.tries, 10)) * (0.5 + random() / 2),
    );
    job.tries++;
    this.#logger.error(
      { err: error, directory, tries: job.tries, retryMs },
      'recording not finished; it stays in the spool',
    );
    if (this.#stopped) this.#jobs.delete(job);
    else {
      const timer = setTimeout(() => this.#wake(job), retryMs);
      this.#waiting.set(job, { timer, since: performance.now() });
    }
    this.#onOutcome({ kind: 'failed', directory, error });
  }

  #wake(job: Job): void {
    clearTimeout(this.#waiting.get(job)?.timer);
    this.#waiting.delete(job);
    this.#enqueue(job);
  }

  /** S3 is there, or there again. */
  #wakeUploads(): void {
    const { wakeAfterMs = 5_000 } = this.#delays;
    const before = performance.now() - wakeAfterMs;
    for (const [job, { since }] of [...this.#waiting])
      if (job.stage === 'upload' && since <= before) this.#wake(job);
  }

  #checkIdle(): void {
    if (this.#jobs.size > 0) return;
    for (const resolve of this.#onIdle.splice(0)) resolve();
  }
}

/** What the files of a recording take; infinite if that cannot be told. */
async function bytesOf(directory: string): Promise<number> {
  try {
    const names = await readdir(directory);
    const sizes = await Promise.all(names.map(async (name) => (await stat(join(directory, name))).size));
    return sizes.reduce((sum, size) => sum + size, 0);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
