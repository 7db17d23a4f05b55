/**
 * The sweep: looks for what should be there and is not, and sets right what an outage left behind.
 *
 * It goes round through the recordings of the last days, newest day first, a stretch each run. It makes no copies itself: it
 * sends the same jobs and events as are sent when a recording is complete, so that there is one way to make a copy.
 */

import type { Logger } from '@aws-lambda-powertools/logger';
import type { S3Client } from '@aws-sdk/client-s3';
import { GetQueueAttributesCommand } from '@aws-sdk/client-sqs';
import type { CopyJob } from '../../core/copy-jobs.ts';
import type { IndexTable } from '../shared/aws-clients.ts';
import type { RecordingPlaces } from '../shared/environment.ts';
import { objectsOf, readManifest } from '../shared/source-manifest.ts';
import { compareObject } from '../shared/stored-objects.ts';
import { sendCopyJobs, sendMessages, type WorkQueue } from '../shared/work-queue.ts';
import { SWEPT_DAYS } from './constants.ts';
import { type HomeBucket, listDay, manifestWrittenAt, type SweptRecording } from './home-recordings.ts';
import { type CopyState, type IndexState, markDamaged, readIndexStates } from './index-state.ts';
import { newRound, readCursor, type SweepCursor, writeCursor } from './sweep-cursor.ts';

export interface SweepLimits {
  /** Days back from today. */
  days: number;
  /** Looked at in a run. */
  recordings: number;
  /** Of one page: one request to S3, and a few to DynamoDB. */
  page: number;
  /** Copies of a run whose objects are looked at, at the target. */
  checks: number;
  /** With so many jobs in the queue, none are added: they may be the same. */
  queued: number;
  /** What ended since is still on its ordinary way, retries included. */
  graceMs: number;
}

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

/** 5,000 recordings with one target are 10,000 small reads of the index a run; at 288 runs a day that is some 0.4 dollars. */
export const SWEEP_LIMITS: SweepLimits = {
  days: SWEPT_DAYS,
  recordings: 5_000,
  page: 500,
  checks: 100,
  queued: 2_000,
  graceMs: 10 * MINUTE_MS,
};

export interface SweepDependencies extends IndexTable {
  s3For: (region: string) => S3Client;
  homeRegion: string;
  targets: string[];
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
}

/** A run in numbers. */
export interface SweepRun {
  recordings: number;
  /** Manifests that the index had missed: they are indexed now. */
  unindexed: number;
  /** By target. */
  copies: Record<string, { requested: number; checked: number; damaged: number }>;
  /** By target, at the end of a round. */
  backlog?: Record<string, { copies: number; ageSeconds: number }>;
}

/** @throws the SDK's errors; the next run goes on where the last complete page ended */
export async function sweepRecordings(dependencies: SweepDependencies): Promise<SweepRun> {
  const { homeRegion, s3For, places, limits, now, targets, isOutOfTime } = dependencies;
  const home = { s3: s3For(homeRegion), bucket: places[homeRegion]?.bucket ?? '', homeRegion };
  const run: SweepRun = {
    recordings: 0,
    unindexed: 0,
    copies: Object.fromEntries(targets.map((target) => [target, { requested: 0, checked: 0, damaged: 0 }])),
  };
  const days = daysBack(now, limits.days);
  let room = Math.max(0, limits.queued - (await jobsInQueue(dependencies.copyQueue)));
  let cursor = await readCursor(dependencies);
  // A day that is too old by now ends the round.
  let position = cursor.day ? days.indexOf(cursor.day) : 0;
  while (position >= 0 && position < days.length && run.recordings < limits.recordings && !isOutOfTime()) {
    const day = days[position] as string;
    const page = await listDay(home, day, cursor.day === day ? cursor.after : undefined, limits.page);
    room -= await sweepPage(dependencies, home, page, run, cursor, room);
    run.recordings += page.length;
    if (page.length < limits.page) position += 1;
    const next = days[position];
    cursor = {
      looked: cursor.looked + page.length,
      ...(cursor.lastRound !== undefined && { lastRound: cursor.lastRound }),
      backlog: cursor.backlog,
      ...(next && { day: next }),
      ...(next === day && { after: page.at(-1)?.recordingId }),
    };
    if (next) await writeCursor(dependencies, cursor);
  }
  if (position >= 0 && position < days.length) return run;
  await writeCursor(dependencies, newRound(cursor.looked));
  return { ...run, backlog: backlogOf(cursor, targets, now) };
}

/** @returns how many jobs were sent */
async function sweepPage(
  dependencies: SweepDependencies,
  home: HomeBucket,
  page: SweptRecording[],
  run: SweepRun,
  cursor: SweepCursor,
  room: number,
): Promise<number> {
  const { targets, now, limits, random } = dependencies;
  const stateOf = await readIndexStates(
    dependencies,
    page.map(({ recordingId }) => recordingId),
    targets,
  );
  const checkShare = shareToCheck(limits, cursor.lastRound);
  const unindexed: SweptRecording[] = [];
  const jobs: CopyJob[] = [];
  for (const recording of page) {
    const state = stateOf(recording.recordingId);
    if (!state.recording) {
      const writtenAt = await manifestWrittenAt(home, recording);
      if (writtenAt && isOld(writtenAt, dependencies)) unindexed.push(recording);
      continue;
    }
    for (const target of targets) {
      const found = run.copies[target] as SweepRun['copies'][string];
      let copy = state.copy(target);
      if (copy && isDone(copy, state) && random() < checkShare) {
        found.checked += 1;
        if (!(await isIntact(dependencies, home, recording, target))) {
          found.damaged += 1;
          dependencies.logger.error('copy is damaged', { ...recording, target });
          await markDamaged(dependencies, recording.recordingId, target, copy);
          copy = { ...copy, state: 'damaged' };
        }
      }
      if (copy && isDone(copy, state)) continue;
      addToBacklog(cursor, target, state.recording.endedAt);
      // A damaged copy is on no way that it could still be on.
      const isDue = copy?.state === 'damaged' || isOld(new Date(state.recording.endedAt), dependencies);
      if (!isDue || jobs.length >= room) continue;
      jobs.push({ key: recording.key, target });
      found.requested += 1;
    }
  }
  await sendCopyJobs(dependencies.copyQueue, jobs);
  await sendManifestEvents(dependencies.manifestEvents, home.bucket, unindexed);
  run.unindexed += unindexed.length;
  if (jobs.length + unindexed.length > 0)
    dependencies.logger.warn('found missing', {
      at: now.toISOString(),
      jobs: jobs.length,
      unindexed: unindexed.map(({ key }) => key),
    });
  return jobs.length;
}

/** So that a run checks as many copies as it may: all of them where there are few. */
const shareToCheck = ({ checks, recordings }: SweepLimits, lastRound = recordings): number =>
  checks / Math.max(1, Math.min(recordings, lastRound));

/** The copy is of what the index says now, and good. */
const isDone = (copy: CopyState, { recording }: IndexState): boolean =>
  copy.state === 'verified' && copy.revision >= (recording?.revision ?? 0);

const isOld = (since: Date, { now, limits }: SweepDependencies): boolean =>
  now.getTime() - since.getTime() >= limits.graceMs;

/** Whether every object at the target is what the home region's manifest says. A target that cannot be asked proves nothing. */
async function isIntact(
  { s3For, places, logger }: SweepDependencies,
  home: HomeBucket,
  recording: SweptRecording,
  target: string,
): Promise<boolean> {
  const place = places[target];
  if (!place) return true;
  try {
    const source = await readManifest(home.s3, home.bucket, recording.key);
    if (!source) return true; // gone from home: there is nothing to compare with
    for (const object of objectsOf(source))
      if ((await compareObject({ s3: s3For(target), place }, object)) !== 'same') return false;
    return true;
  } catch (error) {
    logger.warn('copy could not be checked', { ...recording, target, error: error as Error });
    return true;
  }
}

function addToBacklog(cursor: SweepCursor, target: string, endedAt: string): void {
  const known = cursor.backlog[target];
  cursor.backlog[target] = {
    copies: (known?.copies ?? 0) + 1,
    oldest: known && known.oldest < endedAt ? known.oldest : endedAt,
  };
}

const backlogOf = ({ backlog }: SweepCursor, targets: string[], now: Date): SweepRun['backlog'] =>
  Object.fromEntries(
    targets.map((target) => {
      const found = backlog[target];
      const ageMs = found ? now.getTime() - Date.parse(found.oldest) : 0;
      return [target, { copies: found?.copies ?? 0, ageSeconds: Math.max(0, ageMs / 1000) }];
    }),
  );

const daysBack = (now: Date, days: number): string[] =>
  Array.from({ length: days }, (_, back) =>
    new Date(now.getTime() - back * DAY_MS).toISOString().slice(0, 10),
  );

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

/** Tells index-recording of manifests in S3's own words. */
const sendManifestEvents = (queue: WorkQueue, bucket: string, recordings: SweptRecording[]): Promise<void> =>
  sendMessages(
    queue,
    recordings.map(({ key }) => ({
      Records: [
        { eventName: 'Swept', s3: { bucket: { name: bucket }, object: { key: encodeURIComponent(key) } } },
      ],
    })),
  );
