/** Reads holds, requests and deletions, always strongly consistent: what is decided by them cannot be taken back. */
import { GetCommand } from '@aws-sdk/lib-dynamodb';
import {
  activeHolds,
  type Deletion,
  deletionKey,
  deletionSchema,
  FATE_PREFIX,
  type Fate,
  fateOf,
  type Hold,
  type HoldSubject,
  subjectPartition,
} from '../../core/fate-items.ts';
import type { IndexTable } from './aws-clients.ts';
import { readPartition } from './partition.ts';

/** Of this region's replica of the table. */
export const readFate = async (index: IndexTable, subject: HoldSubject): Promise<Fate> =>
  fateOf(await readPartition(index, subjectPartition(subject), { prefix: FATE_PREFIX, consistent: true }));

export const recordingFate = (index: IndexTable, recordingId: string): Promise<Fate> =>
  readFate(index, { kind: 'recording', recordingId });

/** The holds on any of these, in this region's replica, released ones too. */
export async function readHolds(index: IndexTable, subjects: HoldSubject[]): Promise<Hold[]> {
  const fates = await Promise.all(subjects.map((subject) => readFate(index, subject)));
  return fates.flatMap(({ holds }) => holds);
}

/** Those of them that hold. */
export const readActiveHolds = async (index: IndexTable, subjects: HoldSubject[]): Promise<Hold[]> =>
  activeHolds(await readHolds(index, subjects));

export async function readDeletion(
  { table, tableName }: IndexTable,
  recordingId: string,
): Promise<Deletion | undefined> {
  const { Item } = await table.send(
    new GetCommand({ TableName: tableName, Key: deletionKey(recordingId), ConsistentRead: true }),
  );
  return deletionSchema.optional().parse(Item);
}

/** Nothing of the recording is to be made any more; `intended` may still be withdrawn. */
export const isFinal = (deletion: Deletion | undefined): deletion is Deletion =>
  deletion !== undefined && deletion.state !== 'intended';
