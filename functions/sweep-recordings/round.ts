/**
 * The round through the recordings of the last days, newest day first, a stretch each run: what should be there and is not,
 * and what is there and is not what it should be.
 */
import { dueAt, isWanted, type ReplicationRule } from '../../core/replication-rules.ts';
import { objectsOf, readManifest } from '../shared/source-manifest.ts';
import { compareObject } from '../shared/stored-objects.ts';
import { addDays, dayOf } from './catch-up.ts';
import type { SweepEffects } from './effects.ts';
import { type HomeBucket, listDay, manifestWrittenAt, type SweptRecording } from './home-recordings.ts';
import { isDone, readIndexStates } from './index-state.ts';
import {
  countDamaged,
  countLag,
  countWaiting,
  nextRound,
  readCursor,
  type SweepCursor,
} from './sweep-cursor.ts';
import type { SweepDependencies, SweepLimits, SweepRun } from './sweep-recordings.ts';

/** A copy that is due, not there, and on no way any more. */
export interface MissingCopy {
  key: string;
  target: string;
  dueAt: Date;
}

/** Adds to `run` and to `missing` as it goes, so that both are true also of a run that fails in the middle. */
export async function goRound(
  dependencies: SweepDependencies,
  effects: SweepEffects,
  home: HomeBucket,
  run: SweepRun,
  missing: MissingCopy[],
): Promise<SweepCursor> {
  const { limits, now, rules, isOutOfTime } = dependencies;
  const today = dayOf(now);
  const days = Array.from({ length: limits.days }, (_, back) => addDays(today, -back));
  let cursor = await readCursor(dependencies);
  // A day that is too old by now ends the round.
  let position = cursor.day ? days.indexOf(cursor.day) : 0;
  while (position >= 0 && position < days.length && run.recordings < limits.recordings && !isOutOfTime()) {
    const day = days[position] as string;
    const page = await listDay(home, day, cursor.day === day ? cursor.after : undefined, limits.page);
    missing.push(...(await lookAtPage(dependencies, effects, home, page, run, cursor)));
    run.recordings += page.length;
    if (page.length < limits.page) position += 1;
    const next = days[position];
    const { day: _, after: __, ...rest } = cursor;
    cursor = {
      ...rest,
      looked: cursor.looked + page.length,
      ...(next && { day: next }),
      ...(next === day && { after: page.at(-1)?.recordingId }),
    };
    if (next) await effects.keepCursor(cursor);
  }
  if (position >= 0 && position < days.length) return cursor;
  cursor = nextRound(
    cursor,
    rules.map(({ to }) => to),
    now,
  );
  await effects.keepCursor(cursor);
  run.figures = cursor.figures;
  return cursor;
}

async function lookAtPage(
  dependencies: SweepDependencies,
  effects: SweepEffects,
  home: HomeBucket,
  page: SweptRecording[],
  run: SweepRun,
  cursor: SweepCursor,
): Promise<MissingCopy[]> {
  const { rules, now, limits, random, logger } = dependencies;
  const stateOf = await readIndexStates(dependencies, page, rules);
  const checkShare = shareToCheck(limits, cursor.lastRound);
  const unindexed: SweptRecording[] = [];
  const missing: MissingCopy[] = [];
  for (const recording of page) {
    const state = stateOf(recording);
    if (!state.recording) {
      const writtenAt = await manifestWrittenAt(home, recording);
      if (writtenAt && isOld(writtenAt, dependencies)) unindexed.push(recording);
      continue;
    }
    for (const rule of rules) {
      if (!isWanted(rule, state.recording)) continue;
      const target = rule.to;
      const found = run.copies[target] as SweepRun['copies'][string];
      const due = dueAt(rule, new Date(state.recording.endedAt));
      const copy = state.copy(target);
      let isDamaged = copy?.state === 'damaged';
      if (copy && isDone(copy, state)) {
        if (copy.verifiedAt) countLag(cursor, target, due, copy.verifiedAt, now);
        if (random() >= checkShare) continue;
        found.checked += 1;
        if (await isIntact(dependencies, home, recording, target)) continue;
        logger.error('copy is damaged', { ...recording, target });
        found.damaged += 1;
        countDamaged(cursor, target);
        await effects.markDamaged(recording.recordingId, target, copy);
        isDamaged = true;
      }
      if (due > now) continue;
      countWaiting(cursor, target, due);
      // A damaged copy is on no way that it could still be on.
      if (isDamaged || isMissed(state.recording.endedAt, due, dependencies))
        missing.push({ key: recording.key, target, dueAt: due });
    }
  }
  await effects.askForIndexing(unindexed);
  run.unindexed += unindexed.length;
  if (unindexed.length > 0)
    logger.warn('found manifests that are not indexed', { keys: unindexed.map(({ key }) => key) });
  return missing;
}

/** So that a run checks as many copies as it may: all of them where there are few. */
const shareToCheck = ({ checks, recordings }: SweepLimits, lastRound = recordings): number =>
  checks / Math.max(1, Math.min(recordings, lastRound));

const isOld = (since: Date, { now, limits }: Pick<SweepDependencies, 'now' | 'limits'>): boolean =>
  now.getTime() - since.getTime() >= limits.graceMs;

/** What ended within an open window was asked for then and may be on its way; for an opening, only the sweep asks. */
export const isMissed = (
  endedAt: string,
  due: Date,
  dependencies: Pick<SweepDependencies, 'now' | 'limits'>,
): boolean => due > new Date(endedAt) || isOld(due, dependencies);

/** Whether every object at the target is what the home region's manifest says. A target that cannot be asked proves nothing. */
async function isIntact(
  { s3For, places, logger }: SweepDependencies,
  home: HomeBucket,
  recording: SweptRecording,
  target: ReplicationRule['to'],
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
