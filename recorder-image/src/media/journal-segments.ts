/** The journal of a stream as a whole: its segments one after the other, each of which may be damaged by itself. */
import { statSync } from 'node:fs';
import { type JournalPacket, JournalReader, type Opening } from './journal.ts';

/** Between the event that tells of a journal and the journal's own beginning, on a machine that is frozen for a while. */
const FIRST_WITHIN_MS = 60_000;
/** From the last packet of a segment to the next segment: a longer crash no call survives. */
const NEXT_WITHIN_MS = 24 * 3_600_000;

/** Times are milliseconds since the epoch. */
export interface SegmentReport {
  /** Absent if the segment could not be read at all. */
  startedAtMs?: number;
  lastArrivalMs?: number;
  /** Its end was cut off or spoiled. */
  truncated: boolean;
}

export class JournalSegments {
  /** Those begun so far, in order; complete when all packets were read. */
  readonly reports: SegmentReport[] = [];
  readonly #paths: readonly string[];
  readonly #openedAtMs: number | undefined;
  #unreadBytes = 0;
  #skips = 0;

  /**
   * @param paths in the order of time
   * @param openedAtMs about when the first one was begun, as known from elsewhere
   */
  constructor(paths: readonly string[], openedAtMs?: number) {
    this.#paths = paths;
    this.#openedAtMs = openedAtMs;
  }

  /** Index of the segment that the last packet came from. */
  get segment(): number {
    return this.reports.length - 1;
  }

  /** Grows wherever something could not be read between two packets of one segment. */
  get skips(): number {
    return this.#skips;
  }

  /** Of all segments so far. */
  get unreadBytes(): number {
    return this.#unreadBytes;
  }

  /**
   * All packets in the order of their arrival. The object yielded is one and the same for a segment.
   * @throws NodeJS.ErrnoException if a segment cannot be opened or read
   */
  *packets(): Generator<JournalPacket, void, void> {
    for (const path of this.#paths) {
      const reader = new JournalReader(path, this.#opening());
      const report: SegmentReport = { truncated: false };
      this.reports.push(report);
      let skippedBytes = 0;
      for (const packet of reader.packets()) {
        report.startedAtMs ??= reader.header?.startedAtMs;
        report.lastArrivalMs = packet.arrivalMs;
        if (reader.skippedBytes > skippedBytes) this.#skips++;
        skippedBytes = reader.skippedBytes;
        yield packet;
      }
      report.startedAtMs ??= reader.header?.startedAtMs;
      this.#unreadBytes += reader.skippedBytes;
      if (reader.truncatedAt === undefined) continue;
      report.truncated = true;
      this.#unreadBytes += statSync(path).size - reader.truncatedAt;
    }
  }

  /** What is known of the time at which the next segment was begun. */
  #opening(): Opening | undefined {
    const before = this.reports.at(-1);
    if (before === undefined)
      return this.#openedAtMs === undefined
        ? undefined
        : { atMs: this.#openedAtMs, withinMs: FIRST_WITHIN_MS };
    const atMs = before.lastArrivalMs ?? before.startedAtMs ?? this.#openedAtMs;
    return atMs === undefined ? undefined : { atMs, withinMs: NEXT_WITHIN_MS };
  }
}
