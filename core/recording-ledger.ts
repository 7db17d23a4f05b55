/**
 * The ledger: how many recordings a slot has begun, by the hour, and how many of them it still has. Kept in the region's fleet
 * table, so that it is known what was recorded also when a host is lost with its disk; `assure-recordings` compares it with
 * the index.
 *
 * One item for each hour and process of a recorder, written by that process only. What a process did not come to tell (of the
 * last minute before it died) is unknown; `bootedAt` and `at` say of which time its word is.
 */
import { z } from 'zod';

const HOUR_MS = 3_600_000;

/** Between two writes of an item. Rewritten as long as the slot has recordings of that hour, as a sign of life. */
export const LEDGER_INTERVAL_SECONDS = 60;
/** Hours that are older than this are not looked at any more. */
export const LEDGER_HOURS = 48;
/** Longer than an hour can be looked at, with the longest call. */
export const LEDGER_EXPIRY_SECONDS = 4 * 24 * 3_600;

export const LEDGER_PREFIX = 'LEDGER#';

/** Of all items of a slot's ledger: what its recorder may write. */
export const ledgerItemPrefix = (slot: string): string => `${LEDGER_PREFIX}${slot}#`;

export const ledgerItemId = ({ slot, hour, bootId }: Pick<LedgerEntry, 'slot' | 'hour' | 'bootId'>): string =>
  `${ledgerItemPrefix(slot)}${hour}#${bootId}`;

const instant = z.iso.datetime({ precision: 3 });

/** The item is this with the key. */
export const ledgerEntrySchema = z.object({
  slot: z.string(),
  /** Its beginning, UTC: `2026-11-25T13`. */
  hour: z.string().regex(/^\d{4}-\d\d-\d\dT\d\d$/),
  /** Of the process. */
  bootId: z.string(),
  bootedAt: instant,
  /** Recordings that this process began in the hour, by the time that their manifests give as `startedAt`. */
  answered: z.int().min(0),
  /** Recordings of the hour that the slot has, running or in the spool; also those of processes before this one. */
  open: z.int().min(0),
  /** When all of this was so. */
  at: instant,
  /** Seconds since the epoch: `FLEET_TTL`. */
  expiresAt: z.int(),
});
export type LedgerEntry = z.infer<typeof ledgerEntrySchema>;

/** The hour of an instant, in milliseconds since the epoch. */
export const hourOf = (ms: number): string => new Date(ms).toISOString().slice(0, 13);

/** Milliseconds since the epoch; `toMs` is the beginning of the next. */
export function hourBounds(hour: string): { fromMs: number; toMs: number } {
  const fromMs = Date.parse(`${hour}:00:00.000Z`);
  return { fromMs, toMs: fromMs + HOUR_MS };
}
