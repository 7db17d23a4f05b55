/** Puts the files of a finished recording into S3: the manifest last, because it makes the recording exist. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { fileKey, manifestKey, type RecordingLocation } from '../../../core/keys.ts';
import { MANIFEST_FILE, type Manifest } from '../../../core/manifest.ts';
import { type ObjectLock, objectLockOf, type Retention } from '../../../core/retention.ts';
import { type BegunUpload, BegunUploads } from './begun-uploads.ts';
import { withFileBody } from './file-body.ts';
import {
  abortUpload,
  type Destination,
  type DigestedFile,
  digestFile,
  type MultipartSizes,
  partBytesFor,
  uploadInParts,
} from './multipart.ts';

const MIB = 1024 * 1024;
/** Above it, a file goes in parts: an interruption then costs a part and not the file. */
const MULTIPART_ABOVE_BYTES = 32 * MIB;
const MULTIPART: MultipartSizes = { partBytes: 16 * MIB, parallel: 3 };

export interface UploadTarget extends Destination {
  /** How long the bucket is to lock what is uploaded; absent for a bucket without Object Lock. */
  retention?: Retention | undefined;
  /** Default: files above 32 MiB in parts of 16 MiB, three at once. */
  multipart?: MultipartSizes & { aboveBytes: number };
  /** Told of an upload that was begun, will not be completed, and could not be aborted. */
  onOrphan?: (orphan: BegunUpload, error: unknown) => void;
}

/** A file is not any more what its manifest says. */
export class FileChangedError extends Error {
  constructor(
    path: string,
    manifest: { bytes: number; sha256: string },
    now: { bytes: number; sha256?: string },
  ) {
    const words = ({ bytes, sha256 }: { bytes: number; sha256?: string }) =>
      `${bytes} bytes${sha256 ? ` with SHA-256 ${sha256}` : ''}`;
    super(`${path} has changed since its manifest was written: ${words(manifest)} then, ${words(now)} now`);
    this.name = 'FileChangedError';
  }
}

interface SourceFile {
  name: string;
  contentType: string;
  bytes: number;
  /** In hex. */
  sha256: string;
  lock: ObjectLock | undefined;
}

/**
 * Uploads a recording from its spool directory. S3 checks all that it gets against its SHA-256 before it stores it
 * (`x-amz-checksum-sha256`), and that of each whole file is in its object's metadata (`x-amz-meta-sha256`). Repeating it
 * is harmless: the same keys get the same bytes.
 * @throws FileChangedError
 * @throws Error from S3 or the disk; what is there already stays, and no manifest makes it a recording
 */
export async function uploadRecording(
  target: UploadTarget,
  directory: string,
  manifest: Manifest,
  manifestFile: { bytes: number; sha256: string },
): Promise<void> {
  const location: RecordingLocation = {
    homeRegion: manifest.homeRegion,
    recordingId: manifest.recordingId,
    startedAt: new Date(manifest.startedAt),
  };
  const lock = target.retention && objectLockOf(target.retention, manifest, new Date());
  const begun = await BegunUploads.read(directory);
  const { aboveBytes, ...sizes } = target.multipart ?? { aboveBytes: MULTIPART_ABOVE_BYTES, ...MULTIPART };
  for (const file of manifest.files) {
    const key = fileKey(location, file.name);
    if (file.bytes > aboveBytes) await putInParts(target, directory, key, { ...file, lock }, begun, sizes);
    else await put(target, directory, key, { ...file, lock });
  }
  await put(target, directory, manifestKey(location), {
    name: MANIFEST_FILE,
    contentType: 'application/json',
    lock,
    ...manifestFile,
  });
  for (const abandoned of begun.incomplete)
    await abortUpload(target, abandoned).catch((error) => target.onOrphan?.(abandoned, error));
}

async function put(
  { s3, bucket, signal }: UploadTarget,
  directory: string,
  key: string,
  file: SourceFile,
): Promise<void> {
  const path = join(directory, file.name);
  await assertLength(path, file); // S3 would wait for the rest
  const send = (content: Readable, abortSignal: AbortSignal) =>
    s3.send(
      new PutObjectCommand({
        Bucket: bucket,
        Key: key,
        Body: content,
        ContentLength: file.bytes,
        ContentType: file.contentType,
        ChecksumSHA256: Buffer.from(file.sha256, 'hex').toString('base64'),
        Metadata: { sha256: file.sha256 },
        ObjectLockMode: file.lock?.mode,
        ObjectLockRetainUntilDate: file.lock?.retainUntil,
      }),
      { abortSignal },
    );
  try {
    await withFileBody(path, {}, signal, send);
  } catch (error) {
    // Either the network has changed it, or the disk.
    if ((error as Error).name === 'BadDigest') assertSame(path, file, await digestFile(path, file.bytes + 1));
    throw error;
  }
}

async function putInParts(
  target: UploadTarget,
  directory: string,
  key: string,
  file: SourceFile,
  begun: BegunUploads,
  { partBytes: wanted, parallel }: MultipartSizes,
): Promise<void> {
  const path = join(directory, file.name);
  const { contentType, sha256, lock } = file;
  const partBytes = partBytesFor(file.bytes, wanted);
  await assertLength(path, file);
  const digested = await digestFile(path, partBytes);
  assertSame(path, file, digested);
  await uploadInParts(target, { path, key, contentType, sha256, lock }, digested, begun, {
    partBytes,
    parallel,
  });
}

async function assertLength(path: string, file: SourceFile): Promise<void> {
  const { size } = await stat(path);
  if (size !== file.bytes) throw new FileChangedError(path, file, { bytes: size });
}

function assertSame(path: string, file: SourceFile, now: DigestedFile): void {
  if (now.sha256 !== file.sha256) throw new FileChangedError(path, file, now);
}
