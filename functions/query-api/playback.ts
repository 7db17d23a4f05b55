/** Playback addresses: short-lived, presigned GETs of the audio of the nearest copy that has it. */
import { GetObjectCommand, HeadObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import type { IndexedRecording, RecordingCopy } from '../../core/index-items.ts';
import type { ManifestFile } from '../../core/manifest.ts';
import type { PlaybackAddress } from './answers.ts';
import { AUDIO_URL_TTL_SECONDS } from './constants.ts';
import { ProblemError } from './problems.ts';

export interface PlaybackDependencies {
  /** S3 client for the buckets of a region. */
  s3For: (region: string) => S3Client;
  /** Where the question was asked: its own copy is the nearest. */
  region: string;
  /** For a copy's S3 to say that it has the audio; default 2 s. */
  headTimeoutMs?: number;
}

/** Another region answers within some hundred milliseconds; all copies must be asked within the function's time. */
const HEAD_TIMEOUT_MS = 2_000;

/** No verified copy of a recording gave its audio. The message says what came of each. */
export class NoCopyAnswersError extends ProblemError {
  constructor(recordingId: string, failures: string[]) {
    const why = failures.length > 0 ? failures.join('; ') : 'there is none';
    super(503, `no verified copy of recording ${recordingId} can be played: ${why}`, { 'retry-after': '10' });
    this.name = 'NoCopyAnswersError';
  }
}

/**
 * The address of a recording's audio, in the first copy whose S3 has it; undefined if the recording has no audio.
 * S3 does not sign `Range`, so that players can seek.
 * @throws NoCopyAnswersError
 */
export async function playbackAddress(
  { s3For, region, headTimeoutMs = HEAD_TIMEOUT_MS }: PlaybackDependencies,
  recording: IndexedRecording,
  copies: RecordingCopy[],
  now: Date,
): Promise<PlaybackAddress | undefined> {
  const file = recording.files.find(({ name }) => name === recording.audio?.file);
  if (!file) return undefined;
  const failures: string[] = [];
  for (const copy of nearestFirst(copies, region)) {
    const object = { Bucket: copy.bucket, Key: copy.prefix + file.name };
    const trouble = await whyNot(s3For(copy.region), object, file, headTimeoutMs);
    if (trouble) {
      failures.push(`${copy.region}: ${trouble}`);
      continue;
    }
    const command = new GetObjectCommand({
      ...object,
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
  throw new NoCopyAnswersError(recording.recordingId, failures);
}

/** Verified copies: the own region's, then the others in order of their names, so that each question goes the same way. */
export const nearestFirst = (copies: RecordingCopy[], region: string): RecordingCopy[] =>
  copies
    .filter(({ state }) => state === 'verified')
    .toSorted(
      (a, b) => Number(b.region === region) - Number(a.region === region) || (a.region < b.region ? -1 : 1),
    );

/** Why an object cannot be played; undefined if its S3 has it, as long as it must be. */
async function whyNot(
  s3: S3Client,
  object: { Bucket: string; Key: string },
  { bytes }: ManifestFile,
  timeoutMs: number,
): Promise<string | undefined> {
  try {
    const abortSignal = AbortSignal.timeout(timeoutMs);
    const { ContentLength } = await s3.send(new HeadObjectCommand(object), { abortSignal });
    return ContentLength === bytes ? undefined : `has ${ContentLength} bytes instead of ${bytes}`;
  } catch (error) {
    const { name, $metadata } = error as { name: string; $metadata?: { httpStatusCode?: number } };
    if (name === 'AbortError' || name === 'TimeoutError') return `no answer within ${timeoutMs} ms`;
    return $metadata?.httpStatusCode ? `S3 answers ${$metadata.httpStatusCode}` : name;
  }
}
