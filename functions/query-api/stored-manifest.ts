/** What only the manifest of a recording says: too much for the index, and asked for one recording at a time. */
import type { Logger } from '@aws-lambda-powertools/logger';
import type { S3Client } from '@aws-sdk/client-s3';
import type { IndexedRecording, RecordingCopy } from '../../core/index-items.ts';
import { MANIFEST_FILE, type Manifest } from '../../core/manifest.ts';
import { readManifest } from '../shared/source-manifest.ts';
import type { MediaDetail } from './answers.ts';
import { nearestFirst } from './playback.ts';
import { offsetInto } from './timeline.ts';

export interface ManifestDependencies {
  s3For: (region: string) => S3Client;
  region: string;
  logger: Logger;
}

/** A whole manifest has at most some hundred kilobytes. */
const READ_TIMEOUT_MS = 3_000;

/** The manifest in the nearest verified copy that gives it; undefined if none does. */
export async function nearestManifest(
  { s3For, region, logger }: ManifestDependencies,
  { recordingId }: IndexedRecording,
  copies: RecordingCopy[],
): Promise<{ manifest: Manifest; region: string } | undefined> {
  for (const copy of nearestFirst(copies, region)) {
    try {
      const signal = AbortSignal.timeout(READ_TIMEOUT_MS);
      const found = await readManifest(s3For(copy.region), copy.bucket, copy.prefix + MANIFEST_FILE, signal);
      if (found) return { manifest: found.manifest, region: copy.region };
    } catch (error) {
      logger.warn('manifest of a copy not read', { recordingId, region: copy.region, error: error as Error });
    }
  }
  return undefined;
}

export function mediaDetail(recording: IndexedRecording, manifest: Manifest, region: string): MediaDetail {
  const offset = offsetInto(recording);
  return {
    region,
    endedBy: manifest.session.endedBy,
    gaps: manifest.streams.flatMap(({ label, gaps }) => gaps.map((gap) => ({ streamLabel: label, ...gap }))),
    unlistedGaps: manifest.streams.flatMap(({ label, unlistedGaps = [] }) =>
      unlistedGaps.map((gaps) => ({ streamLabel: label, ...gaps })),
    ),
    holds: (manifest.holds ?? []).map((hold) => ({
      streamLabel: hold.streamLabel,
      fromMs: offset(hold.startedAt),
      toMs: offset(hold.endedAt ?? recording.endedAt),
      cause: hold.cause,
    })),
    transfers: (manifest.transfers ?? []).map((transfer) => ({ ...transfer, atMs: offset(transfer.at) })),
  };
}
