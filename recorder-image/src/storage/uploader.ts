/** Puts the files of a finished recording into S3: the manifest last, because it makes the recording exist. */
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { fileKey, manifestKey, type RecordingLocation } from '../../../core/keys.ts';
import { MANIFEST_FILE, type Manifest } from '../../../core/manifest.ts';

export interface UploadTarget {
  s3: S3Client;
  bucket: string;
}

/**
 * Uploads a recording from its spool directory. S3 checks every object against its SHA-256 before it stores it
 * (`x-amz-checksum-sha256`). Repeating it is harmless: the same keys get the same bytes.
 * @throws Error from S3 or the disk; what is there already stays, and no manifest makes it a recording
 */
export async function uploadRecording(
  { s3, bucket }: UploadTarget,
  directory: string,
  manifest: Manifest,
  manifestFile: { bytes: number; sha256: string },
): Promise<void> {
  const location: RecordingLocation = {
    homeRegion: manifest.homeRegion,
    recordingId: manifest.recordingId,
    startedAt: new Date(manifest.startedAt),
  };
  const put = async (
    key: string,
    file: { name: string; contentType: string; bytes: number; sha256: string },
  ) => {
    const content = createReadStream(join(directory, file.name));
    try {
      await s3.send(
        new PutObjectCommand({
          Bucket: bucket,
          Key: key,
          Body: content,
          ContentLength: file.bytes,
          ContentType: file.contentType,
          ChecksumSHA256: Buffer.from(file.sha256, 'hex').toString('base64'),
        }),
      );
    } finally {
      content.destroy(); // after a failure nobody else does
    }
  };
  for (const file of manifest.files) await put(fileKey(location, file.name), file);
  await put(manifestKey(location), { name: MANIFEST_FILE, contentType: 'application/json', ...manifestFile });
}
