/** What the parts of this function work with. */
import type { Logger } from '@aws-lambda-powertools/logger';
import type { S3Client } from '@aws-sdk/client-s3';
import type { Retention } from '../../core/retention.ts';
import type { IndexTable } from '../shared/aws-clients.ts';
import type { BucketPlace } from '../shared/versions.ts';

export interface ExpireDependencies {
  /** This function's region: it deletes only what was recorded here. */
  homeRegion: string;
  /** Every region of the deployment with its bucket: any may hold a copy, whatever the file said when it was made. */
  buckets: Record<string, string>;
  s3For: (region: string) => S3Client;
  /** The index as the replica of a region has it. */
  indexFor: (region: string) => IndexTable;
  retention: Retention;
  logger: Pick<Logger, 'info' | 'warn' | 'error'>;
  now: () => Date;
  times: ExpireTimes;
}

export interface ExpireTimes {
  /** How long all regions may take to show that they know of the intention. */
  announceMs: number;
  /** Between looks meanwhile. */
  announcePollMs: number;
  /** Until what is open is tried again. */
  retryMs: number;
  /** From the deletion until it is looked for again: longer than a copy may take that was on its way. */
  recheckMs: number;
  /** Between rounds through what is past its retention. */
  roundMs: number;
}

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;

export const EXPIRE_TIMES: ExpireTimes = {
  announceMs: 5 * SECOND_MS,
  announcePollMs: 200,
  retryMs: 5 * MINUTE_MS,
  recheckMs: 30 * MINUTE_MS, // a copy may take 15 minutes
  roundMs: 60 * MINUTE_MS,
};

/** A copy is, or may be, in a region that the deployment file does not name. */
export class UnknownRegionError extends Error {
  constructor(region: string) {
    super(`the deployment file has no region ${region}: put it back until its copies are deleted`);
    this.name = 'UnknownRegionError';
  }
}

/** @throws UnknownRegionError */
export function bucketOf({ buckets, s3For }: ExpireDependencies, region: string): BucketPlace {
  const bucket = buckets[region];
  if (!bucket) throw new UnknownRegionError(region);
  return { s3: s3For(region), bucket };
}
