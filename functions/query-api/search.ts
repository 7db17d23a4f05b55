/** Searches the index by time. */
import { type DynamoDBDocumentClient, GetCommand, QueryCommand } from '@aws-sdk/lib-dynamodb';
import {
  BY_TIME_INDEX,
  dayPartitions,
  daysNewestFirst,
  type IndexedRecording,
  indexedRecordingSchema,
  isCopyKey,
  type RecordingCopy,
  recordingCopySchema,
  recordingKey,
  recordingPartition,
  type TableKey,
} from '../../core/index-items.ts';

export interface IndexTable {
  table: DynamoDBDocumentClient;
  tableName: string;
}

/** Recordings that started in [from, to), newest first. */
export interface TimeRange {
  from: Date;
  to: Date;
}

/** One page of them: at most `limit`, beginning behind the row whose sort key is `after`. */
export interface TimeQuery extends TimeRange {
  limit: number;
  after?: string;
}

export interface RecordingPage {
  items: IndexedRecording[];
  /** Sort key of the last item, if there are more: `after` of the next page. */
  last?: string;
}

/**
 * One page of a time query. Each day's shards are read side by side and merged; days are read newest first until
 * the page is full.
 */
export async function searchByTime(index: IndexTable, query: TimeQuery): Promise<RecordingPage> {
  const rows: TimeRow[] = [];
  // Days after that of `after` have been read by the pages before.
  const to = query.after ? new Date(startOf(query.after) + 1) : query.to;
  for (const day of daysNewestFirst(query.from, to)) {
    const missing = query.limit + 1 - rows.length;
    const shards = await Promise.all(
      dayPartitions(day).map((partition) => readShard(index, partition, query, missing)),
    );
    rows.push(...shards.flat().sort(byTimeDescending).slice(0, missing));
    if (rows.length > query.limit) break;
  }
  const page = rows.slice(0, query.limit);
  const last = page.at(-1);
  return {
    items: page.map((row) => indexedRecordingSchema.parse(row)),
    ...(rows.length > query.limit && last && { last: last.timeSk }),
  };
}

type TimeRow = Record<string, unknown> & { timeSk: string };

const byTimeDescending = (a: TimeRow, b: TimeRow): number => (a.timeSk < b.timeSk ? 1 : -1);

/** Up to `limit` rows of one partition, newest first, within the query and before `after`. */
async function readShard(
  { table, tableName }: IndexTable,
  partition: string,
  { from, to, after }: TimeQuery,
  limit: number,
): Promise<TimeRow[]> {
  const rows: TimeRow[] = [];
  let startKey: Record<string, unknown> | undefined;
  do {
    const { Items = [], LastEvaluatedKey } = await table.send(
      new QueryCommand({
        TableName: tableName,
        IndexName: BY_TIME_INDEX,
        KeyConditionExpression: 'timePk = :pk AND timeSk BETWEEN :from AND :to',
        ExpressionAttributeValues: {
          ':pk': partition,
          // Sort keys are `<time>#<id>`: longer than a bare time, so `to` itself is outside.
          ':from': from.toISOString(),
          ':to': after ?? to.toISOString(),
        },
        ScanIndexForward: false,
        Limit: limit + 1,
        ExclusiveStartKey: startKey,
      }),
    );
    rows.push(...(Items as TimeRow[]).filter(({ timeSk }) => timeSk !== after));
    startKey = LastEvaluatedKey;
  } while (startKey && rows.length < limit);
  return rows.slice(0, limit);
}

/** One recording, or undefined. */
export async function findRecording(
  { table, tableName }: IndexTable,
  recordingId: string,
): Promise<IndexedRecording | undefined> {
  const { Item } = await table.send(new GetCommand({ TableName: tableName, Key: recordingKey(recordingId) }));
  return Item && indexedRecordingSchema.parse(Item);
}

/** All copies of a recording, in order of region. */
export async function findCopies(
  { table, tableName }: IndexTable,
  recordingId: string,
): Promise<RecordingCopy[]> {
  const { Items = [] } = await table.send(
    new QueryCommand({
      TableName: tableName,
      KeyConditionExpression: 'pk = :pk',
      ExpressionAttributeValues: { ':pk': recordingPartition(recordingId) },
    }),
  );
  return (Items as TableKey[]).filter(isCopyKey).map((item) => recordingCopySchema.parse(item));
}

const startOf = (sortKey: string): number => Date.parse(sortKey.split('#')[0] as string);
