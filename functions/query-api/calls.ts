/** All recordings of one call. */
import type { TenantScope } from '../../core/access.ts';
import type { RecordingSummary } from '../../core/index-entries.ts';
import type { IndexTable } from '../shared/aws-clients.ts';
import type { FoundCall } from './answers.ts';
import { queryEntries, scopedPartitions } from './search.ts';

/** A call has two recordings, and some more for each transfer. */
export const MAX_CALL_RECORDINGS = 500;
const MAX_CALL_IDS = 100;

/** Below and above every sort key of an entry. */
const ALL_TIMES: [string, string] = ['0', '~'];

/**
 * The call that an id belongs to, as far as it is of the tenants in scope: a `callId` or any correlation id. A redirection renews the id, and one recording knows both
 * (`call-identity.ts`), so that the ids of what is found are asked for as well, until there are no new ones.
 * @returns undefined if no recording has this id
 */
export async function findCall(
  index: IndexTable,
  id: string,
  scope: TenantScope,
): Promise<FoundCall | undefined> {
  const found = new Map<string, RecordingSummary>();
  const asked = new Set<string>();
  let ids = [id];
  let isShort = false;
  while (ids.length > 0 && found.size < MAX_CALL_RECORDINGS) {
    for (const next of ids) asked.add(next);
    const answers = await Promise.all(ids.map((next) => recordingsOf(index, next, scope)));
    isShort ||= answers.some(({ isAll }) => !isAll);
    for (const recording of answers.flatMap(({ recordings }) => recordings))
      found.set(recording.recordingId, recording);
    const known = new Set(
      [...found.values()].flatMap(({ callId, correlationIds }) => [callId, ...correlationIds]),
    );
    const fresh = [...known].filter((other) => !asked.has(other));
    ids = fresh.slice(0, MAX_CALL_IDS - asked.size);
    isShort ||= ids.length < fresh.length;
  }
  if (found.size === 0) return undefined;
  const recordings = [...found.values()].sort(byStart);
  return {
    correlationIds: [...asked],
    recordings: recordings.slice(0, MAX_CALL_RECORDINGS),
    truncated: isShort || ids.length > 0 || recordings.length > MAX_CALL_RECORDINGS,
  };
}

async function recordingsOf(
  index: IndexTable,
  id: string,
  scope: TenantScope,
): Promise<{ recordings: RecordingSummary[]; isAll: boolean }> {
  const recordings: RecordingSummary[] = [];
  for (const partition of scopedPartitions('call', id, scope)) {
    let startKey: Record<string, unknown> | undefined;
    do {
      const { entries, lastKey } = await queryEntries(index, partition, {
        between: ALL_TIMES,
        limit: MAX_CALL_RECORDINGS + 1 - recordings.length,
        startKey,
      });
      recordings.push(...entries.map(({ summary }) => summary));
      startKey = lastKey;
    } while (startKey && recordings.length <= MAX_CALL_RECORDINGS);
  }
  return { recordings, isAll: recordings.length <= MAX_CALL_RECORDINGS };
}

const byStart = (one: RecordingSummary, other: RecordingSummary): number =>
  compare(one.startedAt, other.startedAt) ||
  (one.callSequence ?? 0) - (other.callSequence ?? 0) ||
  compare(one.recordingId, other.recordingId);

const compare = (one: string, other: string): number => Number(one > other) - Number(one < other);
