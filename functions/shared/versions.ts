/** All that a bucket holds of something: every version of every object, and the delete markers. */
import {
  DeleteObjectsCommand,
  HeadObjectCommand,
  ListObjectVersionsCommand,
  PutObjectLegalHoldCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { MANIFEST_FILE } from '../../core/manifest.ts';
import { isMissing } from './stored-objects.ts';

export interface BucketPlace {
  s3: S3Client;
  bucket: string;
}

interface Version {
  Key: string;
  VersionId: string;
  isMarker: boolean;
}

/** S3 refuses to delete versions, or they come again and again. The message names the first. */
export class NotDeletedError extends Error {
  constructor(bucket: string, count: number, key: string, reason: string) {
    super(`${bucket} keeps ${count} versions, the first of ${key}: ${reason}`);
    this.name = 'NotDeletedError';
  }
}

/** Rounds of deleting and listing: somebody may be writing. */
const MAX_ROUNDS = 3;

/**
 * Deletes every version and delete marker whose key begins with `prefix`, and proves it: the last thing it does is a list
 * in which there is nothing.
 * @returns how many it deleted
 * @throws NotDeletedError, or the SDK's errors
 */
export async function deleteAllVersions({ s3, bucket }: BucketPlace, prefix: string): Promise<number> {
  let deleted = 0;
  for (let round = 1; ; round++) {
    const found = await listVersions({ s3, bucket }, prefix);
    const [first] = found;
    if (!first) return deleted;
    if (round > MAX_ROUNDS)
      throw new NotDeletedError(bucket, found.length, first.Key, 'it is there again each time');
    for (let at = 0; at < found.length; at += 1000) {
      const Objects = found.slice(at, at + 1000).map(({ Key, VersionId }) => ({ Key, VersionId }));
      const { Errors = [] } = await s3.send(
        new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects, Quiet: true } }),
      );
      const [error] = Errors;
      if (error)
        throw new NotDeletedError(
          bucket,
          Errors.length,
          error.Key ?? prefix,
          `${error.Code} ${error.Message ?? ''}`.trim(),
        );
      deleted += Objects.length;
    }
  }
}

async function listVersions({ s3, bucket }: BucketPlace, prefix: string): Promise<Version[]> {
  const found: Version[] = [];
  let markers: { KeyMarker?: string; VersionIdMarker?: string } | undefined;
  do {
    const page = await s3.send(new ListObjectVersionsCommand({ Bucket: bucket, Prefix: prefix, ...markers }));
    for (const [list, isMarker] of [
      [page.Versions ?? [], false] as const,
      [page.DeleteMarkers ?? [], true] as const,
    ])
      for (const { Key, VersionId } of list) if (Key && VersionId) found.push({ Key, VersionId, isMarker });
    markers = page.IsTruncated
      ? { KeyMarker: page.NextKeyMarker, VersionIdMarker: page.NextVersionIdMarker }
      : undefined;
  } while (markers);
  return found;
}

/**
 * Sets or lifts S3's own legal hold on every version below `prefix`, those of the manifest last, by which
 * `readLock` tells that all is done. The bucket must have Object Lock.
 */
export async function setLegalHold(
  { s3, bucket }: BucketPlace,
  prefix: string,
  Status: 'ON' | 'OFF',
): Promise<void> {
  const versions = await listVersions({ s3, bucket }, prefix);
  const last = (key: string) => Number(key.endsWith(`/${MANIFEST_FILE}`));
  for (const { Key, VersionId, isMarker } of versions.toSorted((a, b) => last(a.Key) - last(b.Key)))
    if (!isMarker)
      await s3.send(new PutObjectLegalHoldCommand({ Bucket: bucket, Key, VersionId, LegalHold: { Status } }));
}

/** What Object Lock says of an object; undefined if it is not there. */
export async function readLock(
  { s3, bucket }: BucketPlace,
  key: string,
): Promise<{ retainUntil?: Date; isHeld: boolean } | undefined> {
  try {
    const head = await s3.send(new HeadObjectCommand({ Bucket: bucket, Key: key }));
    return {
      ...(head.ObjectLockRetainUntilDate && { retainUntil: head.ObjectLockRetainUntilDate }),
      isHeld: head.ObjectLockLegalHoldStatus === 'ON',
    };
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}
