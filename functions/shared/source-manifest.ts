/** A recording's manifest, read from its home region, and what must be wherever there is a copy. */
import { createHash } from 'node:crypto';
import { GetObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { fileKey, manifestKey, type RecordingLocation } from '../../core/keys.ts';
import { InvalidManifestError, type Manifest, parseManifest } from '../../core/manifest.ts';
import { type ExpectedObject, isMissing } from './stored-objects.ts';

/** A manifest as an object among the others. */
export interface SourceManifest extends ExpectedObject {
  manifest: Manifest;
  /** When S3 took it. */
  writtenAt: Date | undefined;
}

/**
 * The manifest of a recording as it is now; undefined if it is gone.
 * @throws InvalidManifestError if it cannot be read by this version, or contradicts its key
 */
export async function readManifest(
  s3: S3Client,
  bucket: string,
  key: string,
  abortSignal?: AbortSignal,
): Promise<SourceManifest | undefined> {
  try {
    const { Body, ETag, LastModified } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }), {
      ...(abortSignal && { abortSignal }),
    });
    const text = Buffer.from((await Body?.transformToByteArray()) ?? []);
    const manifest = parseManifest(text.toString('utf8'), key);
    const ownKey = manifestKey(locationOf(manifest));
    if (ownKey !== key) throw new InvalidManifestError(key, `by what it says, it belongs at ${ownKey}`);
    return {
      manifest,
      writtenAt: LastModified,
      key,
      bytes: text.length,
      sha256: createHash('sha256').update(text).digest('hex'),
      contentType: 'application/json',
      sourceEtag: ETag,
    };
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

const locationOf = ({ homeRegion, recordingId, startedAt }: Manifest): RecordingLocation => ({
  homeRegion,
  recordingId,
  startedAt: new Date(startedAt),
});

/**
 * Every object of a recording that must be at a target, in the order in which it is made: the manifest last, because
 * without it there is no recording.
 */
export const objectsOf = (source: SourceManifest): ExpectedObject[] => [
  ...source.manifest.files.map(({ name, bytes, sha256, contentType }) => ({
    key: fileKey(locationOf(source.manifest), name),
    bytes,
    sha256,
    contentType,
  })),
  source,
];
