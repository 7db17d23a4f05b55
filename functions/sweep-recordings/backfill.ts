/**
 * Ordering a backfill: a target is to get what was recorded before the days that the sweep goes through. The sweep does it,
 * in its own time and within the target's window and filters: whoever ordered it need not wait.
 */
import { ListObjectsV2Command } from '@aws-sdk/client-s3';
import { regionPrefix } from '../../core/keys.ts';
import { dueAt, isWanted, type ReplicationRule } from '../../core/replication-rules.ts';
import type { IndexTable } from '../shared/aws-clients.ts';
import { addDays, type CatchUp, dayOf, newCatchUp, readCatchUp, writeCatchUp } from './catch-up.ts';
import { type HomeBucket, listDay } from './home-recordings.ts';
import { isDone, readIndexStates } from './index-state.ts';

/** Another order has come in between. */
export class BackfillChangedError extends Error {
  constructor(target: string) {
    super(`the backfill of ${target} was changed by somebody else meanwhile: run the command again`);
    this.name = 'BackfillChangedError';
  }
}

/** UTC day of the oldest recording; undefined if there is none. */
export async function firstDay({ s3, bucket, homeRegion }: HomeBucket): Promise<string | undefined> {
  const Prefix = regionPrefix(homeRegion);
  const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: bucket, Prefix, MaxKeys: 1 }));
  return Contents[0]?.Key?.slice(Prefix.length, Prefix.length + '2026/11/23'.length).replaceAll('/', '-');
}

/**
 * Orders the copies of all recordings from a day on. One that is on its way and began no later stays as it is, so that the
 * command may be repeated.
 * @returns the backfill that is on its way now, and whether it is a new one
 * @throws BackfillChangedError
 */
export async function orderBackfill(
  index: IndexTable,
  { homeRegion, target, since, now }: { homeRegion: string; target: string; since: string; now: Date },
): Promise<{ backfill: CatchUp; isNew: boolean }> {
  const place = { homeRegion, kind: 'BACKFILL' as const, target };
  const known = await readCatchUp(index, place);
  if (known && !known.finishedAt && known.since <= since) return { backfill: known, isNew: false };
  const backfill = newCatchUp(now.toISOString(), since);
  if (!(await writeCatchUp(index, place, backfill, known?.startedAt))) throw new BackfillChangedError(target);
  return { backfill, isNew: true };
}

/** What a backfill would do now. */
export interface BackfillEstimate {
  /** Recordings in the bucket since that day. */
  recordings: number;
  /** Of those, the ones to be copied, and the bytes of their files. */
  copies: number;
  bytes: number;
  /** Not in the index: the sweep cannot copy them; `npm run index:rebuild` puts them there. */
  unindexed: number;
}

/** Looks through the bucket and the index, and changes nothing. @param onDay called after each day */
export async function estimateBackfill(
  index: IndexTable,
  home: HomeBucket,
  rule: ReplicationRule,
  {
    since,
    now,
    page,
    onDay,
  }: { since: string; now: Date; page: number; onDay?: (day: string, estimate: BackfillEstimate) => void },
): Promise<BackfillEstimate> {
  const estimate: BackfillEstimate = { recordings: 0, copies: 0, bytes: 0, unindexed: 0 };
  for (let day = since; day <= dayOf(now); day = addDays(day, 1)) {
    let after: string | undefined;
    for (let isMore = true; isMore; ) {
      const recordings = await listDay(home, day, after, page);
      const stateOf = await readIndexStates(index, recordings, [rule]);
      for (const recording of recordings) {
        const state = stateOf(recording);
        estimate.recordings += 1;
        if (!state.recording) estimate.unindexed += 1;
        else if (
          !isDone(state.copy(rule.to), state) &&
          isWanted(rule, state.recording) &&
          dueAt(rule, new Date(state.recording.endedAt)) <= now
        ) {
          estimate.copies += 1;
          estimate.bytes += state.recording.files.reduce((sum, { bytes }) => sum + bytes, 0);
        }
      }
      after = recordings.at(-1)?.recordingId;
      isMore = recordings.length === page;
    }
    onDay?.(day, estimate);
  }
  return estimate;
}
