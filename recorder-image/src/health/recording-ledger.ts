/**
 * What this process has recorded, by the hour, for the region's fleet table (`core/recording-ledger.ts`). It only counts, and
 * writes once a minute what has changed: calls never wait for it.
 */
import type { Logger } from 'pino';
import { ulid } from 'ulid';
import {
  hourOf,
  LEDGER_EXPIRY_SECONDS,
  LEDGER_HOURS,
  LEDGER_INTERVAL_SECONDS,
  type LedgerEntry,
} from '../../../core/recording-ledger.ts';
import { Trouble } from '../trouble.ts';
import { within } from '../within.ts';

const WRITE_LIMIT_MS = 3_000;
const HOUR_MS = 3_600_000;

/** Puts an entry into the fleet table; rejects if that is not certain. */
export type WriteEntry = (entry: LedgerEntry, signal: AbortSignal) => Promise<void>;

export interface LedgerWriterOptions {
  write: WriteEntry;
  logger: Logger;
  intervalMs?: number;
}

export interface RecordingLedgerOptions {
  slot: string;
  now?: () => Date;
}

export class RecordingLedger {
  readonly #slot: string;
  readonly #now: () => Date;
  readonly #bootId: string;
  readonly #bootedAt: string;
  /** By hour: recordings begun by this process. Has every hour of which it knows anything. */
  readonly #answered = new Map<string, number>();
  /** Recordings that the slot has, by id, with their hour. */
  readonly #open = new Map<string, string>();

  constructor({ slot, now = () => new Date() }: RecordingLedgerOptions) {
    this.#slot = slot;
    this.#now = now;
    this.#bootedAt = now().toISOString();
    this.#bootId = ulid(now().getTime());
  }

  /** This process began a recording. @param startedAt as its manifest will say */
  begun(recordingId: string, startedAt: string): void {
    const hour = hourOf(Date.parse(startedAt));
    this.#open.set(recordingId, hour);
    this.#answered.set(hour, (this.#answered.get(hour) ?? 0) + 1);
  }

  /** It became none after all: the SRC cancelled, or the answer could not be sent. */
  discarded(recordingId: string): void {
    const hour = this.#open.get(recordingId);
    if (hour === undefined) return;
    this.#open.delete(recordingId);
    this.#answered.set(hour, (this.#answered.get(hour) ?? 1) - 1);
  }

  /** A process before this one left it in the spool. */
  found(recordingId: string, startedAt: string): void {
    const hour = hourOf(Date.parse(startedAt));
    this.#open.set(recordingId, hour);
    this.#answered.set(hour, this.#answered.get(hour) ?? 0); // its hour is told of also when it is gone
  }

  /** The slot has it no more: S3 has it, or nobody here will ever bring it there. */
  released(recordingId: string): void {
    this.#open.delete(recordingId);
  }

  /** All hours of which this process knows anything, oldest first. */
  entries(): LedgerEntry[] {
    const now = this.#now();
    this.#forgetBefore(hourOf(now.getTime() - (LEDGER_HOURS + 1) * HOUR_MS));
    const open = Map.groupBy(this.#open.values(), (hour) => hour);
    return [...this.#answered].toSorted().map(([hour, answered]) => ({
      slot: this.#slot,
      hour,
      bootId: this.#bootId,
      bootedAt: this.#bootedAt,
      answered,
      open: open.get(hour)?.length ?? 0,
      at: now.toISOString(),
      expiresAt: Math.floor(now.getTime() / 1000) + LEDGER_EXPIRY_SECONDS,
    }));
  }

  /** Nobody looks at hours that are so old, unless something of them is still here. */
  #forgetBefore(oldest: string): void {
    const open = new Set(this.#open.values());
    for (const hour of [...this.#answered.keys()])
      if (hour < oldest && !open.has(hour)) this.#answered.delete(hour);
  }
}

/** Writes a ledger to the fleet table. */
export class LedgerWriter {
  readonly #ledger: RecordingLedger;
  readonly #options: LedgerWriterOptions;
  readonly #timer: NodeJS.Timeout;
  readonly #trouble: Trouble;
  /** What the table has, by hour. */
  readonly #written = new Map<string, Pick<LedgerEntry, 'answered' | 'open'>>();
  #writing: Promise<void> | undefined;
  readonly counters = { failed: 0 };

  constructor(ledger: RecordingLedger, options: LedgerWriterOptions) {
    this.#ledger = ledger;
    this.#options = options;
    this.#trouble = new Trouble(options.logger, {
      begins: 'the ledger of recordings cannot be written; it is kept, and written later',
      ends: 'the ledger of recordings is written again',
    });
    const { intervalMs = LEDGER_INTERVAL_SECONDS * 1000 } = options;
    this.#timer = setInterval(() => void this.#write(), intervalMs);
    void this.#write();
  }

  /** Ends with a last write, if the table takes it. Never rejects. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#writing;
    await this.#write();
  }

  #write(): Promise<void> {
    this.#writing ??= this.#writeDue().finally(() => {
      this.#writing = undefined;
    });
    return this.#writing;
  }

  /** Oldest first, and not beyond a failure: the time of a later hour vouches for the earlier ones. */
  async #writeDue(): Promise<void> {
    for (const entry of this.#ledger.entries()) {
      const { hour, answered, open } = entry;
      const before = this.#written.get(hour);
      if (open === 0 && before?.answered === answered && before.open === open) continue;
      try {
        const signal = AbortSignal.timeout(WRITE_LIMIT_MS);
        const written = this.#options.write(entry, signal);
        await within(WRITE_LIMIT_MS, written, `the fleet table did not answer within ${WRITE_LIMIT_MS} ms`);
        this.#written.set(hour, { answered, open });
        this.#trouble.worked();
      } catch (error) {
        this.counters.failed++;
        this.#trouble.failed(error);
        return;
      }
    }
  }
}
