/** Copies one object from region to region within S3: the request goes to the target, which fetches the source itself. */
import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3';
import { type ExpectedObject, type StoragePlace, wholeChecksum } from '../shared/stored-objects.ts';

export interface CopySizes {
  /** Above it, S3 copies by parts only. */
  singleCopyBytes: number;
  /** Of each part but the last. S3 takes 5 MiB to 5 GiB. */
  partBytes: number;
  /** So large an object is looked for at the target before it is copied, even where nothing is expected. */
  lookFirstBytes: number;
}

const MIB = 1024 * 1024;

/** 5 GB is CopyObject's limit. */
export const COPY_SIZES: CopySizes = {
  singleCopyBytes: 5 * 1024 * MIB,
  partBytes: 512 * MIB,
  lookFirstBytes: 64 * MIB,
};

/** S3 takes no more parts of one object. */
const MAX_PARTS = 10_000;

/** What keeps an object from being deleted or replaced (S3 Object Lock). Only for a bucket that has Object Lock. */
export interface ObjectProtection {
  mode?: 'GOVERNANCE' | 'COMPLIANCE';
  /** With a mode, and only then. */
  retainUntil?: Date;
  legalHold?: boolean;
}

export interface CopyOptions {
  sourceBucket: string;
  /** Home region, kept with the copy. */
  origin: string;
  sizes: CopySizes;
  /** None when absent: those of the source are not taken over. */
  tags?: Record<string, string>;
  /** None when absent, but what the bucket gives to all its objects. */
  protection?: ObjectProtection | undefined;
}

/**
 * Copies an object, whole or by parts.
 * @returns the SHA-256 in hex that S3 at the target has computed of what it wrote; undefined where it does not say it
 * @throws S3's errors: `NoSuchKey` without a source, `PreconditionFailed` if it is not that of `sourceEtag`
 */
export async function copyObject(
  { s3, place }: StoragePlace,
  expected: ExpectedObject,
  { sourceBucket, origin, sizes, tags = {}, protection = {} }: CopyOptions,
): Promise<string | undefined> {
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
    Tagging: new URLSearchParams(tags).toString() || undefined,
    ObjectLockMode: protection.mode,
    ObjectLockRetainUntilDate: protection.retainUntil,
    ObjectLockLegalHoldStatus: protection.legalHold ? 'ON' : undefined,
  } as const;
  if (bytes <= sizes.singleCopyBytes) {
    const { CopyObjectResult = {} } = await s3.send(
      new CopyObjectCommand({
        ...created,
        ...source,
        MetadataDirective: 'REPLACE',
        TaggingDirective: 'REPLACE',
        ChecksumAlgorithm: 'SHA256', // of the whole, also where the source was uploaded by parts
      }),
    );
    return wholeChecksum(CopyObjectResult);
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
    return undefined;
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
