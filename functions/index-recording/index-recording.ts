/** A manifest in S3 becomes items in the index. */
import { ConditionalCheckFailedException } from '@aws-sdk/client-dynamodb';
import { GetObjectCommand, NoSuchKey, type S3Client } from '@aws-sdk/client-s3';
import { type DynamoDBDocumentClient, PutCommand } from '@aws-sdk/lib-dynamodb';
import { homeCopyItem, recordingItem } from '../../core/index-items.ts';
import { parseManifestKey } from '../../core/keys.ts';
import { InvalidManifestError, parseManifest } from '../../core/manifest.ts';
import type { S3Object } from './s3-events.ts';

export interface IndexDependencies {
  s3: S3Client;
  table: DynamoDBDocumentClient;
  tableName: string;
}

/** What became of one object. `foreign`: not a manifest; `gone`: deleted since the event. */
export type IndexOutcome = 'indexed' | 'alreadyIndexed' | 'foreign' | 'gone';

/**
 * Indexes the recording of one manifest. Events come at least once and in any order: only a higher revision
 * replaces what is there, so that a duplicate or a late event changes nothing.
 * @throws InvalidManifestError if the manifest cannot be read by this version, or contradicts its key
 */
export async function indexManifest(
  { s3, table, tableName }: IndexDependencies,
  { bucket, key }: S3Object,
): Promise<IndexOutcome> {
  const location = parseManifestKey(key);
  if (!location) return 'foreign';
  const text = await getText(s3, bucket, key);
  if (text === undefined) return 'gone';
  const manifest = parseManifest(text, key);
  if (manifest.recordingId !== location.recordingId || manifest.homeRegion !== location.homeRegion)
    throw new InvalidManifestError(
      key,
      `it says it is recording ${manifest.recordingId} of ${manifest.homeRegion}, its key says otherwise`,
    );
  // The copy first: a recording that is found must have at least one place to be played from.
  await table.send(new PutCommand({ TableName: tableName, Item: homeCopyItem(manifest, bucket) }));
  try {
    await table.send(
      new PutCommand({
        TableName: tableName,
        Item: recordingItem(manifest),
        ConditionExpression: 'attribute_not_exists(pk) OR revision < :revision',
        ExpressionAttributeValues: { ':revision': manifest.revision },
      }),
    );
    return 'indexed';
  } catch (error) {
    if (error instanceof ConditionalCheckFailedException) return 'alreadyIndexed';
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
