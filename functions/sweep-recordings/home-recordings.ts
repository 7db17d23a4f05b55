/** What the home region has recorded, by its bucket: manifests are the truth, and the index may have missed some. */
import { HeadObjectCommand, ListObjectsV2Command, type S3Client } from '@aws-sdk/client-s3';
import { dayPrefix } from '../../core/keys.ts';
import { MANIFEST_FILE } from '../../core/manifest.ts';
import { isMissing } from '../shared/stored-objects.ts';

export interface HomeBucket {
  s3: S3Client;
  bucket: string;
  homeRegion: string;
}

export interface SweptRecording {
  recordingId: string;
  /** Of its manifest, whether there is one or not. */
  key: string;
}

/**
 * The next recordings of a day in order of their ids, which is that of their beginnings.
 * @param day UTC, `2026-11-23`
 * @returns fewer than `limit` at the end of the day
 */
export async function listDay(
  { s3, bucket, homeRegion }: HomeBucket,
  day: string,
  after: string | undefined,
  limit: number,
): Promise<SweptRecording[]> {
  const Prefix = dayPrefix(homeRegion, new Date(day));
  const { CommonPrefixes = [] } = await s3.send(
    new ListObjectsV2Command({
      Bucket: bucket,
      Prefix,
      Delimiter: '/',
      MaxKeys: limit,
      // `0` comes next after `/`: behind all files of that recording.
      ...(after && { StartAfter: `${Prefix}${after}0` }),
    }),
  );
  return CommonPrefixes.map(({ Prefix: prefix = '' }) => ({
    recordingId: prefix.slice(Prefix.length, -1),
    key: prefix + MANIFEST_FILE,
  }));
}

/** When the manifest was written; undefined while there is none: the recorder still uploads. */
export async function manifestWrittenAt(
  { s3, bucket }: HomeBucket,
  { key }: SweptRecording,
): Promise<Date | undefined> {
  try {
    return (await s3.send(new HeadObjectCommand({ Bucket: bucket, Key: key }))).LastModified;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}
