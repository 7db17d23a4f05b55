/** A manifest in S3 becomes items in the index. */
import type { S3Client } from '@aws-sdk/client-s3';
import type { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import { homeCopyItem } from '../../core/index-items.ts';
import { parseManifestKey } from '../../core/keys.ts';
import { readManifest } from './read-manifest.ts';
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
  object: S3Object,
): Promise<IndexOutcome> {
  if (!parseManifestKey(object.key)) return 'foreign';
  const manifest = await readManifest(s3, object);
  if (!manifest) return 'gone';
  const copy = homeCopyItem(manifest, object.bucket);
  return (await writeItems({ table, tableName }, manifest, copy)) ? 'indexed' : 'alreadyIndexed';
}
