/** How far a round through the recordings has come, kept in the index table from run to run. One writer: the region's sweep. */
import { GetCommand } from '@aws-sdk/lib-dynamodb';
import { z } from 'zod';
import type { TableKey } from '../../core/index-items.ts';
import { type ReplicationFigures, replicationFiguresSchema } from '../../core/replication-report.ts';
import type { IndexTable } from '../shared/aws-clients.ts';
import { sweepPartition } from './constants.ts';
import { addLag, lagPercentiles } from './lag-histogram.ts';

/** Of one target. */
const foundSchema = z.object({
  /** Copies that are due and not there. */
  waiting: z.number(),
  oldestDueAt: z.string().optional(),
  damaged: z.number(),
  lags: z.record(z.string(), z.number()),
});
export type Found = z.infer<typeof foundSchema>;

const cursorSchema = z.object({
  /** UTC day that is being gone through, `2026-11-23`; absent at the beginning of a round. */
  day: z.string().optional(),
  /** The last recording of that day that was looked at. */
  after: z.string().optional(),
  /** Recordings on this round so far. */
  looked: z.number().default(0),
  /** Recordings of the last whole round; absent on the first. */
  lastRound: z.number().optional(),
  /** Found on this round so far, by target. */
  found: z.record(z.string(), foundSchema).default({}),
  /** What the last whole round has found, by target. */
  figures: z.record(z.string(), replicationFiguresSchema).default({}),
});
export type SweepCursor = z.infer<typeof cursorSchema>;

export interface CursorTable extends IndexTable {
  homeRegion: string;
}

const START: SweepCursor = { looked: 0, found: {}, figures: {} };

export const cursorKey = (homeRegion: string): TableKey => ({
  pk: sweepPartition(homeRegion),
  sk: 'CURSOR',
});

export async function readCursor({ table, tableName, homeRegion }: CursorTable): Promise<SweepCursor> {
  const { Item } = await table.send(
    new GetCommand({ TableName: tableName, Key: cursorKey(homeRegion), ConsistentRead: true }),
  );
  return Item ? cursorSchema.parse(Item) : structuredClone(START);
}

/** The end of one round is the beginning of the next. */
export const nextRound = ({ looked, found }: SweepCursor, targets: string[], now: Date): SweepCursor => ({
  looked: 0,
  lastRound: looked,
  found: {},
  figures: Object.fromEntries(targets.map((target) => [target, figuresOf(found[target], now)])),
});

function figuresOf(found: Found | undefined, now: Date): ReplicationFigures {
  const lagSeconds = found && lagPercentiles(found.lags);
  return {
    countedAt: now.toISOString(),
    waiting: found?.waiting ?? 0,
    ...(found?.oldestDueAt && { oldestDueAt: found.oldestDueAt }),
    damaged: found?.damaged ?? 0,
    ...(lagSeconds && { lagSeconds }),
  };
}

const foundOf = (cursor: SweepCursor, target: string): Found => {
  cursor.found[target] ??= { waiting: 0, damaged: 0, lags: {} };
  return cursor.found[target];
};

export function countWaiting(cursor: SweepCursor, target: string, dueAt: Date): void {
  const found = foundOf(cursor, target);
  const due = dueAt.toISOString();
  found.waiting += 1;
  if (!found.oldestDueAt || due < found.oldestDueAt) found.oldestDueAt = due;
}

export function countDamaged(cursor: SweepCursor, target: string): void {
  foundOf(cursor, target).damaged += 1;
}

/** The lags of a day are told: those of copies that were due before are no news. */
const LAG_MS = 24 * 3_600_000;

export function countLag(
  cursor: SweepCursor,
  target: string,
  dueAt: Date,
  verifiedAt: string,
  now: Date,
): void {
  if (now.getTime() - dueAt.getTime() > LAG_MS) return;
  // Made by a window that the deployment file had then, a copy may be earlier than it is due by now.
  const lagMs = Math.max(0, Date.parse(verifiedAt) - dueAt.getTime());
  addLag(foundOf(cursor, target).lags, lagMs / 1000);
}
