/** A manifest in S3 becomes items in the index. */
import { GetObjectCommand, NoSuchKey, type S3Client } from '@aws-sdk/client-s3';
import type { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import { homeCopyItem } from '../../core/index-items.ts';
import { manifestKey, parseManifestKey } from '../../core/keys.ts';
import { InvalidManifestError, parseManifest } from '../../core/manifest.ts';
import type { S3Object } from './s3-events.ts';
import { writeItems } from './write-items.ts';

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
  if (!parseManifestKey(key)) return 'foreign';
  const text = await getText(s3, bucket, key);
  if (text === undefined) return 'gone';
  const manifest = parseManifest(text, key);
  const { homeRegion, recordingId, startedAt } = manifest;
  // The copy's files are found by this key's prefix, so that region, day and id must all agree.
  const ownKey = manifestKey({ homeRegion, recordingId, startedAt: new Date(startedAt) });
  if (ownKey !== key) throw new InvalidManifestError(key, `by what it says, it belongs at ${ownKey}`);
  const copy = homeCopyItem(manifest, bucket);
  return (await writeItems({ table, tableName }, manifest, copy)) ? 'indexed' : 'alreadyIndexed';
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
