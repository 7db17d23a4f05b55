/**
 * Makes the copy of one recording in one target region, and proves it: every file of the manifest under the same key,
 * compared with the manifest's SHA-256 at the target, the manifest last, and then the copy's item in the index.
 *
 * It makes the target like the home region is now, whatever the job's age. What is there and is right is left alone, so
 * that a repetition costs one HEAD per file.
 */
import type { S3Client } from '@aws-sdk/client-s3';
import { PutCommand } from '@aws-sdk/lib-dynamodb';
import type { CopyJob } from '../../core/copy-jobs.ts';
import { type Deletion, deletionKey, deletionSchema, isFateKey } from '../../core/fate-items.ts';
import { copyKey, isCopyKey, replicaCopyItem } from '../../core/index-items.ts';
import { parseManifestKey } from '../../core/keys.ts';
import type { Manifest } from '../../core/manifest.ts';
import {
  dueAt,
  filteredManifest,
  isOpen,
  isWanted,
  type ReplicationRule,
} from '../../core/replication-rules.ts';
import type { IndexTable } from '../shared/aws-clients.ts';
import { unlessRefused } from '../shared/conditional-write.ts';
import type { RecordingPlace, RecordingPlaces } from '../shared/environment.ts';
import { isFinal } from '../shared/fates.ts';
import type { ReadItems } from '../shared/gather-reads.ts';
import { readItems } from '../shared/read-items.ts';
import { objectsOf, readManifest, type SourceManifest } from '../shared/source-manifest.ts';
import {
  compareObject,
  type ExpectedObject,
  isMissing,
  type StoragePlace,
} from '../shared/stored-objects.ts';
import { COPY_SIZES, type CopySizes, copyObject, type ObjectProtection } from './copy-object.ts';

export interface ReplicateDependencies extends IndexTable {
  /** Reads items of the index, strongly consistent; by a request of its own for each job when absent. */
  readNow?: ReadItems;
  /** S3 client for the buckets of a region. */
  s3For: (region: string) => S3Client;
  /** This function's region: only its own recordings are copied by it. */
  homeRegion: string;
  places: RecordingPlaces;
  rules: ReplicationRule[];
  sizes?: CopySizes;
  /** How the objects of a copy are kept from deletion; not at all when absent. */
  protectionOf?: (manifest: Manifest) => Promise<ObjectProtection>;
  now?: () => Date;
}

/**
 * `alreadyCopied`: every file was there and right; `gone`: the home region has no such recording any more, or it is being
 * deleted; nothing is copied, and expire-recordings deletes what the target holds of it; `outsideWindow`: the window has
 * closed, and the sweep asks again when it opens; `unwanted`: the target's filters leave the recording out.
 */
export type CopyOutcome = 'copied' | 'alreadyCopied' | 'gone' | 'outsideWindow' | 'unwanted';

export interface CopyResult {
  outcome: CopyOutcome;
  /** Of the files that were copied by this call. */
  copiedBytes: number;
  /** From when the copy was due until it was verified. Absent when there is none, or it is of a backfill. */
  lagMs?: number;
}

/** The job is none of this function: another region's recording, or a target that the deployment does not name. */
export class ForeignCopyJobError extends Error {
  constructor({ key, target }: CopyJob, homeRegion: string) {
    super(
      `${key} is not to be copied from ${homeRegion} to ${target}: see \`replication\` in the deployment file`,
    );
    this.name = 'ForeignCopyJobError';
  }
}

/** A file that the manifest names is not in the home region's bucket, while the manifest is. */
export class SourceFileMissingError extends Error {
  constructor(bucket: string, key: string) {
    super(`${bucket} has no ${key}, which its manifest names: restore its last version`);
    this.name = 'SourceFileMissingError';
  }
}

/** What arrived at the target is not what the manifest says, and the manifest has not changed: the source is damaged. */
export class CopyMismatchError extends Error {
  constructor(target: string, { key, sha256, bytes }: ExpectedObject) {
    super(
      `${key} in ${target} is not the file of ${bytes} bytes with SHA-256 ${sha256} that the manifest says: ` +
        'compare the versions of the source with it',
    );
    this.name = 'CopyMismatchError';
  }
}

/** The recording at home is rewritten faster than it can be copied. */
export class RecordingKeepsChangingError extends Error {
  constructor(key: string, times: number) {
    super(`${key} has changed ${times} times while it was copied: it will be tried again`);
    this.name = 'RecordingKeepsChangingError';
  }
}

/** Manifests are rewritten rarely; more than once within a copy is a fault somewhere. */
const MAX_ROUNDS = 3;

/** @throws the errors above, InvalidManifestError, or those of the SDK: the job is to be tried again */
export async function replicateRecording(
  dependencies: ReplicateDependencies,
  job: CopyJob,
): Promise<CopyResult> {
  const { homeRegion, places, rules, s3For, now = () => new Date() } = dependencies;
  const home = places[homeRegion];
  const place = places[job.target];
  const rule = rules.find(({ to }) => to === job.target);
  if (
    !home ||
    !place ||
    !rule ||
    job.target === homeRegion ||
    parseManifestKey(job.key)?.homeRegion !== homeRegion
  )
    throw new ForeignCopyJobError(job, homeRegion);
  const { recordingId } = parseManifestKey(job.key) as { recordingId: string };
  // A manifest of it may still be there, or have come late: expire-recordings deletes that, too.
  const { deletion, hasCopy } = await readKnown(dependencies, recordingId, job.target);
  if (isFinal(deletion)) return { outcome: 'gone', copiedBytes: 0 };
  const target: StoragePlace = { s3: s3For(job.target), place };
  const round: Round = { ...dependencies, home, target, region: job.target };

  let copiedBytes = 0;
  // What is begun within the window is completed.
  if (!isOpen(rule, now())) return { outcome: 'outsideWindow', copiedBytes };
  for (let rounds = 1; rounds <= MAX_ROUNDS; rounds++) {
    const source = await readManifest(s3For(homeRegion), home.bucket, job.key);
    if (!source) return { outcome: 'gone', copiedBytes };
    if (!isWanted(rule, filteredManifest(source.manifest))) return { outcome: 'unwanted', copiedBytes };
    const isNew = rounds === 1 && !hasCopy && isFresh(source, now());
    const copied = await copyFiles(round, source, isNew);
    if (copied instanceof Error) {
      // Either the recording was rewritten meanwhile, or the trouble stays.
      const again = await readManifest(s3For(homeRegion), home.bucket, job.key);
      if (again?.sha256 === source.sha256) throw copied;
      continue;
    }
    copiedBytes += copied.bytes;
    const verifiedAt = now();
    if (!(await putCopy(round, source, verifiedAt))) continue;
    return {
      outcome: copiedBytes > 0 ? 'copied' : 'alreadyCopied',
      copiedBytes,
      ...(!job.backfill && {
        lagMs: verifiedAt.getTime() - dueAt(rule, new Date(source.manifest.endedAt)).getTime(),
      }),
    };
  }
  throw new RecordingKeepsChangingError(job.key, MAX_ROUNDS);
}

interface Round extends ReplicateDependencies {
  home: RecordingPlace;
  target: StoragePlace;
  /** The target's. */
  region: string;
}

/** In the index of this region, as of now: the recording's deletion, and whether the target has a copy, good or damaged. */
async function readKnown(
  { readNow = (keys) => readItems(index, keys, { consistent: true }), ...index }: ReplicateDependencies,
  recordingId: string,
  region: string,
): Promise<{ deletion: Deletion | undefined; hasCopy: boolean }> {
  const items = await readNow([deletionKey(recordingId), copyKey(recordingId, region)]);
  return {
    deletion: deletionSchema.optional().parse(items.find(isFateKey)),
    hasCopy: items.some(isCopyKey),
  };
}

/**
 * So new a recording that the index knows no copy of has none, but for one whose job ended before its item was written. Of an
 * older one, the index may have been lost; the sweep, which then asks for it, leaves alone what is not ten minutes old.
 */
const FRESH_MS = 5 * 60_000;
const isFresh = ({ writtenAt }: SourceManifest, now: Date): boolean =>
  writtenAt !== undefined && now.getTime() - writtenAt.getTime() < FRESH_MS;

/**
 * Where the target has no manifest, it has never had the whole recording: all is copied without looking, but for what is
 * large. Otherwise what is there and is right is left alone.
 * @param isNew whether the target need not be asked for its manifest: at worst, what is there is copied once more
 * @returns the bytes copied, or what a change of the source may have caused
 */
async function copyFiles(
  round: Round,
  source: SourceManifest,
  isNew: boolean,
): Promise<{ bytes: number } | Error> {
  const manifestState = isNew ? 'missing' : await compareObject(round.target, source);
  const protection = await round.protectionOf?.(source.manifest);
  const files = objectsOf(source).slice(0, -1);
  const results = await Promise.allSettled(
    files.map((file) => copyFile(round, file, protection, manifestState === 'missing')),
  );
  const copied = results.map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
  const failed = copied.find((result) => result instanceof Error);
  if (failed) return failed;
  // The manifest is the last: without it there is no recording.
  const last = manifestState === 'same' ? { bytes: 0 } : await copyFile(round, source, protection, true);
  if (last instanceof Error) return last;
  return { bytes: (copied as { bytes: number }[]).reduce((sum, { bytes }) => sum + bytes, last.bytes) };
}

/** @param isNew whether the target can have nothing of it that is worth a look */
async function copyFile(
  { home, target, region, homeRegion, sizes = COPY_SIZES }: Round,
  object: ExpectedObject,
  protection: ObjectProtection | undefined,
  isNew: boolean,
): Promise<{ bytes: number } | Error> {
  const looks = !isNew || object.bytes >= sizes.lookFirstBytes;
  if (looks && (await compareObject(target, object)) === 'same') return { bytes: 0 };
  try {
    const sha256 = await copyObject(target, object, {
      sourceBucket: home.bucket,
      origin: homeRegion,
      sizes,
      protection,
    });
    // What S3 has computed as it wrote is the same that HEAD would tell.
    const isRight = sha256 ? sha256 === object.sha256 : (await compareObject(target, object)) === 'same';
    return isRight ? { bytes: object.bytes } : new CopyMismatchError(region, object);
  } catch (error) {
    if (isMissing(error)) return new SourceFileMissingError(home.bucket, object.key);
    if ((error as Error).name === 'PreconditionFailed') return error as Error;
    // A range of a source that has become shorter.
    if ((error as Error).name === 'InvalidArgument' && object.bytes > sizes.singleCopyBytes)
      return error as Error;
    throw error;
  }
}

/** @returns false if the index knows of a copy of a newer revision */
async function putCopy(round: Round, source: SourceManifest, verifiedAt: Date): Promise<boolean> {
  const item = replicaCopyItem(source.manifest, {
    region: round.region,
    bucket: round.target.place.bucket,
    verifiedAt: verifiedAt.toISOString(),
    manifestSha256: source.sha256,
  });
  return unlessRefused(
    round.table.send(
      new PutCommand({
        TableName: round.tableName,
        Item: item,
        ConditionExpression: 'attribute_not_exists(pk) OR revision <= :revision',
        ExpressionAttributeValues: { ':revision': item.revision },
      }),
    ),
  );
}
