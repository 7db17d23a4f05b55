/** Searches the index: one page of a query, one recording, its copies. */
import { GetCommand, QueryCommand } from '@aws-sdk/lib-dynamodb';
import { z } from 'zod';
import type { TenantScope } from '../../core/access.ts';
import {
  BY_TENANT_INDEX,
  BY_TIME_INDEX,
  type EntryKind,
  entryPartitions,
  type IndexEntry,
  indexEntrySchema,
  isOfGroup,
  type RecordingSummary,
} from '../../core/index-entries.ts';
import {
  COPY_KEY_PREFIX,
  type IndexedRecording,
  indexedRecordingSchema,
  type RecordingCopy,
  recordingCopySchema,
  recordingKey,
  recordingPartition,
} from '../../core/index-items.ts';
import type { Direction, RecordingStatus } from '../../core/manifest.ts';
import { haveWords, nameKey } from '../../core/name-words.ts';
import type { IndexTable } from '../shared/aws-clients.ts';
import { mergeShards, type ReadOn } from './merge-shards.ts';
import type { PageRequest, TimeRange } from './range-request.ts';

/** Recordings for which all of it holds. `number`, `user` and `group` are keys as `entryKey` makes them. */
export interface RecordingQuery extends TimeRange {
  /** All that the caller sees when absent. */
  tenant?: string;
  number?: string;
  user?: string;
  group?: string;
  slot?: string;
  status?: RecordingStatus;
  direction?: Direction;
  minDurationMs?: number;
  /** Beginnings of words of participants' names, as `nameWords` writes them, with spaces between. */
  text?: string;
}

export interface RecordingPage {
  items: RecordingSummary[];
  /** Sort key of the last entry that was looked at, if there may be more: `after` of the next page. */
  last?: string;
  /** Entries read for this page, also those that were left out. */
  entriesRead: number;
}

/**
 * What one page may read, where conditions leave most of it out; about 2 MB. The page then ends early, with `last` to go
 * on from.
 */
export const MAX_ENTRIES_READ = 2_000;

/** Behind conditions, as much is read at once as their share so far promises to need, up to this. */
const MAX_CHUNK = 250;

/** What a query may name, the rarest first: its partition is read, and the other conditions are applied to its entries. */
const KEYS = ['number', 'user', 'name', 'group', 'slot', 'status'] as const satisfies EntryKind[];

/**
 * One page of a query, of the tenants in scope. Reads about as many entries as the page has, where the conditions leave
 * nothing out.
 */
export async function searchRecordings(
  index: IndexTable,
  query: RecordingQuery,
  page: PageRequest,
  scope: TenantScope,
): Promise<RecordingPage> {
  const { kind, value } = drivingKey(query);
  const partitions = scopedPartitions(kind, value, narrow(scope, query.tenant));
  const isWanted = conditionOf(query, kind);
  let entriesRead = 0;
  const readers = partitions.map((partition) =>
    reader(index, partition, query, page.after, (count) => {
      entriesRead += count;
    }),
  );
  const items: RecordingSummary[] = [];
  let last: string | undefined;
  let lookedAt = 0;
  // One more than the page tells whether there are more; behind conditions that could be far away.
  const enough = isWanted ? page.limit : page.limit + 1;
  const chunk = () => {
    const missing = enough - items.length;
    const lookedAtForOne = isWanted ? Math.max(1, lookedAt / Math.max(1, items.length)) : 1;
    const share = (missing * lookedAtForOne) / partitions.length;
    // Shards are even only on average: with a deviation more, most pages need no second round.
    const spread = partitions.length > 1 ? Math.sqrt(share) : 0;
    return Math.min(MAX_CHUNK, Math.max(1, Math.floor(share + spread)));
  };
  for await (const { timeSk, summary, ...entry } of mergeShards(readers, chunk)) {
    if (items.length === page.limit) return { items, ...(last && { last }), entriesRead };
    last = timeSk;
    lookedAt += 1;
    if (!isWanted || isWanted({ timeSk, summary, ...entry })) items.push(summary);
    if (isWanted && (items.length === page.limit || lookedAt >= MAX_ENTRIES_READ))
      return { items, last, entriesRead };
  }
  return { items, entriesRead };
}

/** The tenants of a scope that a query may read: one that is not in it stays outside, whatever the query says. */
const narrow = (scope: TenantScope, tenant: string | undefined): TenantScope =>
  tenant === undefined ? scope : scope === 'all' || scope.includes(tenant) ? [tenant] : [];

/** A partition of one of the two indexes. */
export interface ScopedPartition {
  indexName: typeof BY_TIME_INDEX | typeof BY_TENANT_INDEX;
  partition: string;
}

/** Every partition with a kind's entries of a value that is of the tenants in scope, and of nobody else. */
export const scopedPartitions = (kind: EntryKind, value: string, scope: TenantScope): ScopedPartition[] =>
  scope === 'all'
    ? entryPartitions(kind, value).map((partition) => ({ indexName: BY_TIME_INDEX, partition }))
    : [...new Set(scope)].flatMap((tenant) =>
        entryPartitions(kind, value, tenant).map((partition) => ({ indexName: BY_TENANT_INDEX, partition })),
      );

/** A status other than `complete` is rare, and the best key but a person's. */
function drivingKey(query: RecordingQuery): { kind: EntryKind; value: string } {
  const { number, user, text, group, slot, status } = query;
  const [word] = wordsOf(text).toSorted((one, other) => other.length - one.length);
  const values = { number, user, name: word && nameKey(word), group, slot, status };
  const order = status === 'complete' ? KEYS : KEYS.toSorted(bySlotAfterStatus);
  const kind = order.find((key) => values[key] !== undefined);
  return kind ? { kind, value: String(values[kind]) } : { kind: 'time', value: '' };
}

const wordsOf = (text: string | undefined): string[] => text?.split(' ') ?? [];

const bySlotAfterStatus = (one: EntryKind, other: EntryKind): number =>
  Number(one === 'slot') - Number(other === 'slot');

type Condition = (entry: IndexEntry) => boolean;

/** What is left to be asked of each entry; undefined if the key says it all. */
function conditionOf(query: RecordingQuery, key: EntryKind): Condition | undefined {
  const { user, group, slot, status, direction, minDurationMs, text } = query;
  const asked = wordsOf(text);
  const conditions: [EntryKind | undefined, unknown, Condition][] = [
    ['user', user, ({ users }) => users.includes(String(user))],
    ['group', group, ({ summary }) => isOfGroup(summary, String(group))],
    ['slot', slot, ({ summary }) => summary.slot === slot],
    ['status', status, ({ summary }) => summary.status === status],
    [undefined, direction, ({ summary }) => summary.direction === direction],
    [undefined, minDurationMs, ({ summary }) => summary.durationMs >= Number(minDurationMs)],
    // Its key is of one word's beginning only.
    [undefined, text, ({ nameWords }) => haveWords(nameWords, asked)],
  ];
  const open = conditions.filter(([kind, value]) => value !== undefined && kind !== key);
  return open.length > 0 ? (entry) => open.every(([, , holds]) => holds(entry)) : undefined;
}

/** Reads one partition from its newest entry on, within the query and before `after`. */
function reader(
  index: IndexTable,
  partition: ScopedPartition,
  { from, to }: TimeRange,
  after: string | undefined,
  count: (entries: number) => void,
): ReadOn<IndexEntry> {
  let startKey: Record<string, unknown> | undefined;
  return async (limit) => {
    const { entries, lastKey } = await queryEntries(index, partition, {
      // Sort keys are `<time>#<id>`: longer than a bare time, so `to` itself is outside.
      between: [from.toISOString(), after ?? to.toISOString()],
      limit,
      startKey,
    });
    count(entries.length);
    startKey = lastKey;
    return { rows: entries.filter(({ timeSk }) => timeSk !== after), isEnd: !lastKey };
  };
}

export interface EntryRange {
  /** Sort keys, both inclusive. */
  between: [string, string];
  limit: number;
  startKey: Record<string, unknown> | undefined;
}

/** One read of a partition, newest first. `lastKey` is there if it may go on. */
export async function queryEntries(
  { table, tableName }: IndexTable,
  { indexName, partition }: ScopedPartition,
  { between: [lowest, highest], limit, startKey }: EntryRange,
): Promise<{ entries: IndexEntry[]; lastKey: Record<string, unknown> | undefined }> {
  const { Items = [], LastEvaluatedKey } = await table.send(
    new QueryCommand({
      TableName: tableName,
      IndexName: indexName,
      KeyConditionExpression: `${indexName === BY_TENANT_INDEX ? 'tenantPk' : 'timePk'} = :pk AND timeSk BETWEEN :lowest AND :highest`,
      ExpressionAttributeValues: { ':pk': partition, ':lowest': lowest, ':highest': highest },
      ScanIndexForward: false,
      Limit: limit,
      ExclusiveStartKey: startKey,
    }),
  );
  return { entries: Items.map((item) => indexEntrySchema.parse(item)), lastKey: LastEvaluatedKey };
}

/** One recording, or undefined. */
export async function findRecording(
  { table, tableName }: IndexTable,
  recordingId: string,
): Promise<IndexedRecording | undefined> {
  if (!isRecordingId(recordingId)) return undefined;
  const { Item } = await table.send(new GetCommand({ TableName: tableName, Key: recordingKey(recordingId) }));
  return Item && indexedRecordingSchema.parse(Item);
}

/** A client's text may be longer than a key, which DynamoDB refuses. */
const isRecordingId = (text: string): boolean => z.ulid().safeParse(text).success;

/** All copies of a recording, in order of region. */
export async function findCopies(
  { table, tableName }: IndexTable,
  recordingId: string,
): Promise<RecordingCopy[]> {
  if (!isRecordingId(recordingId)) return [];
  const { Items = [] } = await table.send(
    new QueryCommand({
      TableName: tableName,
      KeyConditionExpression: 'pk = :pk AND begins_with(sk, :copies)',
      ExpressionAttributeValues: { ':pk': recordingPartition(recordingId), ':copies': COPY_KEY_PREFIX },
    }),
  );
  return Items.map((item) => recordingCopySchema.parse(item));
}
