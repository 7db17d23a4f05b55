/** Requests to delete a recording, and what becomes of them. expire-recordings of the home region carries them out. */
import { ulid } from 'ulid';
import { type Caller, seesTenant } from '../../core/access.ts';
import {
  activeHolds,
  type Deletion,
  type DeletionRequest,
  deletionKey,
  dueItem,
  type Hold,
  requestKey,
} from '../../core/fate-items.ts';
import type { IndexedRecording } from '../../core/index-items.ts';
import { objectLockOf } from '../../core/retention.ts';
import { REQUEST_MATURES_MS } from '../expire-recordings/constants.ts';
import { auditEntry, auditWrite, logAudit } from '../shared/audit.ts';
import { readActiveHolds, readDeletion, readHolds, recordingFate } from '../shared/fates.ts';
import { writeTogether } from '../shared/transactions.ts';
import type { DeletionState } from './answers.ts';
import { type FateDependencies, findRecordingFor, writeRefusal } from './fate-access.ts';
import { holdSubjectsOf } from './hold-subjects.ts';

/** What is under hold is not deleted. */
export class RecordingHeldError extends Error {
  constructor(recordingId: string, holds: Hold[]) {
    const words = holds.map(({ holdId, by }) => `${holdId} of ${by}`).join(', ');
    super(`recording ${recordingId} is under hold (${words}): it can be deleted when that is released`);
    this.name = 'RecordingHeldError';
  }
}

/** What is locked in S3 cannot be deleted by anyone. */
export class RecordingLockedError extends Error {
  readonly until: Date;

  constructor(recordingId: string, until: Date) {
    super(`recording ${recordingId} is locked until ${until.toISOString()} (retention.objectLock)`);
    this.name = 'RecordingLockedError';
    this.until = until;
  }
}

/**
 * Asks for the deletion of a recording; again changes nothing.
 * @returns undefined if there is, and was, no such recording for this caller
 * @throws RecordingHeldError, RecordingLockedError
 */
export async function requestDeletion(
  dependencies: FateDependencies,
  caller: Caller,
  recordingId: string,
  reason: string,
): Promise<DeletionState | undefined> {
  const { index, region, retention, now, logger } = dependencies;
  const recording = await findRecordingFor(dependencies, caller, recordingId);
  if (!recording) return findDeletion(dependencies, caller, recordingId);
  const { tenant, homeRegion } = recording;
  const fate = await recordingFate(index, recordingId);
  const known = deletionState(fate.requests, fate.deletion);
  if (known) return known;

  const at = now();
  const entry = auditEntry(
    {
      action: 'requestDeletion',
      outcome: 'done',
      by: caller.id,
      tenant,
      recordingId,
      region,
      detail: reason,
    },
    at,
  );
  const refuse = async (refusal: Error): Promise<never> => {
    await writeRefusal(dependencies, entry, refusal);
    throw refusal;
  };
  const holds = await readActiveHolds(index, await holdSubjectsOf(index, recording));
  if (holds.length > 0) return refuse(new RecordingHeldError(recordingId, holds));
  const lock = objectLockOf(retention, recording, at);
  if (lock) return refuse(new RecordingLockedError(recordingId, lock.retainUntil));

  const request: DeletionRequest = {
    requestId: ulid(at.getTime()),
    by: caller.id,
    at: at.toISOString(),
    reason,
    region,
  };
  const refused = await writeTogether(index, [
    {
      Put: {
        TableName: index.tableName,
        Item: { ...requestKey(recordingId, request.requestId), ...request },
      },
    },
    auditWrite(index, entry),
    {
      ConditionCheck: {
        TableName: index.tableName,
        Key: deletionKey(recordingId),
        ConditionExpression: 'attribute_not_exists(pk)',
      },
    },
    {
      Put: {
        TableName: index.tableName,
        Item: dueItem(
          homeRegion,
          { kind: 'recording', recordingId },
          new Date(at.getTime() + REQUEST_MATURES_MS),
        ),
      },
    },
  ]);
  if (refused.length === 0) {
    logAudit(logger, entry);
    return deletionState([request], undefined);
  }
  const { requests, deletion } = await recordingFate(index, recordingId);
  return deletionState(requests, deletion);
}

/** The deletion of a recording that is gone; undefined if there was none, or not for this caller. */
export async function findDeletion(
  { index }: FateDependencies,
  caller: Caller,
  recordingId: string,
): Promise<DeletionState | undefined> {
  const deletion = await readDeletion(index, recordingId);
  return deletion && seesTenant(caller, deletion.tenant) ? deletionState([], deletion) : undefined;
}

/** What is to be told of a recording's deletion; undefined if nobody has asked for it and its time has not come. */
export function deletionState(
  requests: DeletionRequest[],
  deletion: Deletion | undefined,
): DeletionState | undefined {
  if (deletion && deletion.state !== 'intended') {
    const { state, why, by, reason, at, regions, deletedAt } = deletion;
    return {
      state: state === 'deleted' ? 'deleted' : 'deleting',
      why,
      by,
      reason,
      at,
      regions,
      ...(deletedAt && { deletedAt }),
    };
  }
  const [request] = requests;
  return (
    request && { state: 'requested', why: 'request', by: request.by, reason: request.reason, at: request.at }
  );
}

/** Holds and deletion of a recording, as `GET /recordings/{id}` tells them; the holds are those on its call, too. */
export async function describeFate(
  { index }: FateDependencies,
  recording: IndexedRecording,
): Promise<{ holds: Hold[]; isHeld: boolean; deletion?: DeletionState }> {
  const [{ requests, deletion }, holds] = await Promise.all([
    recordingFate(index, recording.recordingId),
    holdSubjectsOf(index, recording).then((subjects) => readHolds(index, subjects)),
  ]);
  const state = deletionState(requests, deletion);
  return { holds, isHeld: activeHolds(holds).length > 0, ...(state && { deletion: state }) };
}
