/**
 * Legal holds: set and released on a recording, or on a call with all its recordings, also those that arrive later.
 *
 * Each is a fact in the index, written with its audit entry in one transaction: without the one there is not the other.
 * expire-recordings of every region is told, and keeps the fact outside the index as well.
 */
import type { Caller } from '../../core/access.ts';
import type { AuditEntry } from '../../core/audit-items.ts';
import {
  type Deletion,
  deletionKey,
  dueItem,
  type Hold,
  type HoldFact,
  type HoldSubject,
  holdFactItem,
  holdFactKey,
} from '../../core/fate-items.ts';
import { auditEntry, auditWrite, logAudit, type Write } from '../shared/audit.ts';
import type { IndexTable } from '../shared/aws-clients.ts';
import { readDeletion, readFate } from '../shared/fates.ts';
import { writeTogether } from '../shared/transactions.ts';
import type { FoundCall, HeldCall } from './answers.ts';
import { findCall } from './calls.ts';
import { type FateDependencies, findRecordingFor, writeRefusal } from './fate-access.ts';

export interface HoldOrder {
  /** Chosen by the caller; it is what is released. */
  holdId: string;
  reason: string;
}

/** A hold comes too late: the deletion has begun, or is being decided at this moment. */
export class DeletionBegunError extends Error {
  constructor(recordingId: string, { state, why, by, at }: Deletion) {
    const words = state === 'intended' ? 'is being decided: ask again in a minute' : `has begun`;
    super(`the deletion of recording ${recordingId} (${why}, by ${by}, ${at}) ${words}`);
    this.name = 'DeletionBegunError';
  }
}

/** What is released stays released, so that a late repetition cannot set it again. */
export class HoldReleasedError extends Error {
  constructor(holdId: string, { by, at }: HoldFact) {
    super(`hold ${holdId} was released by ${by}, ${at}: set another, with another id`);
    this.name = 'HoldReleasedError';
  }
}

/** There is no such hold to be released. */
export class NoSuchHoldError extends Error {
  constructor(holdId: string) {
    super(`there is no hold ${holdId} here: see \`holds\` of the recording`);
    this.name = 'NoSuchHoldError';
  }
}

/**
 * Sets a hold on a recording; again with the same id changes nothing.
 * @returns all holds on the recording itself; undefined if there is no such recording for this caller
 * @throws DeletionBegunError, HoldReleasedError
 */
export async function holdRecording(
  dependencies: FateDependencies,
  caller: Caller,
  recordingId: string,
  order: HoldOrder,
): Promise<Hold[] | undefined> {
  const { index, regions } = dependencies;
  const recording = await findRecordingFor(dependencies, caller, recordingId);
  if (!recording) return undefined;
  const { tenant } = recording;
  const subject: HoldSubject = { kind: 'recording', recordingId };
  const entry = entryOf(dependencies, caller, 'hold', order, { tenant, recordingId });
  const isSet = await writeFact(dependencies, caller, 'set', subject, order, entry, [
    // Where the intention to delete is known, no hold is taken (functions/expire-recordings/decide.ts).
    {
      ConditionCheck: {
        TableName: index.tableName,
        Key: deletionKey(recordingId),
        ConditionExpression: 'attribute_not_exists(pk)',
      },
    },
    ...dueWrites(index, regions, [subject], dependencies.now()),
  ]);
  const fate = await readFate(index, subject);
  if (!isSet) {
    const known = fate.holds.find(({ holdId }) => holdId === order.holdId);
    const refusal = known?.released
      ? new HoldReleasedError(order.holdId, known.released)
      : !known && fate.deletion && new DeletionBegunError(recordingId, fate.deletion);
    if (refusal) {
      await writeRefusal(dependencies, entry, refusal);
      throw refusal;
    }
    if (!known) throw new Error(`hold ${order.holdId} on recording ${recordingId} was not written`);
  }
  return fate.holds;
}

/**
 * Releases a hold on a recording; other holds on it, and on its call, stay.
 * @returns all holds on the recording itself; undefined if there is no such recording for this caller
 * @throws NoSuchHoldError
 */
export async function releaseRecording(
  dependencies: FateDependencies,
  caller: Caller,
  recordingId: string,
  order: HoldOrder,
): Promise<Hold[] | undefined> {
  const recording = await findRecordingFor(dependencies, caller, recordingId);
  if (!recording) return undefined;
  const { tenant } = recording;
  const subject: HoldSubject = { kind: 'recording', recordingId };
  const entry = entryOf(dependencies, caller, 'release', order, { tenant, recordingId });
  return release(dependencies, caller, subject, [subject], order, entry);
}

/**
 * Sets a hold on a call: on all its recordings, in all regions, also those that are not there yet.
 * @param id any id of the call
 * @returns undefined if the caller can see no recording of such a call
 * @throws HoldReleasedError
 */
export async function holdCall(
  dependencies: FateDependencies,
  caller: Caller,
  id: string,
  order: HoldOrder,
): Promise<HeldCall | undefined> {
  const { index, regions, now } = dependencies;
  const calls = await callsOf(dependencies, caller, id);
  if (calls.length === 0) return undefined;
  const held: HeldCall = { holds: [], recordings: [], tooLate: [] };
  for (const { tenant, call } of calls) {
    const subject: HoldSubject = { kind: 'call', tenant, callId: id };
    const entry = entryOf(dependencies, caller, 'hold', order, { tenant, callId: id });
    const isSet = await writeFact(
      dependencies,
      caller,
      'set',
      subject,
      order,
      entry,
      dueWrites(index, regions, [subject], now()),
    );
    const { holds } = await readFate(index, subject);
    const released = isSet ? undefined : holds.find(({ holdId }) => holdId === order.holdId)?.released;
    if (released) {
      const refusal = new HoldReleasedError(order.holdId, released);
      await writeRefusal(dependencies, entry, refusal);
      throw refusal;
    }
    held.holds.push(...holds);
    // Only now, after it is written: of this look and that of a deletion, at least one sees the other.
    for (const { recordingId, homeRegion } of call.recordings) {
      const deletion = await readDeletion(index, recordingId);
      (deletion ? held.tooLate : held.recordings).push(recordingId);
      await tell(dependencies, homeRegion, recordingId);
    }
  }
  return held;
}

/**
 * Releases a hold on a call.
 * @param id the id by which it was set
 * @returns the holds on the call by this id; undefined if the caller can see no recording of such a call
 * @throws NoSuchHoldError
 */
export async function releaseCall(
  dependencies: FateDependencies,
  caller: Caller,
  id: string,
  order: HoldOrder,
): Promise<Hold[] | undefined> {
  const calls = await callsOf(dependencies, caller, id);
  if (calls.length === 0) return undefined;
  const holds: Hold[] = [];
  for (const { tenant, call } of calls) {
    const subject: HoldSubject = { kind: 'call', tenant, callId: id };
    const entry = entryOf(dependencies, caller, 'release', order, { tenant, callId: id });
    holds.push(...(await release(dependencies, caller, subject, [subject], order, entry)));
    for (const { recordingId, homeRegion } of call.recordings)
      await tell(dependencies, homeRegion, recordingId);
  }
  return holds;
}

async function release(
  dependencies: FateDependencies,
  caller: Caller,
  subject: HoldSubject,
  told: HoldSubject[],
  order: HoldOrder,
  entry: AuditEntry,
): Promise<Hold[]> {
  const { index, regions, now } = dependencies;
  const isReleased = await writeFact(dependencies, caller, 'released', subject, order, entry, [
    {
      ConditionCheck: {
        TableName: index.tableName,
        Key: holdFactKey(subject, { holdId: order.holdId, fact: 'set' }),
        ConditionExpression: 'attribute_exists(pk)',
      },
    },
    ...dueWrites(index, regions, told, now()),
  ]);
  const { holds } = await readFate(index, subject);
  if (!isReleased && !holds.some(({ holdId, released }) => holdId === order.holdId && released)) {
    const refusal = new NoSuchHoldError(order.holdId);
    await writeRefusal(dependencies, entry, refusal);
    throw refusal;
  }
  return holds;
}

/** @returns false if a condition did not hold, the fact's own or another */
async function writeFact(
  dependencies: FateDependencies,
  caller: Caller,
  fact: HoldFact['fact'],
  subject: HoldSubject,
  { holdId, reason }: HoldOrder,
  entry: AuditEntry,
  others: Write[],
): Promise<boolean> {
  const { index, region, now, logger } = dependencies;
  const item = holdFactItem(subject, {
    fact,
    holdId,
    by: caller.id,
    at: now().toISOString(),
    reason,
    region,
  });
  const refused = await writeTogether(index, [
    { Put: { TableName: index.tableName, Item: item, ConditionExpression: 'attribute_not_exists(pk)' } },
    auditWrite(index, entry),
    ...others,
  ]);
  if (refused.length === 0) logAudit(logger, entry);
  return refused.length === 0;
}

const entryOf = (
  { region, now }: FateDependencies,
  caller: Caller,
  action: 'hold' | 'release',
  { holdId, reason }: HoldOrder,
  what: { tenant: string; recordingId?: string; callId?: string },
): AuditEntry =>
  auditEntry({ action, outcome: 'done', by: caller.id, holdId, region, detail: reason, ...what }, now());

/** Every region keeps the facts in its own bucket. */
const dueWrites = ({ tableName }: IndexTable, regions: string[], told: HoldSubject[], at: Date): Write[] =>
  regions.flatMap((region) =>
    told.map((subject) => ({ Put: { TableName: tableName, Item: dueItem(region, subject, at) } })),
  );

/** For S3's own legal hold on a recording, where buckets have Object Lock. */
async function tell(
  { index, now }: FateDependencies,
  homeRegion: string,
  recordingId: string,
): Promise<void> {
  await writeTogether(index, [
    {
      Put: {
        TableName: index.tableName,
        Item: dueItem(homeRegion, { kind: 'recording', recordingId }, now()),
      },
    },
  ]);
}

/** The call as each tenant has it that the caller may see: tenants may share an id by chance. */
async function callsOf(
  { index }: FateDependencies,
  caller: Caller,
  id: string,
): Promise<{ tenant: string; call: FoundCall }[]> {
  const found = (await findCall(index, id, caller.tenants))?.recordings ?? [];
  const calls: { tenant: string; call: FoundCall }[] = [];
  for (const tenant of new Set(found.map(({ tenant }) => tenant))) {
    const call = await findCall(index, id, [tenant]);
    if (call) calls.push({ tenant, call });
  }
  return calls;
}
