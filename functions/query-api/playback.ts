/** Playback addresses: short-lived, presigned GETs of the audio of a copy. */
import { GetObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import type { IndexedRecording, RecordingCopy } from '../../core/index-items.ts';
import { AUDIO_URL_TTL_SECONDS } from './constants.ts';

export interface PlaybackAddress {
  url: string;
  expiresAt: string;
  contentType: string;
  /** Of the whole file, to check the download against. */
  sha256: string;
  bytes: number;
  region: string;
}

/**
 * The address of a recording's audio in one copy; undefined if the recording has no audio.
 * S3 does not sign `Range`, so that players can seek.
 */
export async function playbackAddress(
  s3For: (region: string) => S3Client,
  recording: IndexedRecording,
  copy: RecordingCopy,
  now: Date,
): Promise<PlaybackAddress | undefined> {
  const file = recording.files.find(({ name }) => name === recording.audio?.file);
  if (!file) return undefined;
  const command = new GetObjectCommand({
    Bucket: copy.bucket,
    Key: copy.prefix + file.name,
    ResponseContentType: file.contentType,
    ResponseContentDisposition: `attachment; filename="${recording.recordingId}.wav"`,
  });
  return {
    url: await getSignedUrl(s3For(copy.region), command, { expiresIn: AUDIO_URL_TTL_SECONDS }),
    expiresAt: new Date(now.getTime() + AUDIO_URL_TTL_SECONDS * 1000).toISOString(),
    contentType: file.contentType,
    sha256: file.sha256,
    bytes: file.bytes,
    region: copy.region,
  };
}
