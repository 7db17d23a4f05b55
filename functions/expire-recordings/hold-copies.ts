/**
 * Holds outside the index: each fact as an object in this region's bucket, so that an index that is lost gets it back, and,
 * where buckets have Object Lock, S3's own legal hold on all objects of all copies.
 */
import { ListObjectsV2Command, PutObjectCommand } from '@aws-sdk/client-s3';
import {
  activeHoldObjects,
  activeHolds,
  type Fate,
  factsOf,
  type Hold,
  type HoldSubject,
  holdObjectKey,
  holdObjectsPrefix,
} from '../../core/fate-items.ts';
import { MANIFEST_FILE } from '../../core/manifest.ts';
import { readLock, setLegalHold } from '../shared/versions.ts';
import { bucketOf, type ExpireDependencies } from './dependencies.ts';

/** Writes what is not there yet. A fact never changes, so that one that is there is right. */
export async function keepHoldFacts(
  dependencies: ExpireDependencies,
  subject: HoldSubject,
  { holds }: Fate,
): Promise<void> {
  const { s3, bucket } = bucketOf(dependencies, dependencies.homeRegion);
  for (const fact of holds.flatMap(factsOf))
    try {
      await s3.send(
        new PutObjectCommand({
          Bucket: bucket,
          Key: holdObjectKey(subject, fact),
          Body: JSON.stringify({ subject, fact }),
          ContentType: 'application/json',
          IfNoneMatch: '*',
        }),
      );
    } catch (error) {
      if ((error as Error).name !== 'PreconditionFailed') throw error;
    }
}

/**
 * The ids of holds that this region's bucket knows and that are not released. Also an index that was lost, and has got back
 * the recording but not yet its holds, lets nothing be deleted by this.
 */
export async function heldByBucket(
  dependencies: ExpireDependencies,
  subjects: HoldSubject[],
): Promise<string[]> {
  const { s3, bucket } = bucketOf(dependencies, dependencies.homeRegion);
  const keys = await Promise.all(
    subjects.map(async (subject) => {
      // One page: nobody has a thousand holds on one thing.
      const { Contents = [] } = await s3.send(
        new ListObjectsV2Command({ Bucket: bucket, Prefix: holdObjectsPrefix(subject) }),
      );
      return Contents.flatMap(({ Key }) => Key ?? []);
    }),
  );
  return activeHoldObjects(keys.flat());
}

/**
 * S3's own legal hold on every object of a recording in every region, as the index says; nothing where buckets have no
 * Object Lock. The home region's manifest comes last: it tells that the others are done.
 * @param holds on the recording and on its call, released ones too. Without any, a hold that somebody set in S3 itself stays
 * @throws the first region's error, after the others have been done
 */
export async function keepLegalHold(
  dependencies: ExpireDependencies,
  prefix: string,
  holds: Hold[],
): Promise<void> {
  const { retention, homeRegion, buckets } = dependencies;
  if (!retention.objectLock || holds.length === 0) return;
  const isHeld = activeHolds(holds).length > 0;
  const home = bucketOf(dependencies, homeRegion);
  const lock = await readLock(home, prefix + MANIFEST_FILE);
  if (lock?.isHeld === isHeld) return;
  const results = await Promise.allSettled(
    Object.keys(buckets)
      .filter((region) => region !== homeRegion)
      .map((region) => setLegalHold(bucketOf(dependencies, region), prefix, isHeld ? 'ON' : 'OFF')),
  );
  for (const result of results) if (result.status === 'rejected') throw result.reason;
  await setLegalHold(home, prefix, isHeld ? 'ON' : 'OFF');
}
