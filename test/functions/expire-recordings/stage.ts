/** Two regions with versioned buckets and the index, and all functions that have to do with a recording's life and end. */
import {
  CreateBucketCommand,
  ListObjectVersionsCommand,
  PutBucketVersioningCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { type DynamoDBDocumentClient, PutCommand, QueryCommand, ScanCommand } from '@aws-sdk/lib-dynamodb';
import type { Caller } from '../../../core/access.ts';
import { type AuditEntry, auditEntrySchema } from '../../../core/audit-items.ts';
import type { Fate } from '../../../core/fate-items.ts';
import { recordingPartition } from '../../../core/index-items.ts';
import type { Manifest } from '../../../core/manifest.ts';
import type { Retention } from '../../../core/retention.ts';
import type { ExpireDependencies } from '../../../functions/expire-recordings/dependencies.ts';
import { type ExpireRun, expireRecordings } from '../../../functions/expire-recordings/expire-recordings.ts';
import { indexManifest } from '../../../functions/index-recording/index-recording.ts';
import type { FateDependencies } from '../../../functions/query-api/fate-access.ts';
import { protectionOf } from '../../../functions/replicate-recording/protection.ts';
import { replicateRecording } from '../../../functions/replicate-recording/replicate-recording.ts';
import { recordingFate } from '../../../functions/shared/fates.ts';
import { replicateTable } from '../../../local/cloud/global-table.ts';
import { createIndexTable, type TestEmulator } from '../../helpers/emulator.ts';
import { ruleTo } from '../../helpers/replication-rules.ts';
import { type StoredRecording, storeRecording } from '../../helpers/stored-recording.ts';

export const HOME = 'us-east-1';
export const TARGET = 'us-west-2';
export const REGIONS = [HOME, TARGET];
export const DAY_MS = 86_400_000;

/** When the recordings of these tests start. */
export const START = '2026-11-23T10:00:00.000Z';

export const OFFICER: Caller = { id: 'officer', tenants: 'all', roles: ['hold', 'delete'] };

export interface Stage {
  /** What every function takes for the time. */
  clock: { now: number };
  tableName: string;
  bucketIn: (region: string) => string;
  expire: ExpireDependencies;
  /** The API in a region. */
  api: (region: string) => FateDependencies;
  /** One run of the home region's function. */
  run: () => Promise<ExpireRun>;
  /** Uploaded, indexed, and copied. */
  record: (given?: Partial<Manifest>) => Promise<StoredRecording>;
  index: (recording: StoredRecording, region?: string) => Promise<string>;
  replicate: (recording: StoredRecording) => Promise<string>;
  /** Keys of all versions and delete markers in a bucket; below `rec/` unless told. */
  versions: (region: string, prefix?: string) => Promise<string[]>;
  fate: (recordingId: string, region?: string) => Promise<Fate>;
  /** Sort keys of a recording's items but its fate. */
  items: (recordingId: string) => Promise<string[]>;
  audit: () => Promise<AuditEntry[]>;
  /** Takes the items of one region's table to the other, where these are not replicas of each other. */
  carry: (from: string, to: string, pk: string) => Promise<void>;
}

export interface StageOptions {
  retention?: Retention;
  /** The regions' tables hear of each other only by `carry`, as if replication were slow. */
  isolated?: boolean;
}

let stages = 0;

export async function setUpStage(
  emulator: TestEmulator,
  { retention = { days: 100 }, isolated = false }: StageOptions = {},
): Promise<Stage> {
  stages += 1;
  const tableName = `index-${stages}`;
  const bucketIn = (region: string) => `stage-${stages}-${region}`;
  const s3 = byRegion((region) => emulator.s3(region));
  const tables = byRegion((region) => emulator.documents(region));
  for (const region of REGIONS) await createBucket(s3(region), bucketIn(region), retention);
  for (const region of isolated ? REGIONS : [HOME])
    await createIndexTable(emulator.dynamo(region), tableName);
  const { endpoint, credentials } = emulator;
  if (!isolated) await replicateTable({ endpoint, credentials, tableName, regions: REGIONS });

  const clock = { now: Date.parse(START) + 60_000 };
  const now = () => new Date(clock.now);
  const silent = { info() {}, warn() {}, error() {} };
  const indexFor = (region: string) => ({ table: tables(region), tableName });
  const expire: ExpireDependencies = {
    homeRegion: HOME,
    buckets: Object.fromEntries(REGIONS.map((region) => [region, bucketIn(region)])),
    s3For: s3,
    indexFor,
    retention,
    logger: silent,
    now,
    times: {
      announceMs: 100,
      announcePollMs: 10,
      retryMs: 300_000,
      recheckMs: 1_800_000,
      roundMs: 3_600_000,
    },
  };
  const index = async (recording: StoredRecording, region = HOME) => {
    const object = { bucket: bucketIn(region), key: recording.key };
    return (await indexManifest({ s3: s3(region), ...indexFor(region) }, object)).outcome;
  };
  const place = (region: string) => ({ bucket: bucketIn(region), kmsKeyId: 'key' });
  const replicate = async ({ key }: StoredRecording) => {
    const places = Object.fromEntries(REGIONS.map((region) => [region, place(region)]));
    const dependencies = {
      s3For: s3,
      ...indexFor(HOME),
      homeRegion: HOME,
      places,
      rules: [ruleTo(TARGET)],
      now,
      ...(retention.objectLock && {
        protectionOf: (manifest: Manifest) => protectionOf(indexFor(HOME), retention, manifest, new Date()),
      }),
    };
    return (await replicateRecording(dependencies, { key, target: TARGET })).outcome;
  };
  return {
    clock,
    tableName,
    bucketIn,
    expire,
    api: (region) => ({ index: indexFor(region), region, regions: REGIONS, retention, logger: silent, now }),
    run: () => expireRecordings(expire, { parallel: 10, isOutOfTime: () => false }),
    async record(given = {}) {
      const stored = await storeRecording(s3(HOME), bucketIn(HOME), {}, { startedAt: START, ...given });
      await index(stored);
      await replicate(stored);
      return stored;
    },
    index,
    replicate,
    async versions(region, prefix = 'rec/') {
      const { Versions = [], DeleteMarkers = [] } = await s3(region).send(
        new ListObjectVersionsCommand({ Bucket: bucketIn(region), Prefix: prefix }),
      );
      return [...Versions, ...DeleteMarkers].map(({ Key = '' }) => Key);
    },
    fate: (recordingId, region = HOME) => recordingFate(indexFor(region), recordingId),
    async items(recordingId) {
      const found = await itemsOf(tables(HOME), tableName, recordingPartition(recordingId));
      return found.map(({ sk }) => String(sk)).filter((sk) => !sk.startsWith('FATE#'));
    },
    async audit() {
      const { Items = [] } = await tables(HOME).send(new ScanCommand({ TableName: tableName }));
      return Items.filter(({ pk }) => String(pk).startsWith('AUDIT#'))
        .toSorted((a, b) => (String(a.sk) < String(b.sk) ? -1 : 1))
        .map((item) => auditEntrySchema.parse(item));
    },
    async carry(from, to, pk) {
      for (const Item of await itemsOf(tables(from), tableName, pk))
        await tables(to).send(new PutCommand({ TableName: tableName, Item }));
    },
  };
}

function byRegion<T>(make: (region: string) => T): (region: string) => T {
  const made = new Map<string, T>();
  return (region) => {
    const known = made.get(region) ?? make(region);
    made.set(region, known);
    return known;
  };
}

async function createBucket(s3: S3Client, Bucket: string, { objectLock }: Retention): Promise<void> {
  await s3.send(new CreateBucketCommand({ Bucket, ObjectLockEnabledForBucket: Boolean(objectLock) }));
  await s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: 'Enabled' } }));
}

async function itemsOf(
  table: DynamoDBDocumentClient,
  TableName: string,
  pk: string,
): Promise<Record<string, unknown>[]> {
  const { Items = [] } = await table.send(
    new QueryCommand({
      TableName,
      KeyConditionExpression: 'pk = :pk',
      ExpressionAttributeValues: { ':pk': pk },
      ConsistentRead: true,
    }),
  );
  return Items;
}
