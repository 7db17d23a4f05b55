/** All that a sweep changes, in one place: a dry run goes the same way with effects that do nothing. */
import { PutCommand } from '@aws-sdk/lib-dynamodb';
import type { CopyJob } from '../../core/copy-jobs.ts';
import type { TableKey } from '../../core/index-items.ts';
import { type ReplicationReport, replicationReportKey } from '../../core/replication-report.ts';
import { sendCopyJobs, sendMessages } from '../shared/work-queue.ts';
import { type CatchUp, type CatchUpPlace, writeCatchUp } from './catch-up.ts';
import type { SweptRecording } from './home-recordings.ts';
import { type CopyState, markDamaged } from './index-state.ts';
import { cursorKey, type SweepCursor } from './sweep-cursor.ts';
import type { SweepDependencies } from './sweep-recordings.ts';

export interface SweepEffects {
  askForCopies: (jobs: CopyJob[]) => Promise<void>;
  /** Tells index-recording of manifests. */
  askForIndexing: (recordings: SweptRecording[]) => Promise<void>;
  markDamaged: (recordingId: string, region: string, copy: CopyState) => Promise<void>;
  keepCursor: (cursor: SweepCursor) => Promise<void>;
  /** @returns false if another has come in its place */
  keepCatchUp: (place: CatchUpPlace, catchUp: CatchUp, replaced: string | undefined) => Promise<boolean>;
  report: (report: ReplicationReport) => Promise<void>;
}

export const DRY: SweepEffects = {
  askForCopies: async () => {},
  askForIndexing: async () => {},
  markDamaged: async () => {},
  keepCursor: async () => {},
  keepCatchUp: async () => true,
  report: async () => {},
};

export function effectsOn(dependencies: SweepDependencies): SweepEffects {
  const { table, tableName, homeRegion, places, copyQueue, manifestEvents } = dependencies;
  const bucket = places[homeRegion]?.bucket ?? '';
  const put = async (key: TableKey, item: object): Promise<void> => {
    await table.send(new PutCommand({ TableName: tableName, Item: { ...key, ...item } }));
  };
  return {
    askForCopies: (jobs) => sendCopyJobs(copyQueue, jobs),
    askForIndexing: (recordings) =>
      sendMessages(
        manifestEvents,
        // In S3's own words.
        recordings.map(({ key }) => ({
          Records: [
            {
              eventName: 'Swept',
              s3: { bucket: { name: bucket }, object: { key: encodeURIComponent(key) } },
            },
          ],
        })),
      ),
    markDamaged: (recordingId, region, copy) => markDamaged(dependencies, recordingId, region, copy),
    keepCursor: (cursor) => put(cursorKey(homeRegion), cursor),
    keepCatchUp: (place, catchUp, replaced) => writeCatchUp(dependencies, place, catchUp, replaced),
    report: (report) => put(replicationReportKey(report), report),
  };
}
