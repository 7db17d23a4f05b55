/** A recording with its files in S3, as a recorder uploads it. */
import { createHash } from 'node:crypto';
import { PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { fileKey, manifestKey } from '../../core/keys.ts';
import type { Manifest } from '../../core/manifest.ts';
import { makeManifest } from './manifest.ts';

export const sha256Hex = (content: Buffer): string => createHash('sha256').update(content).digest('hex');

/** Bytes that tell their place; another seed gives others. */
export const bytesOf = (length: number, seed = 0): Buffer =>
  Buffer.from(Uint8Array.from({ length }, (_, index) => (index * 7 + (index >> 8) * 13 + seed) % 256));

export interface StoredRecording {
  manifest: Manifest;
  /** Of the manifest. */
  key: string;
  /** Keys of all its objects, the manifest last. */
  keys: string[];
}

export interface RecordingContent {
  audio?: Buffer;
  metadata?: Buffer;
}

/** A manifest that says what the contents are. */
export function manifestOf(
  { audio = bytesOf(10_000), metadata = bytesOf(500, 1) }: RecordingContent,
  given: Partial<Manifest> = {},
): Manifest {
  const [audioFile, metadataFile] = makeManifest().files as [Manifest['files'][0], Manifest['files'][0]];
  const described = (content: Buffer) => ({ bytes: content.length, sha256: sha256Hex(content) });
  return makeManifest({
    files: [
      { ...audioFile, ...described(audio) },
      { ...metadataFile, ...described(metadata) },
    ],
    ...given,
  });
}

export async function storeRecording(
  s3: S3Client,
  bucket: string,
  content: RecordingContent = {},
  given: Partial<Manifest> = {},
): Promise<StoredRecording> {
  const { audio = bytesOf(10_000), metadata = bytesOf(500, 1) } = content;
  const manifest = manifestOf({ audio, metadata }, given);
  const { homeRegion, recordingId, startedAt } = manifest;
  const location = { homeRegion, recordingId, startedAt: new Date(startedAt) };
  const put = (Key: string, Body: Buffer, ContentType: string) =>
    s3.send(
      new PutObjectCommand({
        Bucket: bucket,
        Key,
        Body,
        ContentType,
        ChecksumSHA256: createHash('sha256').update(Body).digest('base64'),
        Metadata: { sha256: sha256Hex(Body) },
      }),
    );
  const keys = manifest.files.map(({ name }) => fileKey(location, name));
  for (const [index, file] of manifest.files.entries())
    await put(keys[index] as string, index === 0 ? audio : metadata, file.contentType);
  const key = manifestKey(location);
  await put(key, Buffer.from(JSON.stringify(manifest)), 'application/json');
  return { manifest, key, keys: [...keys, key] };
}
