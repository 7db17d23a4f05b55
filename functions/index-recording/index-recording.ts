/** A manifest in S3 becomes items in the index, and jobs for its copies. */
import { ConditionalCheckFailedException } from '@aws-sdk/client-dynamodb';
import { GetObjectCommand, NoSuchKey, type S3Client } from '@aws-sdk/client-s3';
import { type DynamoDBDocumentClient, PutCommand } from '@aws-sdk/lib-dynamodb';
import { homeCopyItem, recordingItem } from '../../core/index-items.ts';
import { manifestKey, parseManifestKey } from '../../core/keys.ts';
import { InvalidManifestError, parseManifest } from '../../core/manifest.ts';
import { sendCopyJobs, type WorkQueue } from '../shared/work-queue.ts';
import type { S3Object } from './s3-events.ts';

export interface IndexDependencies {
  s3: S3Client;
  table: DynamoDBDocumentClient;
  tableName: string;
  /** Where copies are asked for; absent if nothing is copied from this region. */
  copies?: { queue: WorkQueue; targets: string[] };
}

/** What became of one object. `foreign`: not a manifest; `gone`: deleted since the event. */
export type IndexOutcome = 'indexed' | 'alreadyIndexed' | 'foreign' | 'gone';

/**
 * Indexes the recording of one manifest. Events come at least once and in any order: only a higher revision
 * replaces what is there, so that a duplicate or a late event changes nothing.
 * @throws InvalidManifestError if the manifest cannot be read by this version, or contradicts its key
 */
export async function indexManifest(
  { s3, table, tableName, copies }: IndexDependencies,
  { bucket, key }: S3Object,
): Promise<IndexOutcome> {
  if (!parseManifestKey(key)) return 'foreign';
  const text = await getText(s3, bucket, key);
  if (text === undefined) return 'gone';
  const manifest = parseManifest(text, key);
  const { homeRegion, recordingId, startedAt } = manifest;
  // The copy's files are found by this key's prefix, so that region, day and id must all agree.
  const ownKey = manifestKey({ homeRegion, recordingId, startedAt: new Date(startedAt) });
  if (ownKey !== key) throw new InvalidManifestError(key, `by what it says, it belongs at ${ownKey}`);
  const put = (item: { revision: number }) => putIfNewer({ table, tableName }, item);
  // The copy first: a recording that is found must have at least one place to be played from.
  await put(homeCopyItem(manifest, bucket));
  const outcome = (await put(recordingItem(manifest))) ? 'indexed' : 'alreadyIndexed';
  // Also when it was indexed before: the try that did so may have failed here.
  if (copies)
    await sendCopyJobs(
      copies.queue,
      copies.targets.map((target) => ({ key, target })),
    );
  return outcome;
}

/** Writes an item unless it is there in the same or a higher revision. @returns whether it was written */
async function putIfNewer(
  { table, tableName }: Pick<IndexDependencies, 'table' | 'tableName'>,
  item: { revision: number },
): Promise<boolean> {
  try {
    await table.send(
      new PutCommand({
        TableName: tableName,
        Item: item,
        ConditionExpression: 'attribute_not_exists(pk) OR revision < :revision',
        ExpressionAttributeValues: { ':revision': item.revision },
      }),
    );
    return true;
  } catch (error) {
    if (error instanceof ConditionalCheckFailedException) return false;
    throw error;
  }
}

async function getText(s3: S3Client, bucket: string, key: string): Promise<string | undefined> {
  try {
    const { Body } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
    return await Body?.transformToString('utf8');
  } catch (error) {
    if (error instanceof NoSuchKey) return undefined;
    throw error;
  }
}
