/**
 * Carries out a deletion that has begun, so that nothing is brought back behind its back:
 *
 * 1. a mark in the home region's bucket, for an index that is lost meanwhile;
 * 2. the manifest at home: without it nothing new is copied, swept or indexed;
 * 3. in every region, all versions of the manifest, then of everything below the recording's prefix, proved by listing;
 * 4. the items of the index, as soon as every region is done;
 * 5. the tombstone says `deleted`, and the audit, in one transaction;
 * 6. later, when whatever was on its way has arrived: 3 and 4 again, and the marks are removed.
 *
 * A region that does not answer leaves its part open, and the next run goes on.
 */
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { DeleteCommand, PutCommand } from '@aws-sdk/lib-dynamodb';
import { type Deletion, deletionKey, deletionObjectKey, dueItem, isFateKey } from '../../core/fate-items.ts';
import { recordingKey, recordingPartition, type TableKey } from '../../core/index-items.ts';
import { MANIFEST_FILE } from '../../core/manifest.ts';
import { auditEntry, auditWrite, logAudit } from '../shared/audit.ts';
import { readPartition } from '../shared/partition.ts';
import { writeTogether } from '../shared/transactions.ts';
import { type BucketPlace, deleteAllVersions } from '../shared/versions.ts';
import type { Attended } from './attend.ts';
import { bucketOf, type ExpireDependencies } from './dependencies.ts';

export async function carryOut(dependencies: ExpireDependencies, deletion: Deletion): Promise<Attended> {
  const { now, times } = dependencies;
  if (deletion.state === 'deleted') {
    const due = new Date(Date.parse(deletion.deletedAt ?? deletion.at) + times.recheckMs);
    if (due > now()) return { outcome: 'deleted', next: due };
  }
  const { regions, found } = await deleteEverywhere(dependencies, deletion);
  const current: Deletion = { ...deletion, regions };
  if (Object.values(regions).some(({ state }) => state === 'open')) {
    await putDeletion(dependencies, current);
    return { outcome: 'open', next: new Date(now().getTime() + times.retryMs) };
  }
  await deleteItems(dependencies, deletion.recordingId);
  return deletion.state === 'deleted' ? recheck(dependencies, current, found) : finish(dependencies, current);
}

async function deleteEverywhere(
  dependencies: ExpireDependencies,
  deletion: Deletion,
): Promise<{ regions: Deletion['regions']; found: number }> {
  const { homeRegion, buckets, now, logger } = dependencies;
  const regions = { ...deletion.regions };
  let found = 0;
  const inRegion = async (region: string, work: (place: BucketPlace) => Promise<number>) => {
    const at = now().toISOString();
    try {
      const count = await work(bucketOf(dependencies, region));
      found += count;
      regions[region] = { state: 'deleted', at };
    } catch (error) {
      const trouble = `${(error as Error).name}: ${(error as Error).message}`.slice(0, 300);
      logger.warn('deletion is open', { recordingId: deletion.recordingId, region, trouble });
      regions[region] = { state: 'open', at, trouble };
    }
  };
  const manifest = deletion.prefix + MANIFEST_FILE;
  await inRegion(homeRegion, async (place) => {
    await mark(place, deletion);
    return deleteAllVersions(place, manifest);
  });
  // While it can be copied from home, a copy that is deleted may come back.
  if (regions[homeRegion]?.state === 'open') return { regions, found };
  const all = [...new Set([...Object.keys(buckets), ...Object.keys(deletion.regions)])];
  await Promise.all(
    all.map((region) =>
      inRegion(region, async (place) => {
        if (region !== homeRegion) await mark(place, deletion);
        return (await deleteAllVersions(place, manifest)) + (await deleteAllVersions(place, deletion.prefix));
      }),
    ),
  );
  return { regions, found };
}

async function mark({ s3, bucket }: BucketPlace, deletion: Deletion): Promise<void> {
  const { homeRegion, recordingId } = deletion;
  if (deletion.state === 'deleted') return;
  await s3.send(
    new PutObjectCommand({
      Bucket: bucket,
      Key: deletionObjectKey(homeRegion, recordingId),
      Body: JSON.stringify(deletion),
      ContentType: 'application/json',
    }),
  );
}

async function putDeletion({ indexFor, homeRegion }: ExpireDependencies, deletion: Deletion): Promise<void> {
  const { table, tableName } = indexFor(homeRegion);
  await table.send(
    new PutCommand({ TableName: tableName, Item: { ...deletionKey(deletion.recordingId), ...deletion } }),
  );
}

/** All items of the recording but its fate; the recording item last, which finds the others. */
async function deleteItems({ indexFor, homeRegion }: ExpireDependencies, recordingId: string): Promise<void> {
  const { table, tableName } = indexFor(homeRegion);
  const { sk: lastSk } = recordingKey(recordingId);
  const items = await readPartition({ table, tableName }, recordingPartition(recordingId), {
    attributes: ['pk', 'sk'],
    consistent: true,
  });
  const keys = (items as unknown as TableKey[]).filter((key) => !isFateKey(key));
  for (const { pk, sk } of keys.toSorted((a, b) => Number(a.sk === lastSk) - Number(b.sk === lastSk)))
    await table.send(new DeleteCommand({ TableName: tableName, Key: { pk, sk } }));
}

async function finish(dependencies: ExpireDependencies, deletion: Deletion): Promise<Attended> {
  const { indexFor, homeRegion, now, times, logger } = dependencies;
  const index = indexFor(homeRegion);
  const { recordingId, tenant, by, why, reason } = deletion;
  const at = now();
  const next = new Date(at.getTime() + times.recheckMs);
  const entry = auditEntry(
    {
      action: 'finishDeletion',
      outcome: 'done',
      by,
      tenant,
      recordingId,
      region: homeRegion,
      detail: `${why}: ${reason}; nothing is left in ${Object.keys(deletion.regions).join(', ')}`,
    },
    at,
  );
  const refused = await writeTogether(index, [
    {
      Put: {
        TableName: index.tableName,
        Item: {
          ...deletionKey(recordingId),
          ...deletion,
          state: 'deleted',
          deletedAt: at.toISOString(),
        } satisfies Deletion & TableKey,
        ConditionExpression: '#state = :begun',
        ExpressionAttributeNames: { '#state': 'state' },
        ExpressionAttributeValues: { ':begun': 'begun' },
      },
    },
    auditWrite(index, entry),
    {
      Put: {
        TableName: index.tableName,
        Item: dueItem(homeRegion, { kind: 'recording', recordingId }, next),
      },
    },
  ]);
  if (refused.length === 0) logAudit(logger, entry);
  return { outcome: 'deleted', next };
}

/** The marks go when nothing is left that could be brought back by a rebuild; the tombstone in the index stays. */
async function recheck(
  dependencies: ExpireDependencies,
  deletion: Deletion,
  leftovers: number,
): Promise<Attended> {
  const { homeRegion, recordingId, regions } = deletion;
  const { now, logger } = dependencies;
  if (leftovers > 0) logger.warn('found after the deletion, and deleted', { recordingId, leftovers });
  for (const region of Object.keys(regions))
    await deleteAllVersions(bucketOf(dependencies, region), deletionObjectKey(homeRegion, recordingId));
  await putDeletion(dependencies, { ...deletion, recheckedAt: now().toISOString() });
  return { outcome: 'rechecked', leftovers };
}
