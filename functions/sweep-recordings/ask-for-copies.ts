/**
 * Asks for copies, as many as the queue has room for: the target with the lowest priority first, and of each what the round
 * has missed, then what its window has waited for, then its backfill, always the oldest first.
 */
import type { CopyJob } from '../../core/copy-jobs.ts';
import { dueAt, isOpen, isWanted, type ReplicationRule, windowOf } from '../../core/replication-rules.ts';
import {
  addDays,
  advanced,
  type CatchUp,
  type CatchUpKind,
  catchUpOfWindow,
  dayOf,
  isAgain,
  readCatchUp,
} from './catch-up.ts';
import type { SweepEffects } from './effects.ts';
import { type HomeBucket, listDay } from './home-recordings.ts';
import { isDone, readIndexStates } from './index-state.ts';
import { isMissed, type MissingCopy } from './round.ts';
import type { SweepDependencies, SweepRun } from './sweep-recordings.ts';

/** What a run may still do. */
interface Allowance {
  /** Jobs that were in the queue when the run began. */
  queued: number;
  /** Jobs that the queue takes. */
  room: number;
  /** Recordings that catching up may look at. */
  recordings: number;
  /** Jobs of this run, `<target> <key>`: the round and a window find the same. */
  sent: Set<string>;
}

export interface AskContext {
  dependencies: SweepDependencies;
  effects: SweepEffects;
  home: HomeBucket;
  run: SweepRun;
}

/** @param queued jobs in the queue now. @returns the backfills that are on their way, by target */
export async function askForCopies(
  context: AskContext,
  missing: MissingCopy[],
  queued: number,
): Promise<Record<string, CatchUp>> {
  const { rules, now, limits } = context.dependencies;
  const allowance: Allowance = {
    queued,
    room: Math.max(0, limits.queued - queued),
    recordings: limits.recordings,
    sent: new Set(),
  };
  const backfills: Record<string, CatchUp> = {};
  for (const rule of rules) {
    if (isOpen(rule, now)) {
      const found = missing
        .filter(({ target }) => target === rule.to)
        .toSorted((a, b) => a.dueAt.getTime() - b.dueAt.getTime());
      await send(
        context,
        allowance,
        found.map(({ key, target }) => ({ key, target })),
        allowance.room,
      );
      await catchUpWindow(context, allowance, rule);
    }
    const backfill = await goOnWithBackfill(context, allowance, rule);
    if (backfill && !backfill.finishedAt) backfills[rule.to] = backfill;
  }
  return backfills;
}

/** @returns how many were sent */
async function send(
  { effects, run }: AskContext,
  allowance: Allowance,
  jobs: CopyJob[],
  room: number,
): Promise<number> {
  const name = ({ target, key }: CopyJob) => `${target} ${key}`;
  const sent = jobs.filter((job) => !allowance.sent.has(name(job))).slice(0, Math.max(0, room));
  await effects.askForCopies(sent);
  for (const job of sent) {
    allowance.sent.add(name(job));
    (run.copies[job.target] as SweepRun['copies'][string]).requested += 1;
  }
  allowance.room -= sent.length;
  return sent.length;
}

async function catchUpWindow(
  context: AskContext,
  allowance: Allowance,
  rule: ReplicationRule,
): Promise<void> {
  const { now, homeRegion, limits } = context.dependencies;
  const openedAt = windowOf(rule, now)?.since;
  if (!openedAt) return;
  const place = { homeRegion, kind: 'WINDOW' as const, target: rule.to };
  const last = await readCatchUp(context.dependencies, place);
  const catchUp = catchUpOfWindow(last, openedAt, addDays(dayOf(now), 1 - limits.days));
  await goOn(context, allowance, rule, 'WINDOW', { catchUp, replaced: last?.startedAt });
}

async function goOnWithBackfill(
  context: AskContext,
  allowance: Allowance,
  rule: ReplicationRule,
): Promise<CatchUp | undefined> {
  const { now, homeRegion, limits } = context.dependencies;
  const place = { homeRegion, kind: 'BACKFILL' as const, target: rule.to };
  const catchUp = await readCatchUp(context.dependencies, place);
  if (!catchUp || catchUp.finishedAt || !isOpen(rule, now)) return catchUp;
  // It takes what the others leave, and never fills the queue.
  const share = {
    ...allowance,
    room: Math.min(allowance.room, limits.backfillQueued - allowance.queued - allowance.sent.size),
  };
  const result = await goOn(context, share, rule, 'BACKFILL', { catchUp, replaced: catchUp.startedAt });
  allowance.recordings = share.recordings;
  allowance.room -= result.requested - catchUp.requested;
  return result;
}

/** Goes on with catching up as far as the run may. @returns how far it has come */
async function goOn(
  context: AskContext,
  allowance: Allowance,
  rule: ReplicationRule,
  kind: CatchUpKind,
  { catchUp: from, replaced: first }: { catchUp: CatchUp; replaced: string | undefined },
): Promise<CatchUp> {
  const { dependencies, effects, home } = context;
  const { now, limits, homeRegion, isOutOfTime } = dependencies;
  let catchUp = from;
  let replaced = first;
  // Not before the queue is nearly empty: what waits there would be asked for twice.
  if (isAgain(catchUp) && allowance.queued > limits.settledQueue) return catchUp;
  const { pass } = catchUp;
  while (
    !catchUp.finishedAt &&
    catchUp.pass === pass &&
    allowance.room > 0 &&
    allowance.recordings > 0 &&
    !isOutOfTime()
  ) {
    const page = await listDay(home, catchUp.day, catchUp.after, limits.page);
    const stateOf = await readIndexStates(dependencies, page, [rule]);
    const jobs: CopyJob[] = [];
    let looked = 0;
    for (const recording of page) {
      if (jobs.length >= allowance.room) break;
      looked += 1;
      const state = stateOf(recording);
      // What is not indexed is for the round to find; it is asked for when it is indexed.
      if (!state.recording || isDone(state.copy(rule.to), state) || !isWanted(rule, state.recording))
        continue;
      const due = dueAt(rule, new Date(state.recording.endedAt));
      if (due > now || !isMissed(state.recording.endedAt, due, dependencies)) continue;
      jobs.push({
        key: recording.key,
        target: rule.to,
        ...(kind === 'BACKFILL' && { backfill: true as const }),
      });
    }
    allowance.recordings -= page.length;
    await send(context, allowance, jobs, jobs.length);
    const isEndOfDay = looked === page.length && page.length < limits.page;
    catchUp = advanced(catchUp, {
      after: isEndOfDay ? undefined : (page[looked - 1]?.recordingId ?? catchUp.after),
      requested: jobs.length,
      now,
    });
    const place = { homeRegion, kind, target: rule.to };
    if (!(await effects.keepCatchUp(place, catchUp, replaced))) return catchUp;
    replaced = catchUp.startedAt;
  }
  return catchUp;
}
