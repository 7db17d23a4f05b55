/** What the index says of recordings and their copies, many at once. */
import { setTimeout as pause } from 'node:timers/promises';
import { ConditionalCheckFailedException } from '@aws-sdk/client-dynamodb';
import { BatchGetCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import { z } from 'zod';
import { COPY_STATES, copyKey, recordingKey, type TableKey } from '../../core/index-items.ts';
import type { IndexTable } from '../shared/aws-clients.ts';

const recordingStateSchema = z.object({ revision: z.number(), endedAt: z.string() });
const copyStateSchema = z.object({
  revision: z.number(),
  state: z.enum(COPY_STATES).default('verified'),
});
export type RecordingState = z.infer<typeof recordingStateSchema>;
export type CopyState = z.infer<typeof copyStateSchema>;

export interface IndexState {
  /** Undefined if the recording is not indexed. */
  recording: RecordingState | undefined;
  copy: (region: string) => CopyState | undefined;
}

/** DynamoDB gives no more items at once. */
const BATCH = 100;
const MAX_TRIES = 8;

/** DynamoDB left keys of a batch unanswered too often. */
export class IndexTooSlowError extends Error {
  constructor(tableName: string, keys: number) {
    super(
      `${tableName} left ${keys} items unanswered ${MAX_TRIES} times: it is throttled, the next sweep goes on`,
    );
    this.name = 'IndexTooSlowError';
  }
}

/** @throws IndexTooSlowError, or the SDK's errors */
export async function readIndexStates(
  index: IndexTable,
  recordingIds: string[],
  targets: string[],
): Promise<(recordingId: string) => IndexState> {
  const keys = recordingIds.flatMap((id) => [
    recordingKey(id),
    ...targets.map((region) => copyKey(id, region)),
  ]);
  const items = new Map<string, unknown>();
  const name = ({ pk, sk }: TableKey) => `${pk} ${sk}`;
  for (let at = 0; at < keys.length; at += BATCH)
    for (const item of await readBatch(index, keys.slice(at, at + BATCH))) items.set(name(item), item);
  return (recordingId) => ({
    recording: recordingStateSchema.optional().parse(items.get(name(recordingKey(recordingId)))),
    copy: (region) => copyStateSchema.optional().parse(items.get(name(copyKey(recordingId, region)))),
  });
}

async function readBatch({ table, tableName }: IndexTable, keys: TableKey[]): Promise<TableKey[]> {
  const found: TableKey[] = [];
  let open = keys;
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    if (tries > 0) await pause(50 * 2 ** tries);
    const { Responses, UnprocessedKeys } = await table.send(
      new BatchGetCommand({
        RequestItems: {
          [tableName]: {
            Keys: open,
            ProjectionExpression: 'pk, sk, revision, endedAt, #state',
            ExpressionAttributeNames: { '#state': 'state' },
          },
        },
      }),
    );
    found.push(...((Responses?.[tableName] ?? []) as TableKey[]));
    open = (UnprocessedKeys?.[tableName]?.Keys ?? []) as TableKey[];
    if (open.length === 0) return found;
  }
  throw new IndexTooSlowError(tableName, open.length);
}

/** Nothing is played from the copy any more, unless it has been made anew meanwhile. */
export async function markDamaged(
  { table, tableName }: IndexTable,
  recordingId: string,
  region: string,
  { revision }: CopyState,
): Promise<void> {
  try {
    await table.send(
      new UpdateCommand({
        TableName: tableName,
        Key: copyKey(recordingId, region),
        UpdateExpression: 'SET #state = :damaged',
        ConditionExpression: 'attribute_exists(pk) AND revision = :revision',
        ExpressionAttributeNames: { '#state': 'state' },
        ExpressionAttributeValues: { ':damaged': 'damaged', ':revision': revision },
      }),
    );
  } catch (error) {
    if (!(error instanceof ConditionalCheckFailedException)) throw error;
  }
}
