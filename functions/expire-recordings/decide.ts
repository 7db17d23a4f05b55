/**
 * Decides whether a deletion may begin, so that no hold of any region is passed over, however slowly regions hear of each
 * other and whatever their clocks say:
 *
 * 1. the intention is written; where it is known, no hold is taken any more;
 * 2. each region's replica is asked, strongly consistently, until it shows the intention: from there on it takes no hold;
 * 3. after that, each replica is asked for its holds: one that was taken before is there to be seen;
 * 4. with no hold anywhere, the deletion begins. With a hold, or a region that does not answer, the intention is withdrawn.
 *
 * A hold on a call is written without this condition, and looks for intentions after it is written: of the two, at least one
 * sees the other.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { DeleteCommand } from '@aws-sdk/lib-dynamodb';
import { ulid } from 'ulid';
import {
  type Deletion,
  type DeletionRequest,
  deletionKey,
  dueItem,
  type Hold,
  type HoldSubject,
  requestKey,
} from '../../core/fate-items.ts';
import type { IndexedRecording } from '../../core/index-items.ts';
import { MANIFEST_FILE } from '../../core/manifest.ts';
import { auditEntry, auditWrite, logAudit } from '../shared/audit.ts';
import { unlessRefused } from '../shared/conditional-write.ts';
import { readActiveHolds, readDeletion } from '../shared/fates.ts';
import { writeTogether } from '../shared/transactions.ts';
import { readLock } from '../shared/versions.ts';
import { bucketOf, type ExpireDependencies } from './dependencies.ts';
import { heldByBucket } from './hold-copies.ts';

export type DeletionCause = Pick<Deletion, 'why' | 'by' | 'reason'>;

export type Decision =
  | { kind: 'begun'; deletion: Deletion }
  | { kind: 'held'; reason: string }
  /** By Object Lock. */
  | { kind: 'locked'; until: Date }
  | { kind: 'waiting' };

export async function decideDeletion(
  dependencies: ExpireDependencies,
  recording: IndexedRecording,
  prefix: string,
  subjects: HoldSubject[],
  cause: DeletionCause,
): Promise<Decision> {
  const { indexFor, homeRegion, buckets, now, logger } = dependencies;
  const { recordingId, tenant } = recording;
  // What is held here needs no announcement.
  const obstacle = await obstacleAtHome(dependencies, prefix, subjects);
  if (obstacle) return obstacle;

  const deletion: Deletion = {
    ...cause,
    recordingId,
    tenant,
    homeRegion,
    prefix,
    startedAt: recording.startedAt,
    at: now().toISOString(),
    state: 'intended',
    intentId: ulid(),
    regions: Object.fromEntries(
      Object.keys(buckets).map((region) => [region, { state: 'open', at: now().toISOString() }]),
    ),
  };
  await announce(dependencies, deletion);
  try {
    for (const region of Object.keys(buckets)) await untilKnown(dependencies, region, deletion);
    const holds = await Promise.all(
      Object.keys(buckets).map((region) => readActiveHolds(indexFor(region), subjects)),
    );
    const [hold] = holds.flat();
    if (hold) {
      await withdraw(dependencies, recordingId);
      return { kind: 'held', reason: holdText(hold) };
    }
  } catch (error) {
    logger.warn('deletion waits for a region', { recordingId, error: error as Error });
    await withdraw(dependencies, recordingId);
    return { kind: 'waiting' };
  }
  return { kind: 'begun', deletion: await begin(dependencies, deletion) };
}

const holdText = ({ holdId, by, at }: Hold): string => `hold ${holdId} of ${by}, ${at}`;

async function obstacleAtHome(
  dependencies: ExpireDependencies,
  prefix: string,
  subjects: HoldSubject[],
): Promise<Decision | undefined> {
  const { indexFor, homeRegion, retention, now } = dependencies;
  const [hold] = await readActiveHolds(indexFor(homeRegion), subjects);
  if (hold) return { kind: 'held', reason: holdText(hold) };
  const [unknown] = await heldByBucket(dependencies, subjects);
  if (unknown)
    return { kind: 'held', reason: `hold ${unknown}, which only the bucket knows: rebuild the index` };
  if (!retention.objectLock) return undefined;
  const lock = await readLock(bucketOf(dependencies, homeRegion), prefix + MANIFEST_FILE);
  if (lock?.isHeld) return { kind: 'held', reason: 'legal hold of S3' };
  return lock?.retainUntil && lock.retainUntil > now()
    ? { kind: 'locked', until: lock.retainUntil }
    : undefined;
}

/** With the work that comes again if this run dies. */
async function announce(dependencies: ExpireDependencies, deletion: Deletion): Promise<void> {
  const { indexFor, homeRegion, now, times } = dependencies;
  const index = indexFor(homeRegion);
  const { recordingId } = deletion;
  const again = dueItem(
    homeRegion,
    { kind: 'recording', recordingId },
    new Date(now().getTime() + times.retryMs),
  );
  await writeTogether(index, [
    {
      Put: {
        TableName: index.tableName,
        Item: { ...deletionKey(recordingId), ...deletion },
        ConditionExpression: 'attribute_not_exists(pk) OR #state = :intended',
        ExpressionAttributeNames: { '#state': 'state' },
        ExpressionAttributeValues: { ':intended': 'intended' },
      },
    },
    { Put: { TableName: index.tableName, Item: again } },
  ]);
}

/** A replica has not shown in time what was written at home. */
class NotAnnouncedError extends Error {
  constructor(region: string, ms: number) {
    super(`the index in ${region} does not show within ${ms} ms what was written here`);
    this.name = 'NotAnnouncedError';
  }
}

async function untilKnown(
  { indexFor, times }: ExpireDependencies,
  region: string,
  { recordingId, intentId }: Deletion,
): Promise<void> {
  const deadline = performance.now() + times.announceMs;
  while ((await readDeletion(indexFor(region), recordingId))?.intentId !== intentId) {
    if (performance.now() > deadline) throw new NotAnnouncedError(region, times.announceMs);
    await pause(times.announcePollMs);
  }
}

/** From here on there is no way back. The audit says so in the same transaction. */
async function begin(dependencies: ExpireDependencies, intended: Deletion): Promise<Deletion> {
  const { indexFor, homeRegion, now, logger } = dependencies;
  const index = indexFor(homeRegion);
  const { recordingId, tenant, by, why, reason } = intended;
  const deletion: Deletion = { ...intended, state: 'begun', at: now().toISOString() };
  const entry = auditEntry(
    {
      action: 'beginDeletion',
      outcome: 'done',
      by,
      tenant,
      recordingId,
      region: homeRegion,
      detail: `${why}: ${reason}`,
    },
    now(),
  );
  const refused = await writeTogether(index, [
    {
      Put: {
        TableName: index.tableName,
        Item: { ...deletionKey(recordingId), ...deletion },
        ConditionExpression: '#state = :intended AND intentId = :intentId',
        ExpressionAttributeNames: { '#state': 'state' },
        ExpressionAttributeValues: { ':intended': 'intended', ':intentId': intended.intentId },
      },
    },
    auditWrite(index, entry),
  ]);
  if (refused.length > 0) throw new Error(`the deletion of ${recordingId} is decided by somebody else, too`);
  logAudit(logger, entry);
  return deletion;
}

/** Takes the intention back; what has begun stays. */
export async function withdraw(
  { indexFor, homeRegion }: ExpireDependencies,
  recordingId: string,
): Promise<void> {
  const { table, tableName } = indexFor(homeRegion);
  await unlessRefused(
    table.send(
      new DeleteCommand({
        TableName: tableName,
        Key: deletionKey(recordingId),
        ConditionExpression: '#state = :intended',
        ExpressionAttributeNames: { '#state': 'state' },
        ExpressionAttributeValues: { ':intended': 'intended' },
      }),
    ),
  );
}

/** A hold ends what was asked for before: it must not come back when the hold is released, perhaps years later. */
export async function stopRequests(
  { indexFor, homeRegion, now, logger }: ExpireDependencies,
  { recordingId, tenant }: IndexedRecording,
  requests: DeletionRequest[],
  reason: string,
): Promise<void> {
  const index = indexFor(homeRegion);
  for (const { requestId, by } of requests) {
    const entry = auditEntry(
      {
        action: 'stopDeletion',
        outcome: 'done',
        by,
        tenant,
        recordingId,
        region: homeRegion,
        detail: reason,
      },
      now(),
    );
    const refused = await writeTogether(index, [
      {
        Delete: {
          TableName: index.tableName,
          Key: requestKey(recordingId, requestId),
          ConditionExpression: 'attribute_exists(pk)',
        },
      },
      auditWrite(index, entry),
    ]);
    if (refused.length === 0) logAudit(logger, entry);
  }
}
