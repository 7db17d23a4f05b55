/**
 * The balance of an hour of a slot: what was begun, less what the slot still has, must be in the index. Pure.
 *
 * What has just left a slot is on its way: S3 tells SQS, SQS a function, and that takes seconds or, on a bad day, minutes. So a
 * recording is due a grace after it left, and what is due is not the number of now but the lowest one since then.
 */
import { hourBounds, type LedgerEntry } from '../../core/recording-ledger.ts';

/** A recorder that has not written for so long, five times in a row, has died, and with it what it had. */
export const OPEN_STALE_MS = 5 * 60_000;
/** From the spool to the index. */
export const GRACE_MS = 15 * 60_000;

/** A time of which a process has told; milliseconds since the epoch, `toMs` is not in it. */
export interface Span {
  fromMs: number;
  toMs: number;
}

/** What the ledger says of an hour of a slot. */
export interface HourInLedger {
  slot: string;
  hour: string;
  answered: number;
  /** As far as whoever has them is alive. */
  open: number;
  /** Recordings that began outside of these are not in `answered`: nobody came to tell of them. */
  spans: Span[];
}

/** Recordings of an hour that had left their slot at some time. */
export interface Settled {
  at: string;
  count: number;
}

/** What the item of an hour remembers. */
export interface AssuredHour {
  /** The highest count that the index ever had: a recording may have been deleted since. */
  seen: number;
  /** Changes, oldest first. */
  settled: Settled[];
}

/** The ledger by slot and hour. */
export function hoursInLedger(entries: readonly LedgerEntry[], nowMs: number): HourInLedger[] {
  return [...Map.groupBy(entries, ({ slot }) => slot)].flatMap(([slot, ofSlot]) => {
    const processes = Map.groupBy(ofSlot, ({ bootId }) => bootId);
    const told = new Map([...processes].map(([bootId, its]) => [bootId, spanOf(its)]));
    const [newest] = [...told].toSorted(([, a], [, b]) => b.fromMs - a.fromMs)[0] ?? [];
    return [...Map.groupBy(ofSlot, ({ hour }) => hour)].map(([hour, ofHour]) => {
      const last = ofHour.find(
        ({ bootId, at }) => bootId === newest && nowMs - Date.parse(at) < OPEN_STALE_MS,
      );
      return {
        slot,
        hour,
        answered: ofHour.reduce((sum, { answered }) => sum + answered, 0),
        open: last?.open ?? 0,
        spans: ofHour.flatMap(({ bootId }) => within(hourBounds(hour), told.get(bootId) as Span)),
      };
    });
  });
}

/** Writes go by the hour and in order, so that the latest one of a process vouches for all its hours. */
function spanOf(entries: readonly LedgerEntry[]): Span {
  const at = Math.max(...entries.map((entry) => Date.parse(entry.at)));
  return { fromMs: Math.min(...entries.map(({ bootedAt }) => Date.parse(bootedAt))), toMs: at + 1 };
}

function within(bounds: Span, { fromMs, toMs }: Span): Span[] {
  const span = { fromMs: Math.max(bounds.fromMs, fromMs), toMs: Math.min(bounds.toMs, toMs) };
  return span.fromMs < span.toMs ? [span] : [];
}

export const settledNow = ({ answered, open }: HourInLedger): number => Math.max(0, answered - open);

/** The memory of an hour with what is known now; what no later balance can need is forgotten. */
export function remember(
  known: AssuredHour | undefined,
  count: number,
  seen: number,
  now: Date,
): AssuredHour {
  const settled = [...(known?.settled ?? [])];
  if (settled.at(-1)?.count !== count) settled.push({ at: now.toISOString(), count });
  const first = settled.findLastIndex(({ at }) => isPastGrace(at, now));
  return { seen: Math.max(known?.seen ?? 0, seen), settled: settled.slice(Math.max(0, first)) };
}

/** Recordings that are due and were never in the index. */
export function missingIn({ seen, settled }: AssuredHour, now: Date): number {
  const [first] = settled;
  if (!first || !isPastGrace(first.at, now)) return 0; // nobody looked so long ago
  return Math.max(0, Math.min(...settled.map(({ count }) => count)) - seen);
}

const isPastGrace = (at: string, now: Date): boolean => now.getTime() - Date.parse(at) >= GRACE_MS;
