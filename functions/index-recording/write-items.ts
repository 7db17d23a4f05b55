/**
 * All items of a recording, written so that duplicates, late events and a crash between two writes are harmless.
 *
 * Every item carries the revision of its manifest, and only a higher one replaces it. The recording item comes last: it is
 * the proof that all others of its revision are there. Entries of an older revision than the recording's are removed by
 * whoever comes after it, also by one whose own revision turned out to be late.
 */
import { DeleteCommand, GetCommand, PutCommand } from '@aws-sdk/lib-dynamodb';
import { dueItem, tenantItem } from '../../core/fate-items.ts';
import { entryItems, isEntryKey } from '../../core/index-entries.ts';
import {
  type IndexedRecording,
  type RecordingCopy,
  recordingItem,
  recordingKey,
  recordingPartition,
  type TableKey,
} from '../../core/index-items.ts';
import type { Manifest } from '../../core/manifest.ts';
import type { IndexTable } from '../shared/aws-clients.ts';
import { unlessRefused } from '../shared/conditional-write.ts';
import { isFinal, readDeletion } from '../shared/fates.ts';
import { readPartition } from '../shared/partition.ts';

export interface WriteOptions {
  /** Writes items of the same revision again, as an index that lost some of them needs it. */
  restore?: boolean;
}

/** A call has about ten entries, a large conference a thousand: so many are on their way at once. */
const PARALLEL_WRITES = 10;

type Revised = TableKey & { revision: number };

/**
 * `known`: the recording item was there in this or a higher revision; `deleted`: the recording has been deleted, or is being,
 * and expire-recordings has been told that something of it is there.
 */
export type WriteOutcome = 'written' | 'known' | 'deleted';

/** Writes the copy, the entries and the recording item of a manifest, unless the recording has been deleted. */
export async function writeItems(
  target: IndexTable,
  manifest: Manifest,
  copy: RecordingCopy & TableKey,
  { restore = false }: WriteOptions = {},
): Promise<WriteOutcome> {
  const { recordingId, revision, homeRegion } = manifest;
  // In this order: what is deleted between the two is found by the look that every deletion has later.
  const indexed = restore ? 0 : ((await indexedRevision(target, recordingId)) ?? 0);
  if (isFinal(await readDeletion(target, recordingId))) {
    await putItem(target, dueItem(homeRegion, { kind: 'recording', recordingId }, new Date()));
    return 'deleted';
  }
  const isWritten = indexed >= revision;
  let isNew = false;
  if (!isWritten) {
    const recording = recordingItem(manifest);
    await noteTenant(target, recording);
    // The copy first: a recording that is found must have at least one place to be played from.
    // Never the same one again: whoever made a copy knows more of it than its manifest says.
    await putIfNewer(target, copy, false);
    await inParallel(entryItems(recording), (entry) => putIfNewer(target, entry, restore));
    isNew = await putIfNewer(target, recording, restore);
  }
  await removeOutdated(target, recordingId);
  return isNew ? 'written' : 'known';
}

/** Those that this process has noted, by table. */
const noted = new Set<string>();

/** Once for each tenant: expire-recordings looks for old recordings tenant by tenant. Before the first can be found. */
async function noteTenant(target: IndexTable, { homeRegion, tenant }: IndexedRecording): Promise<void> {
  const item = tenantItem(homeRegion, tenant);
  const name = `${target.tableName} ${item.sk}`;
  if (noted.has(name)) return;
  await putItem(target, item);
  noted.add(name);
}

const putItem = ({ table, tableName }: IndexTable, Item: TableKey) =>
  table.send(new PutCommand({ TableName: tableName, Item }));

async function indexedRevision(
  { table, tableName }: IndexTable,
  recordingId: string,
): Promise<number | undefined> {
  const { Item } = await table.send(
    new GetCommand({
      TableName: tableName,
      Key: recordingKey(recordingId),
      ConsistentRead: true,
      ProjectionExpression: 'revision',
    }),
  );
  return Item?.revision;
}

/** Deletes the entries that are older than the recording item. */
async function removeOutdated(target: IndexTable, recordingId: string): Promise<void> {
  const items = await itemsOf(target, recordingId);
  const { sk: recordingSk } = recordingKey(recordingId);
  const current = items.find(({ sk }) => sk === recordingSk)?.revision ?? 0;
  const outdated = items.filter((item) => isEntryKey(item) && item.revision < current);
  await inParallel(outdated, (item) => deleteIfOlder(target, item, current));
}

const itemsOf = async (target: IndexTable, recordingId: string): Promise<Revised[]> =>
  (await readPartition(target, recordingPartition(recordingId), {
    attributes: ['pk', 'sk', 'revision'],
    consistent: true,
  })) as unknown as Revised[];

/** Writes an item unless it is there in the same or a higher revision. @returns whether it was written */
const putIfNewer = (
  { table, tableName }: IndexTable,
  item: Revised | (RecordingCopy & TableKey),
  orSame: boolean,
) =>
  unlessRefused(
    table.send(
      new PutCommand({
        TableName: tableName,
        Item: item,
        ConditionExpression: `attribute_not_exists(pk) OR revision ${orSame ? '<=' : '<'} :revision`,
        ExpressionAttributeValues: { ':revision': item.revision },
      }),
    ),
  );

const deleteIfOlder = ({ table, tableName }: IndexTable, { pk, sk }: TableKey, revision: number) =>
  unlessRefused(
    table.send(
      new DeleteCommand({
        TableName: tableName,
        Key: { pk, sk },
        ConditionExpression: 'revision < :revision',
        ExpressionAttributeValues: { ':revision': revision },
      }),
    ),
  );

async function inParallel<Item>(
  items: readonly Item[],
  write: (item: Item) => Promise<unknown>,
): Promise<void> {
  for (let at = 0; at < items.length; at += PARALLEL_WRITES)
    await Promise.all(items.slice(at, at + PARALLEL_WRITES).map(write));
}
