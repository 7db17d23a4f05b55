/**
 * Finds what is past its retention: for each tenant that this region has recorded for, the oldest entries of its part of the
 * time index, up to the tenant's cutoff. What is kept is not read: a round costs as much as there is to delete, besides what is
 * past its retention and under hold, and what other regions have not deleted yet.
 */
import { GetCommand, PutCommand, QueryCommand } from '@aws-sdk/lib-dynamodb';
import { z } from 'zod';
import { TENANTS_PARTITION } from '../../core/fate-items.ts';
import { BY_TENANT_INDEX, entryPartitions, indexEntrySchema } from '../../core/index-entries.ts';
import { retentionCutoff } from '../../core/retention.ts';
import { readPartition } from '../shared/partition.ts';
import { expirePartition } from './constants.ts';
import type { ExpireDependencies } from './dependencies.ts';

const cursorSchema = z.object({
  /** Partition of the index that is being read, and the place in it. */
  partition: z.string().optional(),
  after: z.string().optional(),
  /** No round begins before. */
  restUntil: z.string().optional(),
});
export type ExpireCursor = z.infer<typeof cursorSchema>;

/** Entries of one read. */
const PAGE = 50;

/** Where the search is; kept in the index from run to run. */
export async function readExpireCursor({ indexFor, homeRegion }: ExpireDependencies): Promise<ExpireCursor> {
  const { table, tableName } = indexFor(homeRegion);
  const Key = { pk: expirePartition(homeRegion), sk: 'CURSOR' };
  const { Item } = await table.send(new GetCommand({ TableName: tableName, Key, ConsistentRead: true }));
  return Item ? cursorSchema.parse(Item) : {};
}

export async function writeExpireCursor(
  { indexFor, homeRegion }: ExpireDependencies,
  cursor: ExpireCursor,
): Promise<void> {
  const { table, tableName } = indexFor(homeRegion);
  const Item = { pk: expirePartition(homeRegion), sk: 'CURSOR', ...cursor };
  await table.send(new PutCommand({ TableName: tableName, Item }));
}

export interface ExpiredPage {
  recordingIds: string[];
  /** Where to go on; `restUntil` at the end of the round. */
  next: ExpireCursor;
}

/** The next page of this region's recordings past their retention; undefined while there is rest. */
export async function nextExpired(
  dependencies: ExpireDependencies,
  cursor: ExpireCursor,
): Promise<ExpiredPage | undefined> {
  const { now, times, retention, homeRegion } = dependencies;
  if (cursor.restUntil && now() < new Date(cursor.restUntil)) return undefined;
  const parts = (await readTenants(dependencies)).flatMap((tenant) =>
    entryPartitions('time', '', tenant).map((partition) => ({ tenant, partition })),
  );
  // A partition that is not there any more begins the round anew.
  const known = parts.findIndex(({ partition }) => partition === cursor.partition);
  const place = Math.max(0, known);
  const part = parts[place];
  const rest = { restUntil: new Date(now().getTime() + times.roundMs).toISOString() };
  if (!part) return { recordingIds: [], next: rest };
  const cutoff = retentionCutoff(retention, part.tenant, now()).toISOString();
  const { entries, isEnd } = await readOldest(
    dependencies,
    part.partition,
    cutoff,
    known < 0 ? undefined : cursor.after,
  );
  const following = parts[place + 1];
  return {
    recordingIds: entries
      .filter(({ summary }) => summary.homeRegion === homeRegion)
      .map(({ summary }) => summary.recordingId),
    next: !isEnd
      ? { partition: part.partition, after: entries.at(-1)?.timeSk }
      : following
        ? { partition: following.partition }
        : rest,
  };
}

async function readTenants({ indexFor, homeRegion }: ExpireDependencies): Promise<string[]> {
  const items = await readPartition(indexFor(homeRegion), TENANTS_PARTITION, { prefix: `${homeRegion}#` });
  return items.map(({ tenant }) => String(tenant));
}

async function readOldest(
  { indexFor, homeRegion }: ExpireDependencies,
  partition: string,
  cutoff: string,
  after: string | undefined,
) {
  const { table, tableName } = indexFor(homeRegion);
  const { Items = [], LastEvaluatedKey } = await table.send(
    new QueryCommand({
      TableName: tableName,
      IndexName: BY_TENANT_INDEX,
      // Sort keys are `<time>#<id>`: longer than a bare time, so that the cutoff itself is outside.
      KeyConditionExpression: 'tenantPk = :pk AND timeSk BETWEEN :after AND :cutoff',
      ExpressionAttributeValues: { ':pk': partition, ':after': after ?? '0', ':cutoff': cutoff },
      Limit: PAGE + 1, // the first may be that of `after`
    }),
  );
  const entries = Items.map((item) => indexEntrySchema.parse(item)).filter(({ timeSk }) => timeSk !== after);
  return { entries, isEnd: !LastEvaluatedKey };
}
