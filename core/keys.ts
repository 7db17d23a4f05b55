/**
 * Where a recording lies in S3: `rec/<home region>/<yyyy>/<mm>/<dd>/<recording id>/<file>`.
 *
 * The home region is in the key, so that a copy in another region's bucket keeps its key and can never be
 * taken for a recording made there (event filters are by prefix). The day is that of the recording's start (UTC).
 */
import { MANIFEST_FILE } from './manifest.ts';

const ROOT = 'rec';

/** Prefix of all recordings in a bucket, whatever their home region. */
export const ROOT_PREFIX = `${ROOT}/`;

export interface RecordingLocation {
  homeRegion: string;
  recordingId: string;
  /** Start of the recording; only its UTC day is used. */
  startedAt: Date;
}

/** Prefix of everything that a region's recorders write; event filters use it. */
export const regionPrefix = (homeRegion: string): string => `${ROOT}/${homeRegion}/`;

/** Prefix of the recordings that a region began on a UTC day, with its closing slash. */
export const dayPrefix = (homeRegion: string, day: Date): string =>
  `${regionPrefix(homeRegion)}${day.toISOString().slice(0, 10).replaceAll('-', '/')}/`;

/** Prefix of one recording, with its closing slash. */
export const recordingPrefix = ({ homeRegion, recordingId, startedAt }: RecordingLocation): string =>
  `${dayPrefix(homeRegion, startedAt)}${recordingId}/`;

export const fileKey = (location: RecordingLocation, file: string): string =>
  recordingPrefix(location) + file;

export const manifestKey = (location: RecordingLocation): string => fileKey(location, MANIFEST_FILE);

const MANIFEST_KEY = new RegExp(
  `^${ROOT}/([a-z0-9-]+)/\\d{4}/\\d{2}/\\d{2}/([0-9A-HJKMNP-TV-Z]{26})/${MANIFEST_FILE.replace('.', '\\.')}$`,
);

/** Home region and recording id of a manifest's key; undefined for any other key. */
export function parseManifestKey(key: string): { homeRegion: string; recordingId: string } | undefined {
  const match = MANIFEST_KEY.exec(key);
  return match?.[1] && match[2] ? { homeRegion: match[1], recordingId: match[2] } : undefined;
}
