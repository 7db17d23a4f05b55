/**
 * What this slot says of itself in the region's fleet table, every 5 s and at once when its state changes: by that, steering
 * sets weights. Calls and health never wait for it, or depend on it: a fleet table that is slow, refuses or is gone costs weights
 * that freeze, and no call.
 */
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocumentClient, PutCommand } from '@aws-sdk/lib-dynamodb';
import type { Logger } from 'pino';
import {
  FLEET_KEY,
  type LoadReport,
  REPORT_EXPIRY_SECONDS,
  REPORT_INTERVAL_SECONDS,
  type SlotState,
  slotItemId,
} from '../../../core/fleet.ts';
import { ledgerItemId } from '../../../core/recording-ledger.ts';
import { oneQuickTry } from '../aws.ts';
import { Trouble } from '../trouble.ts';
import { within } from '../within.ts';
import type { WriteEntry } from './recording-ledger.ts';

/** Below the interval, so that no report waits for its predecessor. */
const WRITE_LIMIT_MS = 3_000;

/** A report without what is known only when it is written. */
export type Load = Omit<LoadReport, 'stateChanged' | 'reportedAt' | 'expiresAt'>;

/** Puts a report where steering reads it; rejects if that is not certain. */
export type WriteReport = (report: LoadReport, signal: AbortSignal) => Promise<void>;

/** What is written into a fleet table. */
export interface FleetTable {
  writeReport: WriteReport;
  writeEntry: WriteEntry;
  close(): void;
}

/** The way to a fleet table. Nothing is tried twice: the next report is newer. */
export function fleetTable(table: string): FleetTable {
  const client = new DynamoDBClient(oneQuickTry(WRITE_LIMIT_MS));
  const documents = DynamoDBDocumentClient.from(client);
  const put = async (id: string, item: object, abortSignal: AbortSignal): Promise<void> => {
    const command = new PutCommand({ TableName: table, Item: { [FLEET_KEY]: id, ...item } });
    await documents.send(command, { abortSignal });
  };
  return {
    writeReport: (report, signal) => put(slotItemId(report.slot), report, signal),
    writeEntry: (entry, signal) => put(ledgerItemId(entry), entry, signal),
    close: () => client.destroy(),
  };
}

export interface LoadReportsOptions {
  write: WriteReport;
  /** As it is now. */
  load: () => Promise<Load>;
  logger: Logger;
  now?: () => Date;
  intervalMs?: number;
  /** For one write. */
  limitMs?: number;
}

export class LoadReports {
  readonly #options: Required<LoadReportsOptions>;
  readonly #timer: NodeJS.Timeout;
  /** What the table may say of this slot's state; undefined for what it said before this process began. */
  #told = new Set<SlotState | undefined>([undefined]);
  #writing: Promise<void> | undefined;
  #again = false;
  readonly #trouble: Trouble;
  readonly counters = { written: 0, failed: 0 };

  /** Begins with a report. */
  constructor(options: LoadReportsOptions) {
    this.#options = {
      now: () => new Date(),
      intervalMs: REPORT_INTERVAL_SECONDS * 1000,
      limitMs: WRITE_LIMIT_MS,
      ...options,
    };
    this.#trouble = new Trouble(options.logger, {
      begins: 'load reports cannot be written; steering goes by the last one meanwhile',
      ends: 'load reports are written again',
    });
    this.#timer = setInterval(() => void this.#write(), this.#options.intervalMs);
    void this.#write();
  }

  /** The state has changed: says so as soon as no other report is being written. */
  changed(): void {
    this.#again = true;
    void this.#write();
  }

  /** Ends with a last report, written or not. Never rejects. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.changed();
    await this.#writing;
  }

  /** One at a time; one that becomes due meanwhile is made of the newest facts when it is its turn. */
  #write(): Promise<void> {
    this.#writing ??= this.#writeWhileDue().finally(() => {
      this.#writing = undefined;
    });
    return this.#writing;
  }

  async #writeWhileDue(): Promise<void> {
    do {
      this.#again = false;
      await this.#writeOne();
    } while (this.#again);
  }

  async #writeOne(): Promise<void> {
    const { write, limitMs } = this.#options;
    try {
      const report = await this.#report();
      const alone = this.#told.size === 1 && this.#told.has(report.state);
      this.#told.add(report.state);
      const signal = AbortSignal.timeout(limitMs);
      const written = write({ ...report, stateChanged: !alone }, signal);
      await within(limitMs, written, `the fleet table did not answer within ${limitMs} ms`);
      this.#told = new Set([report.state]);
      this.counters.written++;
      this.#trouble.worked();
    } catch (error) {
      this.counters.failed++;
      this.#trouble.failed(error);
    }
  }

  async #report(): Promise<Omit<LoadReport, 'stateChanged'>> {
    const load = await this.#options.load();
    const now = this.#options.now();
    const expiresAt = Math.floor(now.getTime() / 1000) + REPORT_EXPIRY_SECONDS;
    return { ...load, reportedAt: now.toISOString(), expiresAt };
  }
}
