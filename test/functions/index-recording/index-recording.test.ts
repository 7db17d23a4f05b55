import {
  CreateBucketCommand,
  DeleteObjectCommand,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { CreateQueueCommand, ReceiveMessageCommand, type SQSClient } from '@aws-sdk/client-sqs';
import { type DynamoDBDocumentClient, PutCommand, paginateQuery } from '@aws-sdk/lib-dynamodb';
import { entryItems } from '../../../core/index-entries.ts';
import { homeCopyItem, recordingItem, recordingPartition, type TableKey } from '../../../core/index-items.ts';
import { InvalidManifestError, type Manifest } from '../../../core/manifest.ts';
import { rulesOf } from '../../../core/replication-rules.ts';
import { indexManifest } from '../../../functions/index-recording/index-recording.ts';
import { writeItems } from '../../../functions/index-recording/write-items.ts';
import { seededRandom } from '../../fixtures/mutate.ts';
import {
  createIndexTable,
  EMULATOR_START_TIMEOUT_MS,
  putManifest,
  startTestEmulator,
  type TestEmulator,
} from '../../helpers/emulator.ts';
import { makeManifest } from '../../helpers/manifest.ts';
import { NIGHTLY, ruleTo } from '../../helpers/replication-rules.ts';

const REGION = 'us-east-1';
const BUCKET = 'recordings';
const TABLE = 'index';

let emulator: TestEmulator;
let s3: S3Client;
let table: DynamoDBDocumentClient;

beforeAll(async () => {
  emulator = await startTestEmulator();
  s3 = emulator.s3(REGION);
  table = emulator.documents(REGION);
  await s3.send(new CreateBucketCommand({ Bucket: BUCKET }));
  await createIndexTable(emulator.dynamo(REGION), TABLE);
}, EMULATOR_START_TIMEOUT_MS);
afterAll(() => emulator.stop());

const index = async (key: string) =>
  (await indexManifest({ s3, table, tableName: TABLE }, { bucket: BUCKET, key })).outcome;

/** Items of one recording, as plain data without what is undefined, in order of sort key. */
async function itemsOf(recordingId: string): Promise<unknown[]> {
  const items: TableKey[] = [];
  const pages = paginateQuery(
    { client: table },
    {
      TableName: TABLE,
      KeyConditionExpression: 'pk = :pk',
      ExpressionAttributeValues: { ':pk': recordingPartition(recordingId) },
      ConsistentRead: true,
    },
  );
  for await (const { Items = [] } of pages) items.push(...(Items as TableKey[]));
  return items;
}

/** All items of a manifest, as they should be. */
const itemsWanted = (manifest: Manifest): unknown[] =>
  [homeCopyItem(manifest, BUCKET), ...entryItems(recordingItem(manifest)), recordingItem(manifest)]
    .toSorted((a, b) => (a.sk < b.sk ? -1 : 1))
    .map(plain);

/** Revisions of one recording, each with a party, a status and a group of its own. */
function revisionsOf(count: number): Manifest[] {
  const { recordingId } = makeManifest();
  const statuses = ['partial', 'recovered', 'partial', 'complete'] as const;
  return Array.from({ length: count }, (_, index) =>
    makeManifest({
      recordingId,
      revision: index + 1,
      status: statuses[index] ?? 'complete',
      participants: [
        { id: 'p', aors: [], names: [], number: `+1214555010${index}`, streamLabels: [] },
        { id: 'all', aors: ['sip:all@example.com'], names: [], streamLabels: [] },
      ],
      broadWorks: { groupId: `group-${index}` },
    }),
  );
}

const isIn = (manifest: Manifest, { sk }: TableKey): boolean =>
  entryItems(recordingItem(manifest)).some((entry) => entry.sk === sk);

function shuffled<Item>(items: Item[], random: () => number): Item[] {
  return items
    .map((item) => ({ item, at: random() }))
    .toSorted((one, other) => one.at - other.at)
    .map(({ item }) => item);
}

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe('indexManifest', () => {
  it('writes the recording, its home copy and an entry for each key', async () => {
    const manifest = makeManifest();
    expect(await index(await putManifest(s3, BUCKET, manifest))).toBe('indexed');
    expect(await itemsOf(manifest.recordingId)).toEqual(itemsWanted(manifest));
  });

  it('takes an event twice', async () => {
    const manifest = makeManifest();
    const key = await putManifest(s3, BUCKET, manifest);
    expect(await index(key)).toBe('indexed');
    const first = await itemsOf(manifest.recordingId);
    expect(await index(key)).toBe('alreadyIndexed');
    expect(await itemsOf(manifest.recordingId)).toEqual(first);
  });

  it('lets a newer revision replace an older one, and not the other way round', async () => {
    const first = makeManifest({ status: 'partial', statusReasons: ['no-media'], revision: 1 });
    const second = { ...makeManifest({ recordingId: first.recordingId }), revision: 2 };
    const itemsNow = () => itemsOf(first.recordingId);
    const wanted = itemsWanted(second);

    expect(await index(await putManifest(s3, BUCKET, first))).toBe('indexed');
    expect(await index(await putManifest(s3, BUCKET, second))).toBe('indexed');
    expect(await itemsNow()).toEqual(wanted);
    expect(await index(await putManifest(s3, BUCKET, first))).toBe('alreadyIndexed');
    expect(await itemsNow()).toEqual(wanted);
  });

  it('removes what a newer revision no longer has, in whatever order and however often they come', async () => {
    for (const seed of [1, 2, 3]) {
      const random = seededRandom(seed);
      const revisions = revisionsOf(4);
      const newest = revisions.at(-1) as Manifest;
      const writes = shuffled([...revisions, ...revisions, ...revisions], random).map((manifest) =>
        writeItems({ table, tableName: TABLE }, manifest, homeCopyItem(manifest, BUCKET)),
      );
      await Promise.all(writes);
      expect(await itemsOf(newest.recordingId)).toEqual(itemsWanted(newest));
    }
  });

  it('completes what a writer that died left behind, before and after the recording item', async () => {
    const [first, second] = revisionsOf(2) as [Manifest, Manifest];
    const put = (Item: object) => table.send(new PutCommand({ TableName: TABLE, Item }));
    // Died among the entries of its first revision.
    for (const entry of entryItems(recordingItem(first)).slice(0, 3)) await put(entry);
    expect(await index(await putManifest(s3, BUCKET, second))).toBe('indexed');
    expect(await itemsOf(second.recordingId)).toEqual(itemsWanted(second));
    // Died between the recording item and the removal, or wrote an entry late.
    for (const entry of entryItems(recordingItem(first))) if (!isIn(second, entry)) await put(entry);
    expect(await itemsOf(second.recordingId)).not.toEqual(itemsWanted(second));
    expect(await index(await putManifest(s3, BUCKET, second))).toBe('alreadyIndexed');
    expect(await itemsOf(second.recordingId)).toEqual(itemsWanted(second));
  });

  it('indexes a conference of 500', async () => {
    const participants = Array.from({ length: 500 }, (_, index) => ({
      id: `p${index}`,
      aors: [`sip:p${index}@example.com`],
      names: [],
      number: `+1214555${String(index).padStart(4, '0')}`,
      streamLabels: [],
    }));
    const manifest = makeManifest({ participants });
    expect(await index(await putManifest(s3, BUCKET, manifest))).toBe('indexed');
    expect(await itemsOf(manifest.recordingId)).toEqual(itemsWanted(manifest));
  });

  it('indexes once when the same event is worked on many times at once', async () => {
    const manifest = makeManifest();
    const key = await putManifest(s3, BUCKET, manifest);
    const outcomes = await Promise.all(Array.from({ length: 8 }, () => index(key)));
    expect(outcomes.filter((outcome) => outcome === 'indexed')).toHaveLength(1);
    expect(await itemsOf(manifest.recordingId)).toEqual(itemsWanted(manifest));
  });

  it('passes over what is no manifest', async () => {
    expect(await index('rec/us-east-1/2026/11/23/01KAR7V0000000000000000000/audio.wav')).toBe('foreign');
    expect(await index('manifest.json')).toBe('foreign');
  });

  it('passes over a manifest that was deleted since', async () => {
    const manifest = makeManifest();
    const key = await putManifest(s3, BUCKET, manifest);
    await s3.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: key }));
    expect(await index(key)).toBe('gone');
    expect(await itemsOf(manifest.recordingId)).toEqual([]);
  });

  it('refuses a manifest of a version that it does not know', async () => {
    const manifest = makeManifest();
    const key = await putManifest(s3, BUCKET, { ...manifest, manifestVersion: 2 as 1 });
    await expect(index(key)).rejects.toThrow(InvalidManifestError);
    await expect(index(key)).rejects.toMatchObject({ key, message: expect.stringContaining('version') });
    expect(await itemsOf(manifest.recordingId)).toEqual([]);
  });

  it.each([
    ['recording', { recordingId: makeManifest().recordingId }],
    ['region', { homeRegion: 'us-west-2' }],
    ['day', { startedAt: '2026-11-24T00:00:00.000Z', endedAt: '2026-11-24T00:01:00.000Z' }],
  ])('refuses a manifest that says another %s than its key', async (_, other) => {
    const manifest = makeManifest();
    const key = await putManifest(s3, BUCKET, manifest);
    const liar = { ...manifest, ...other };
    await s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body: JSON.stringify(liar) }));
    await expect(index(key)).rejects.toThrow(
      expect.objectContaining({
        name: InvalidManifestError.name,
        key,
        message: expect.stringContaining(key),
      }),
    );
    expect(await itemsOf(manifest.recordingId)).toEqual([]);
    expect(await itemsOf(liar.recordingId)).toEqual([]);
  });

  it('lets a failure of S3 or DynamoDB through, so that the message is tried again', async () => {
    const key = await putManifest(s3, BUCKET, makeManifest());
    const object = { bucket: BUCKET, key };
    await expect(indexManifest({ s3, table, tableName: 'no-table' }, object)).rejects.toMatchObject({
      name: 'ResourceNotFoundException',
    });
    await expect(
      indexManifest({ s3, table, tableName: TABLE }, { ...object, bucket: 'no-bucket' }),
    ).rejects.toMatchObject({ name: 'NoSuchBucket' });
  });
});

describe('copy jobs', () => {
  const receive = async (sqs: SQSClient, QueueUrl: string | undefined) => {
    const { Messages = [] } = await sqs.send(
      new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 10, VisibilityTimeout: 600 }),
    );
    return Messages.map(({ Body = '' }) => JSON.parse(Body));
  };

  it('are sent for every target, again when the event comes again, and not for what is not indexed', async () => {
    const sqs = emulator.sqs(REGION);
    const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: 'jobs' }));
    const targets = Array.from({ length: 11 }, (_, index) => `eu-west-${index}`); // more than SQS takes at once
    const copies = { queue: { sqs, queueUrl: QueueUrl as string }, rules: targets.map((to) => ruleTo(to)) };
    const index = async (key: string) =>
      (await indexManifest({ s3, table, tableName: TABLE, copies }, { bucket: BUCKET, key })).outcome;
    const manifest = makeManifest();
    const key = await putManifest(s3, BUCKET, manifest);
    for (const outcome of ['indexed', 'alreadyIndexed']) {
      expect(await index(key)).toBe(outcome);
      const jobs = [...(await receive(sqs, QueueUrl)), ...(await receive(sqs, QueueUrl))];
      expect(jobs).toHaveLength(targets.length);
      expect(jobs).toEqual(expect.arrayContaining(targets.map((target) => ({ key, target }))));
    }
    await s3.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: key }));
    expect(await index(key)).toBe('gone');
    expect(await index('rec/other')).toBe('foreign');
    expect(await receive(sqs, QueueUrl)).toEqual([]);
  });

  it('are sent for a window that is open, and for what fits the filters; by priority', async () => {
    const sqs = emulator.sqs(REGION);
    const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: 'ruled-jobs' }));
    const { replication } = {
      replication: [
        ruleTo('eu-west-1', NIGHTLY),
        ruleTo('eu-west-2', { filters: { tenants: ['other'] } }),
        ruleTo('eu-west-3', { filters: { tenants: ['acme'], minDurationMs: 60_000 }, priority: 1 }),
        ruleTo('eu-west-4', { ...NIGHTLY, filters: { directions: ['outgoing'] } }),
      ].map((rule) => ({ from: REGION, ...rule })),
    };
    const copies = {
      queue: { sqs, queueUrl: QueueUrl as string },
      rules: rulesOf({ replication }, REGION),
    };
    const key = await putManifest(s3, BUCKET, makeManifest());
    const targetsAt = async (time: string) => {
      const now = () => new Date(`2026-11-25T${time}Z`);
      await indexManifest({ s3, table, tableName: TABLE, copies, now }, { bucket: BUCKET, key });
      return (await receive(sqs, QueueUrl)).map(({ target }) => target);
    };
    expect(await targetsAt('21:59:59')).toEqual(['eu-west-3']);
    expect(await targetsAt('22:00:00')).toEqual(['eu-west-3', 'eu-west-1']);
    expect(await targetsAt('06:00:00')).toEqual(['eu-west-3']);
  });

  it('that cannot be sent leave the recording indexed, and the event is tried again', async () => {
    const sqs = emulator.sqs(REGION);
    const copies = {
      queue: { sqs, queueUrl: `${emulator.endpoint}/000000000000/none` },
      rules: [ruleTo('us-west-2')],
    };
    const manifest = makeManifest();
    const key = await putManifest(s3, BUCKET, manifest);
    const dependencies = { s3, table, tableName: TABLE, copies };
    await expect(indexManifest(dependencies, { bucket: BUCKET, key })).rejects.toMatchObject({
      name: expect.stringContaining('QueueDoesNotExist'),
    });
    expect(await itemsOf(manifest.recordingId)).toHaveLength(2 + entryItems(recordingItem(manifest)).length);
  });
});
