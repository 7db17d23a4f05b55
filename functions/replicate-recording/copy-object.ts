/**
 * Copies one object from region to region within S3: the request goes to the target, which fetches the source itself.
 * What an object at the target must be is known beforehand, and what is there is compared with that.
 */
import { createHash } from 'node:crypto';
import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  HeadObjectCommand,
  type S3Client,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3';
import type { RecordingPlace } from './constants.ts';

export interface CopySizes {
  /** Above it, S3 copies by parts only. */
  singleCopyBytes: number;
  /** Of each part but the last. S3 takes 5 MiB to 5 GiB. */
  partBytes: number;
}

const MIB = 1024 * 1024;

/** 5 GB is CopyObject's limit. */
export const COPY_SIZES: CopySizes = { singleCopyBytes: 5 * 1024 * MIB, partBytes: 512 * MIB };

/** S3 takes no more parts of one object. */
const MAX_PARTS = 10_000;

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

export interface CopyTarget {
  /** Client of the target's region. */
  s3: S3Client;
  place: RecordingPlace;
}

/** How an object at the target compares: `other` is there, and is not what it must be. */
export type ObjectState = 'same' | 'other' | 'missing';

/**
 * Compares an object with what it must be: by the SHA-256 that S3 keeps of the whole object, or, where it has none
 * (an object made by parts), by reading it.
 */
export async function compareObject(
  { s3, place }: CopyTarget,
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

/** The SHA-256 of a whole object in hex. A checksum of checksums (`<base64>-<parts>`) says nothing of the whole. */
function wholeChecksum(head: { ChecksumSHA256?: string; ChecksumType?: string }): string | undefined {
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

/**
 * Copies an object, whole or by parts.
 * @param origin home region, kept with the copy
 * @throws S3's errors: `NoSuchKey` without a source, `PreconditionFailed` if it is not that of `sourceEtag`
 */
export async function copyObject(
  { s3, place }: CopyTarget,
  sourceBucket: string,
  expected: ExpectedObject,
  origin: string,
  sizes: CopySizes,
): Promise<void> {
  const { key, bytes, sourceEtag } = expected;
  const source = {
    // URL-encoded, slash by slash; keys of recordings have nothing in them to encode, and this is no place to rely on it.
    CopySource: [sourceBucket, ...key.split('/')].map(encodeURIComponent).join('/'),
    CopySourceIfMatch: sourceEtag,
  };
  // All that the object is at the target is said here, and nothing left to the source or to the bucket's defaults.
  const created = {
    Bucket: place.bucket,
    Key: key,
    ContentType: expected.contentType,
    Metadata: { sha256: expected.sha256, 'origin-region': origin },
    ServerSideEncryption: 'aws:kms',
    SSEKMSKeyId: place.kmsKeyId,
    BucketKeyEnabled: true,
  } as const;
  if (bytes <= sizes.singleCopyBytes) {
    await s3.send(
      new CopyObjectCommand({
        ...created,
        ...source,
        MetadataDirective: 'REPLACE',
        TaggingDirective: 'REPLACE',
        ChecksumAlgorithm: 'SHA256', // of the whole, also where the source was uploaded by parts
      }),
    );
    return;
  }
  const { UploadId } = await s3.send(new CreateMultipartUploadCommand(created));
  const upload = { Bucket: place.bucket, Key: key, UploadId };
  try {
    const parts: CompletedPart[] = [];
    for (const { number, range } of partsOf(bytes, sizes.partBytes)) {
      const part = { ...upload, ...source, PartNumber: number, CopySourceRange: range };
      const { CopyPartResult } = await s3.send(new UploadPartCopyCommand(part));
      parts.push({ PartNumber: number, ETag: CopyPartResult?.ETag });
    }
    await s3.send(new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts: parts } }));
  } catch (error) {
    // What cannot be aborted now, the bucket's lifecycle aborts after a week. The first error is the one to tell.
    await s3.send(new AbortMultipartUploadCommand(upload)).catch(() => {});
    throw error;
  }
}

/** Ranges as S3 writes them, the last byte included. */
function partsOf(bytes: number, wanted: number): { number: number; range: string }[] {
  const size = Math.max(wanted, Math.ceil(bytes / MAX_PARTS));
  return Array.from({ length: Math.ceil(bytes / size) }, (_, index) => ({
    number: index + 1,
    range: `bytes=${index * size}-${Math.min(bytes, (index + 1) * size) - 1}`,
  }));
}
