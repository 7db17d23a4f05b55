/**
 * Restores the index from the manifests in one region's bucket: of recordings made there, and of copies, whose home region
 * may be lost. Holds, and deletions that are under way, come back first, from their own objects. It may be stopped and started at any time, run beside index-recording, and run for every region's bucket.
 */
import { ListObjectsV2Command } from '@aws-sdk/client-s3';
import { copyItem } from '../../core/index-items.ts';
import { parseManifestKey, ROOT_PREFIX } from '../../core/keys.ts';
import { InvalidManifestError } from '../../core/manifest.ts';
import { readManifest } from '../shared/source-manifest.ts';
import type { IndexDependencies } from './index-recording.ts';
import { restoreFates } from './restore-fates.ts';
import { writeItems } from './write-items.ts';

export interface RebuildOptions {
  bucket: string;
  /** Region of the bucket. */
  region: string;
  /** Begins behind this key: `lastKey` of an earlier run. */
  startAfter?: string;
  /** Recordings written at once. */
  parallel: number;
  /** Called whenever all keys up to `lastKey` are done; awaited. */
  onProgress?: (progress: RebuildProgress) => Promise<void> | void;
}

export interface RebuildProgress {
  /** Manifests seen by this run. */
  manifests: number;
  /** Recordings whose items were written, also where they were there already. */
  restored: number;
  /** Recordings that the index has in a higher revision than this bucket. */
  newer: number;
  /** Recordings that are deleted, or being deleted: they are not brought back, and what is left of them is deleted. */
  deleted: number;
  /** Holds, releases and deletions that the index has got back, or had. */
  fates: number;
  /** Manifests deleted between the listing and the reading. */
  gone: number;
  /** Keys of manifests that this version cannot read. */
  invalid: string[];
  lastKey?: string;
}

type Outcome = 'restored' | 'newer' | 'gone' | 'deleted' | InvalidManifestError;

const RESTORE_OUTCOMES = { written: 'restored', known: 'newer', deleted: 'deleted' } as const;

/**
 * Writes all items of every manifest in the bucket, in order of key. What the index has in a higher revision stays.
 * @throws the SDK's errors: what `onProgress` was told last is where to go on
 */
export async function rebuildIndex(
  dependencies: IndexDependencies,
  { bucket, region, startAfter, parallel, onProgress }: RebuildOptions,
): Promise<RebuildProgress> {
  const progress: RebuildProgress = {
    manifests: 0,
    restored: 0,
    newer: 0,
    deleted: 0,
    fates: 0,
    gone: 0,
    invalid: [],
  };
  // First, also when a run goes on: no recording is there for a moment without its holds.
  progress.fates = await restoreFates(dependencies, { bucket, region });
  let token: string | undefined;
  do {
    const { Contents = [], NextContinuationToken } = await dependencies.s3.send(
      new ListObjectsV2Command({
        Bucket: bucket,
        Prefix: ROOT_PREFIX,
        ...(token ? { ContinuationToken: token } : { StartAfter: startAfter }),
      }),
    );
    const keys = Contents.flatMap(({ Key }) => Key ?? []);
    const manifests = keys.filter(parseManifestKey);
    for (let at = 0; at < manifests.length; at += parallel) {
      const some = manifests.slice(at, at + parallel);
      const outcomes = await Promise.all(some.map((key) => restore(dependencies, bucket, region, key)));
      count(progress, outcomes);
      progress.lastKey = some.at(-1) as string;
      await onProgress?.(progress);
    }
    token = NextContinuationToken;
  } while (token);
  return progress;
}

async function restore(
  { s3, table, tableName }: IndexDependencies,
  bucket: string,
  region: string,
  key: string,
): Promise<Outcome> {
  try {
    const manifest = (await readManifest(s3, bucket, key))?.manifest;
    if (!manifest) return 'gone';
    // A copy's manifest is written last, once every file of it is verified (DESIGN.md 4.10): where it is, the copy is.
    const copy = copyItem(manifest, region, bucket, region === manifest.homeRegion ? 'home' : 'replica');
    const outcome = await writeItems({ table, tableName }, manifest, copy, { restore: true });
    return RESTORE_OUTCOMES[outcome];
  } catch (error) {
    if (error instanceof InvalidManifestError) return error;
    throw error;
  }
}

function count(progress: RebuildProgress, outcomes: Outcome[]): void {
  for (const outcome of outcomes) {
    progress.manifests += 1;
    if (outcome instanceof InvalidManifestError) progress.invalid.push(outcome.key);
    else progress[outcome] += 1;
  }
}
