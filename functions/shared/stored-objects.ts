/** What objects of a recording must be is known from its manifest, and what a bucket holds is compared with that. */
import { createHash } from 'node:crypto';
import { GetObjectCommand, HeadObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import type { RecordingPlace } from './environment.ts';

/** What an object must be. */
export interface ExpectedObject {
  key: string;
  bytes: number;
  /** In hex. */
  sha256: string;
  contentType: string;
  /** Copied only while the source still is this one. */
  sourceEtag?: string;
}

export interface StoragePlace {
  /** Client of the place's region. */
  s3: S3Client;
  place: RecordingPlace;
}

/** How an object compares: `other` is there, and is not what it must be. */
export type ObjectState = 'same' | 'other' | 'missing';

/**
 * Compares an object with what it must be: by the SHA-256 that S3 keeps of the whole object, or, where it has none
 * (an object made by parts), by reading it.
 */
export async function compareObject(
  { s3, place }: StoragePlace,
  expected: ExpectedObject,
): Promise<ObjectState> {
  const object = { Bucket: place.bucket, Key: expected.key };
  try {
    const head = await s3.send(new HeadObjectCommand({ ...object, ChecksumMode: 'ENABLED' }));
    if (head.ContentLength !== expected.bytes) return 'other';
    const stored = wholeChecksum(head);
    return (stored ?? (await digestObject(s3, object))) === expected.sha256 ? 'same' : 'other';
  } catch (error) {
    if (isMissing(error)) return 'missing';
    throw error;
  }
}

/** The SHA-256 of a whole object in hex, in what S3 answers. A checksum of checksums (`<base64>-<parts>`) says nothing of the whole. */
export function wholeChecksum(head: { ChecksumSHA256?: string; ChecksumType?: string }): string | undefined {
  const { ChecksumSHA256: checksum, ChecksumType: type } = head;
  if (!checksum || type === 'COMPOSITE' || checksum.includes('-')) return undefined;
  return Buffer.from(checksum, 'base64').toString('hex');
}

async function digestObject(s3: S3Client, object: { Bucket: string; Key: string }): Promise<string> {
  const { Body } = await s3.send(new GetObjectCommand(object));
  const hash = createHash('sha256');
  for await (const chunk of Body as AsyncIterable<Uint8Array>) hash.update(chunk);
  return hash.digest('hex');
}

/** S3 says `NotFound` to HEAD and `NoSuchKey` to the others. */
export const isMissing = (error: unknown): boolean =>
  ['NotFound', 'NoSuchKey'].includes((error as Error | undefined)?.name ?? '');
