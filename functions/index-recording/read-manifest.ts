/** Manifests as they lie in a bucket. */
import { GetObjectCommand, NoSuchKey, type S3Client } from '@aws-sdk/client-s3';
import { manifestKey } from '../../core/keys.ts';
import { InvalidManifestError, type Manifest, parseManifest } from '../../core/manifest.ts';
import type { S3Object } from './s3-events.ts';

/**
 * Reads a manifest.
 * @returns undefined if there is no such object
 * @throws InvalidManifestError if it cannot be read by this version, or contradicts its key
 */
export async function readManifest(s3: S3Client, { bucket, key }: S3Object): Promise<Manifest | undefined> {
  const text = await getText(s3, bucket, key);
  if (text === undefined) return undefined;
  const manifest = parseManifest(text, key);
  const { homeRegion, recordingId, startedAt } = manifest;
  // A copy's files are found by this key's prefix, so that region, day and id must all agree.
  const ownKey = manifestKey({ homeRegion, recordingId, startedAt: new Date(startedAt) });
  if (ownKey !== key) throw new InvalidManifestError(key, `by what it says, it belongs at ${ownKey}`);
  return manifest;
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
