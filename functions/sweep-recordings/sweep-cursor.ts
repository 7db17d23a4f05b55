/** How far a round through the recordings has come, kept in the index table from run to run. One writer: the region's sweep. */
import { GetCommand, PutCommand } from '@aws-sdk/lib-dynamodb';
import { z } from 'zod';
import type { IndexTable } from '../shared/aws-clients.ts';
import { sweepPartition } from './constants.ts';

const backlogSchema = z.object({
  copies: z.number(),
  /** End of the oldest recording without this copy. */
  oldest: z.string(),
});
export type Backlog = z.infer<typeof backlogSchema>;

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
  backlog: z.record(z.string(), backlogSchema),
});
export type SweepCursor = z.infer<typeof cursorSchema>;

export interface CursorTable extends IndexTable {
  homeRegion: string;
}

/** The beginning of a round. @param lastRound recordings of the one before */
export const newRound = (lastRound?: number): SweepCursor => ({
  looked: 0,
  ...(lastRound !== undefined && { lastRound }),
  backlog: {},
});

const keyOf = ({ homeRegion }: CursorTable) => ({ pk: sweepPartition(homeRegion), sk: 'CURSOR' });

export async function readCursor(where: CursorTable): Promise<SweepCursor> {
  const { table, tableName } = where;
  const { Item } = await table.send(
    new GetCommand({ TableName: tableName, Key: keyOf(where), ConsistentRead: true }),
  );
  return Item ? cursorSchema.parse(Item) : newRound();
}

export async function writeCursor(where: CursorTable, cursor: SweepCursor): Promise<void> {
  const { table, tableName } = where;
  await table.send(new PutCommand({ TableName: tableName, Item: { ...keyOf(where), ...cursor } }));
}
