/**
 * Looks at one recording, or call, and takes the next step that its fate demands. Every step may be repeated, and may be the
 * first that is taken after a crash: what is to be done follows from the items alone.
 */
import { GetCommand } from '@aws-sdk/lib-dynamodb';
import type { Fate, HoldSubject } from '../../core/fate-items.ts';
import { type IndexedRecording, indexedRecordingSchema, recordingKey } from '../../core/index-items.ts';
import { recordingPrefix } from '../../core/keys.ts';
import { retainedUntil } from '../../core/retention.ts';
import { holdSubjectsOf } from '../query-api/hold-subjects.ts';
import { isFinal, readFate, readHolds } from '../shared/fates.ts';
import { carryOut } from './carry-out.ts';
import { REQUEST_MATURES_MS } from './constants.ts';
import { type DeletionCause, decideDeletion, stopRequests, withdraw } from './decide.ts';
import type { ExpireDependencies } from './dependencies.ts';
import { keepHoldFacts, keepLegalHold } from './hold-copies.ts';

/**
 * `nothing`: there was nothing to delete; `held`: there was, and a hold or a lock forbids it; `open`: a region does not answer, or
 * refuses; `deleted`: proved in every region; `rechecked`: and again later.
 */
export type AttendOutcome = 'nothing' | 'held' | 'open' | 'deleted' | 'rechecked';

export interface Attended {
  outcome: AttendOutcome;
  /** This run has begun the deletion. */
  isBegun?: boolean;
  /** Versions that were found after the deletion. */
  leftovers?: number;
  /** When it is to be looked at again. */
  next?: Date;
}

/** @throws the SDK's errors: to be looked at again */
export async function attend(dependencies: ExpireDependencies, subject: HoldSubject): Promise<Attended> {
  const { indexFor, homeRegion, retention, now } = dependencies;
  const index = indexFor(homeRegion);
  const fate = await readFate(index, subject);
  if (fate.holds.length > 0) await keepHoldFacts(dependencies, subject, fate);
  if (subject.kind === 'call') return { outcome: 'nothing' };

  if (isFinal(fate.deletion)) return carryOut(dependencies, fate.deletion);
  const recording = await readRecording(dependencies, subject.recordingId);
  // What is not indexed cannot be judged. A bucket's manifest brings it back, and with it this work.
  if (!recording || recording.homeRegion !== homeRegion) return { outcome: 'nothing' };
  const cause = causeOf(fate, recording, retainedUntil(retention, recording), now());
  const isCause = cause !== undefined && !(cause instanceof Date);
  // Of a run that died: it would refuse every hold.
  if (fate.deletion) await withdraw(dependencies, subject.recordingId);
  if (!isCause && !retention.objectLock) return nothing(cause);
  const subjects = await holdSubjectsOf(index, recording);
  const holds = await readHolds(index, subjects);
  await keepLegalHold(dependencies, prefixOf(recording), holds);
  if (!isCause) return nothing(cause);

  const decision = await decideDeletion(dependencies, recording, prefixOf(recording), subjects, cause);
  if (decision.kind === 'held') {
    await stopRequests(dependencies, recording, fate.requests, decision.reason);
    return { outcome: 'held' };
  }
  if (decision.kind === 'locked') return { outcome: 'held', next: decision.until };
  if (decision.kind === 'waiting') return { outcome: 'open', next: later(dependencies) };
  return { ...(await carryOut(dependencies, decision.deletion)), isBegun: true };
}

const nothing = (next: Date | undefined): Attended => ({ outcome: 'nothing', ...(next && { next }) });

const later = ({ now, times }: ExpireDependencies): Date => new Date(now().getTime() + times.retryMs);

const prefixOf = ({ homeRegion, recordingId, startedAt }: IndexedRecording): string =>
  recordingPrefix({ homeRegion, recordingId, startedAt: new Date(startedAt) });

async function readRecording(
  { indexFor, homeRegion }: ExpireDependencies,
  recordingId: string,
): Promise<IndexedRecording | undefined> {
  const { table, tableName } = indexFor(homeRegion);
  const { Item } = await table.send(
    new GetCommand({ TableName: tableName, Key: recordingKey(recordingId), ConsistentRead: true }),
  );
  return indexedRecordingSchema.optional().parse(Item);
}

/** Why it is to be deleted now; or when there will be a reason, if a request is too young; or undefined. */
function causeOf(
  { requests }: Fate,
  { tenant }: IndexedRecording,
  retained: Date,
  now: Date,
): DeletionCause | Date | undefined {
  const [request] = requests.toSorted((a, b) => (a.at < b.at ? -1 : 1));
  const matures = request && new Date(Date.parse(request.at) + REQUEST_MATURES_MS);
  if (request && matures && matures <= now) return { why: 'request', by: request.by, reason: request.reason };
  if (retained <= now)
    return {
      why: 'retention',
      by: 'retention',
      reason: `retention of ${tenant} ended ${retained.toISOString()}`,
    };
  return matures;
}
