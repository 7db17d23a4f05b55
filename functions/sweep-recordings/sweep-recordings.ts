/**
 * The sweep: looks for what should be there and is not, sets right what an outage left behind, begins the copies that a window
 * has waited for, and reports how each target stands.
 *
 * It makes no copies itself: it sends the same jobs and events as are sent when a recording is complete, so that there is one
 * way to make a copy.
 */
import type { Logger } from '@aws-lambda-powertools/logger';
import type { S3Client } from '@aws-sdk/client-s3';
import { GetQueueAttributesCommand } from '@aws-sdk/client-sqs';
import type { ReplicationFigures } from '../../core/replication-report.ts';
import type { ReplicationRule } from '../../core/replication-rules.ts';
import type { IndexTable } from '../shared/aws-clients.ts';
import type { RecordingPlaces } from '../shared/environment.ts';
import type { WorkQueue } from '../shared/work-queue.ts';
import { askForCopies } from './ask-for-copies.ts';
import { SWEPT_DAYS } from './constants.ts';
import { DRY, effectsOn } from './effects.ts';
import { reportOf } from './reports.ts';
import { goRound, type MissingCopy } from './round.ts';
import type { SweepCursor } from './sweep-cursor.ts';

export interface SweepLimits {
  /** Days back from today. */
  days: number;
  /** Looked at in a run: by the round, and as many again by catching up. */
  recordings: number;
  /** Of one page: one request to S3, and a few to DynamoDB. */
  page: number;
  /** Copies of a run whose objects are looked at, at the target. */
  checks: number;
  /** With so many jobs in the queue, none are added: they may be the same. */
  queued: number;
  /** With so many, none are added of a backfill. */
  backfillQueued: number;
  /** With no more than these, what was asked for before has been done, or has failed. */
  settledQueue: number;
  /** What ended since is still on its ordinary way, retries included. */
  graceMs: number;
}

const MINUTE_MS = 60_000;

/** 5,000 recordings with one target are 10,000 small reads of the index a run; at 288 runs a day that is some 0.4 dollars. */
export const SWEEP_LIMITS: SweepLimits = {
  days: SWEPT_DAYS,
  recordings: 5_000,
  page: 500,
  checks: 100,
  queued: 2_000,
  backfillQueued: 500,
  settledQueue: 100,
  graceMs: 10 * MINUTE_MS,
};

export interface SweepDependencies extends IndexTable {
  s3For: (region: string) => S3Client;
  homeRegion: string;
  /** By priority, as `rulesOf` has them. */
  rules: ReplicationRule[];
  places: RecordingPlaces;
  copyQueue: WorkQueue;
  manifestEvents: WorkQueue;
  logger: Pick<Logger, 'warn' | 'error'>;
  limits: SweepLimits;
  /** From 0 up to 1: which copies are looked at. */
  random: () => number;
  now: Date;
  /** Asked after each page. */
  isOutOfTime: () => boolean;
  /** Looks and tells what it would do; sends nothing and writes nothing. */
  isDry?: boolean;
}

/** A run in numbers; of a dry run, what it would have done. */
export interface SweepRun {
  recordings: number;
  /** Manifests that the index had missed: they are indexed now. */
  unindexed: number;
  /** By target. */
  copies: Record<string, { requested: number; checked: number; damaged: number }>;
  /** By target, at the end of a round. */
  figures?: Record<string, ReplicationFigures>;
}

/** @throws the SDK's errors; the next run goes on where the last complete page ended */
export async function sweepRecordings(dependencies: SweepDependencies): Promise<SweepRun> {
  const { homeRegion, s3For, places, rules, now, isDry } = dependencies;
  const effects = isDry ? DRY : effectsOn(dependencies);
  const home = { s3: s3For(homeRegion), bucket: places[homeRegion]?.bucket ?? '', homeRegion };
  const run: SweepRun = {
    recordings: 0,
    unindexed: 0,
    copies: Object.fromEntries(rules.map(({ to }) => [to, { requested: 0, checked: 0, damaged: 0 }])),
  };
  const context = { dependencies, effects, home, run };
  const queued = await jobsInQueue(dependencies.copyQueue);
  const missing: MissingCopy[] = [];
  let cursor: SweepCursor | undefined;
  let failure: unknown;
  try {
    cursor = await goRound(dependencies, effects, home, run, missing);
  } catch (error) {
    failure = error;
  }
  if (missing.length > 0)
    dependencies.logger.warn('found missing', { at: now.toISOString(), copies: missing.length });
  // Also what was found before a failure: the round has gone on behind it.
  const backfills = await askForCopies(context, missing, queued);
  if (!cursor) throw failure;
  for (const rule of rules) await effects.report(reportOf(homeRegion, rule, cursor, backfills[rule.to], now));
  return run;
}

/** Jobs that wait or are being worked on; approximate, as SQS counts. */
async function jobsInQueue({ sqs, queueUrl }: WorkQueue): Promise<number> {
  const { Attributes } = await sqs.send(
    new GetQueueAttributesCommand({
      QueueUrl: queueUrl,
      AttributeNames: ['ApproximateNumberOfMessages', 'ApproximateNumberOfMessagesNotVisible'],
    }),
  );
  return Object.values(Attributes ?? {}).reduce((sum, count) => sum + Number(count), 0);
}
