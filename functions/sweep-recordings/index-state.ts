/** What the index says of recordings and their copies, many at once. */
import { UpdateCommand } from '@aws-sdk/lib-dynamodb';
import type { z } from 'zod';
import {
  copyKey,
  indexedRecordingSchema,
  recordingCopySchema,
  recordingKey,
} from '../../core/index-items.ts';
import type { ReplicationRule } from '../../core/replication-rules.ts';
import type { IndexTable } from '../shared/aws-clients.ts';
import { unlessRefused } from '../shared/conditional-write.ts';
import { nameOf, readItems } from '../shared/read-items.ts';
import type { SweptRecording } from './home-recordings.ts';

const recordingStateSchema = indexedRecordingSchema.pick({
  revision: true,
  endedAt: true,
  files: true,
  // What filters look at.
  tenant: true,
  direction: true,
  durationMs: true,
  broadWorks: true,
  participants: true,
});
const copyStateSchema = recordingCopySchema.pick({ revision: true, state: true, verifiedAt: true });
export type RecordingState = z.infer<typeof recordingStateSchema>;
export type CopyState = z.infer<typeof copyStateSchema>;

export interface IndexState {
  /** Undefined if the recording is not indexed. */
  recording: RecordingState | undefined;
  copy: (region: string) => CopyState | undefined;
}

const ATTRIBUTES = [
  ...new Set(['pk', 'sk', ...Object.keys(recordingStateSchema.shape), ...Object.keys(copyStateSchema.shape)]),
];

/** @throws IndexTooSlowError, or the SDK's errors */
export async function readIndexStates(
  index: IndexTable,
  recordings: SweptRecording[],
  rules: Pick<ReplicationRule, 'to'>[],
): Promise<(recording: SweptRecording) => IndexState> {
  const keys = recordings.flatMap(({ recordingId }) => [
    recordingKey(recordingId),
    ...rules.map(({ to }) => copyKey(recordingId, to)),
  ]);
  const items = new Map<string, unknown>();
  for (const item of await readItems(index, keys, { attributes: ATTRIBUTES })) items.set(nameOf(item), item);
  return ({ recordingId }) => ({
    recording: recordingStateSchema.optional().parse(items.get(nameOf(recordingKey(recordingId)))),
    copy: (region) => copyStateSchema.optional().parse(items.get(nameOf(copyKey(recordingId, region)))),
  });
}

/** The copy is of what the index says now, and good. */
export const isDone = (copy: CopyState | undefined, { recording }: IndexState): boolean =>
  copy?.state === 'verified' && copy.revision >= (recording?.revision ?? 0);

/** Nothing is played from the copy any more, unless it has been made anew meanwhile. */
export async function markDamaged(
  { table, tableName }: IndexTable,
  recordingId: string,
  region: string,
  { revision }: CopyState,
): Promise<void> {
  await unlessRefused(
    table.send(
      new UpdateCommand({
        TableName: tableName,
        Key: copyKey(recordingId, region),
        UpdateExpression: 'SET #state = :damaged',
        ConditionExpression: 'attribute_exists(pk) AND revision = :revision',
        ExpressionAttributeNames: { '#state': 'state' },
        ExpressionAttributeValues: { ':damaged': 'damaged', ':revision': revision },
      }),
    ),
  );
}
