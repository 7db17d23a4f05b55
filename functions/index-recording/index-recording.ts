/** A manifest in S3 becomes items in the index, and jobs for its copies. */
import type { S3Client } from '@aws-sdk/client-s3';
import { homeCopyItem } from '../../core/index-items.ts';
import { parseManifestKey } from '../../core/keys.ts';
import type { RecordingStatus } from '../../core/manifest.ts';
import { filteredManifest, isOpen, isWanted, type ReplicationRule } from '../../core/replication-rules.ts';
import type { IndexTable } from '../shared/aws-clients.ts';
import { readManifest } from '../shared/source-manifest.ts';
import { sendCopyJobs, type WorkQueue } from '../shared/work-queue.ts';
import type { S3Object } from './s3-events.ts';
import { writeItems } from './write-items.ts';

export interface IndexDependencies extends IndexTable {
  s3: S3Client;
  /** Where copies are asked for; absent if nothing is copied from this region. */
  copies?: { queue: WorkQueue; rules: ReplicationRule[] };
  now?: () => Date;
}

/**
 * What became of one object. `foreign`: not a manifest; `gone`: deleted since the event; `deleted`: its recording has been
 * deleted, so that it is deleted, too.
 */
export type IndexOutcome = 'indexed' | 'alreadyIndexed' | 'foreign' | 'gone' | 'deleted';

export type IndexResult =
  | { outcome: Exclude<IndexOutcome, 'indexed'> }
  /** `writtenAt`: when S3 took the manifest. */
  | { outcome: 'indexed'; status: RecordingStatus; writtenAt: Date | undefined };

/**
 * Indexes the recording of one manifest. Events come at least once and in any order: only a higher revision
 * replaces what is there, so that a duplicate or a late event changes nothing.
 * @throws InvalidManifestError if the manifest cannot be read by this version, or contradicts its key
 */
export async function indexManifest(
  { s3, table, tableName, copies, now = () => new Date() }: IndexDependencies,
  { bucket, key }: S3Object,
): Promise<IndexResult> {
  if (!parseManifestKey(key)) return { outcome: 'foreign' };
  const source = await readManifest(s3, bucket, key);
  if (!source) return { outcome: 'gone' };
  const { manifest, writtenAt } = source;
  const outcome = await writeItems({ table, tableName }, manifest, homeCopyItem(manifest, bucket));
  if (outcome === 'deleted') return { outcome };
  // Also when it was indexed before: the try that did so may have failed here.
  if (copies) {
    // Copies for a window that is closed are begun by the sweep, once it opens.
    const targets = copies.rules.filter(
      (rule) => isWanted(rule, filteredManifest(manifest)) && isOpen(rule, now()),
    );
    await sendCopyJobs(
      copies.queue,
      targets.map(({ to }) => ({ key, target: to })),
    );
  }
  if (outcome !== 'written') return { outcome: 'alreadyIndexed' };
  return { outcome: 'indexed', status: manifest.status, writtenAt };
}
