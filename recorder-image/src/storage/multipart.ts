/**
 * Multipart uploads that survive interruptions: whatever parts S3 has confirmed are not sent again, by this process or by
 * the next. Each part goes with its SHA-256, which S3 checks before it keeps it. S3 has no SHA-256 of the whole object then,
 * only one over those of the parts (its "composite" checksum), which is checked at the end.
 *
 * Permissions: s3:PutObject, s3:PutObjectRetention for a bucket with Object Lock, s3:ListMultipartUploadParts, s3:AbortMultipartUpload.
 */
import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  NoSuchUpload,
  paginateListParts,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import type { ObjectLock } from '../../../core/retention.ts';
import type { BegunUpload, BegunUploads } from './begun-uploads.ts';
import { withFileBody } from './file-body.ts';

export interface MultipartSizes {
  /** Of each part but the last. S3 takes 5 MiB to 5 GiB. */
  partBytes: number;
  /** Parts of one file that are on their way at once. */
  parallel: number;
}

export interface MultipartFile {
  path: string;
  key: string;
  contentType: string;
  /** Of the whole, in hex. */
  sha256: string;
  lock?: ObjectLock | undefined;
}

/** A stretch of a file. `sha256` is in base64, as S3 has it. */
export interface FilePart {
  number: number;
  start: number;
  bytes: number;
  sha256: string;
}

export interface DigestedFile {
  bytes: number;
  /** In hex. */
  sha256: string;
  parts: FilePart[];
}

export interface Destination {
  s3: S3Client;
  bucket: string;
  /** Breaks off what is on its way. */
  signal?: AbortSignal;
}

/** S3 takes no more parts of one object. */
const MAX_PARTS = 10_000;
const MIB = 1024 * 1024;

/** The size of parts for a file, so that S3 takes them all. */
export const partBytesFor = (fileBytes: number, wanted: number): number =>
  fileBytes <= wanted * MAX_PARTS ? wanted : Math.ceil(fileBytes / MAX_PARTS / MIB) * MIB;

/** SHA-256 of a file and of each of its parts, in one pass and constant memory. */
export async function digestFile(path: string, partBytes: number): Promise<DigestedFile> {
  const whole = createHash('sha256');
  const parts: FilePart[] = [];
  let bytes = 0;
  let part: Hash | undefined;
  const endPart = () => {
    if (!part) return;
    const start = parts.length * partBytes;
    parts.push({
      number: parts.length + 1,
      start,
      bytes: bytes - start,
      sha256: part.digest('base64'),
    });
    part = undefined;
  };
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    whole.update(chunk);
    for (let at = 0; at < chunk.length; ) {
      const taken = Math.min(chunk.length - at, partBytes - (bytes % partBytes));
      part ??= createHash('sha256');
      part.update(chunk.subarray(at, at + taken));
      at += taken;
      bytes += taken;
      if (bytes % partBytes === 0) endPart();
    }
  }
  endPart();
  return { bytes, sha256: whole.digest('hex'), parts };
}

/**
 * Uploads a file in parts, or what is missing of it; S3 has the whole object when this resolves.
 * @param digested of the file as it is
 * @param begun what earlier tries left; kept up to date
 * @throws Error from S3, or the disk; a repetition goes on from there
 */
export async function uploadInParts(
  { s3, bucket, signal }: Destination,
  file: MultipartFile,
  digested: DigestedFile,
  begun: BegunUploads,
  { partBytes, parallel }: MultipartSizes,
): Promise<void> {
  const { key, sha256, contentType, lock } = file;
  const known = begun.find({ bucket, key, sha256, partBytes });
  if (known?.completed) return;
  if (known) {
    try {
      return await goOn(known, await confirmedParts(known));
    } catch (error) {
      if (!(error instanceof NoSuchUpload)) throw error;
      await begun.forget(known); // expired, aborted, or completed without our hearing of it
    }
  }
  const { UploadId } = await s3.send(
    new CreateMultipartUploadCommand({
      Bucket: bucket,
      Key: key,
      ContentType: contentType,
      ChecksumAlgorithm: 'SHA256',
      ChecksumType: 'COMPOSITE',
      Metadata: { sha256 },
      ObjectLockMode: lock?.mode,
      ObjectLockRetainUntilDate: lock?.retainUntil,
    }),
    { abortSignal: signal },
  );
  const upload = { bucket, key, uploadId: UploadId as string, sha256, partBytes };
  await begun.add(upload);
  await goOn(upload, new Map());

  async function goOn(upload: BegunUpload, confirmed: ReadonlyMap<number, CompletedPart>): Promise<void> {
    const parts = await inParallel(digested.parts, parallel, async (part) => {
      const there = confirmed.get(part.number);
      return there?.ChecksumSHA256 === part.sha256 ? there : sendPart(upload, part);
    });
    await complete(upload, parts);
    await begun.complete(upload);
  }

  /** What S3 has of an upload already, by number. */
  async function confirmedParts({ uploadId }: BegunUpload): Promise<Map<number, CompletedPart>> {
    const confirmed = new Map<number, CompletedPart>();
    const input = { Bucket: bucket, Key: key, UploadId: uploadId };
    for await (const page of paginateListParts({ client: s3 }, input, { abortSignal: signal }))
      for (const { PartNumber, ETag, ChecksumSHA256 } of page.Parts ?? [])
        confirmed.set(PartNumber as number, { PartNumber, ETag, ChecksumSHA256 });
    return confirmed;
  }

  async function sendPart({ uploadId }: BegunUpload, part: FilePart): Promise<CompletedPart> {
    const range = { start: part.start, end: part.start + part.bytes - 1 };
    const { ETag } = await withFileBody(file.path, range, signal, (content, abortSignal) =>
      s3.send(
        new UploadPartCommand({
          Bucket: bucket,
          Key: key,
          UploadId: uploadId,
          PartNumber: part.number,
          Body: content,
          ContentLength: part.bytes,
          ChecksumSHA256: part.sha256,
        }),
        { abortSignal },
      ),
    );
    return { PartNumber: part.number, ETag, ChecksumSHA256: part.sha256 };
  }

  async function complete({ uploadId }: BegunUpload, parts: CompletedPart[]): Promise<void> {
    const { ChecksumSHA256 } = await s3.send(
      new CompleteMultipartUploadCommand({
        Bucket: bucket,
        Key: key,
        UploadId: uploadId,
        MultipartUpload: { Parts: parts },
        ChecksumType: 'COMPOSITE',
        MpuObjectSize: digested.bytes,
      }),
      { abortSignal: signal },
    );
    const expected = compositeChecksum(digested.parts);
    if (ChecksumSHA256 !== expected)
      throw new Error(`S3 has put ${key} together otherwise: checksum ${ChecksumSHA256}, not ${expected}`);
  }
}

/** The SHA-256 over those of the parts, as S3 writes it: base64, and how many. */
export function compositeChecksum(parts: readonly FilePart[]): string {
  const hash = createHash('sha256');
  for (const { sha256 } of parts) hash.update(Buffer.from(sha256, 'base64'));
  return `${hash.digest('base64')}-${parts.length}`;
}

/** Aborts an upload that nobody will complete: S3 charges for its parts. One that S3 does not know is no error. */
export async function abortUpload(
  { s3, signal }: Pick<Destination, 's3' | 'signal'>,
  { bucket, key, uploadId }: BegunUpload,
): Promise<void> {
  const abort = new AbortMultipartUploadCommand({ Bucket: bucket, Key: key, UploadId: uploadId });
  try {
    await s3.send(abort, { abortSignal: signal });
  } catch (error) {
    if (!(error instanceof NoSuchUpload)) throw error;
  }
}

/**
 * Works on a few items at once.
 * @returns the results in the order of the items
 * @throws the first error, once nothing is in work any more: what the others achieve is kept
 */
async function inParallel<Item, Result>(
  items: readonly Item[],
  limit: number,
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  const errors: unknown[] = [];
  const rest = items.entries();
  const worker = async () => {
    for (const [index, item] of rest) {
      if (errors.length > 0) return;
      try {
        results[index] = await work(item);
      } catch (error) {
        errors.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: limit }, worker));
  if (errors.length > 0) throw errors[0];
  return results;
}
