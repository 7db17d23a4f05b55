/** Buckets with Object Lock: what S3 itself refuses, and that deletion, expiry and holds agree with it. */
import {
  DeleteObjectCommand,
  HeadObjectCommand,
  PutObjectLegalHoldCommand,
  PutObjectRetentionCommand,
} from '@aws-sdk/client-s3';
import { PutCommand } from '@aws-sdk/lib-dynamodb';
import { dueItem, requestKey } from '../../../core/fate-items.ts';
import {
  holdCall,
  holdRecording,
  releaseCall,
  releaseRecording,
} from '../../../functions/query-api/holds.ts';
import { protectionOf } from '../../../functions/replicate-recording/protection.ts';
import { EMULATOR_START_TIMEOUT_MS, startTestEmulator, type TestEmulator } from '../../helpers/emulator.ts';
import type { StoredRecording } from '../../helpers/stored-recording.ts';
import { HOME, OFFICER, REGIONS, type Stage, setUpStage, TARGET } from './stage.ts';

let emulator: TestEmulator;
beforeAll(async () => {
  emulator = await startTestEmulator();
}, EMULATOR_START_TIMEOUT_MS);
afterAll(() => emulator.stop());

const order = { holdId: 'matter-1', reason: 'litigation' };
const retention = { days: 30, objectLock: 'governance' as const };

/** S3's clock is the machine's: recordings of this file begin by it. */
const daysAgo = (days: number): string => new Date(Date.now() - days * 86_400_000).toISOString();

const idOf = ({ manifest }: StoredRecording): string => manifest.recordingId;

async function lock(stage: Stage, region: string, { keys }: StoredRecording, until: Date): Promise<void> {
  for (const Key of keys)
    await emulator.s3(region).send(
      new PutObjectRetentionCommand({
        Bucket: stage.bucketIn(region),
        Key,
        Retention: { Mode: 'GOVERNANCE', RetainUntilDate: until },
      }),
    );
}

const legalHolds = (stage: Stage, region: string, { keys }: StoredRecording) =>
  Promise.all(
    keys.map(async (Key) => {
      const head = await emulator
        .s3(region)
        .send(new HeadObjectCommand({ Bucket: stage.bucketIn(region), Key }));
      return head.ObjectLockLegalHoldStatus;
    }),
  );

it('sets the legal hold of S3 on every object of every copy, and lifts it with the last hold', async () => {
  const stage = await setUpStage(emulator, { retention });
  const recording = await stage.record({ startedAt: daysAgo(1) });
  stage.clock.now = Date.now();
  await holdRecording(stage.api(TARGET), OFFICER, idOf(recording), order);
  await holdRecording(stage.api(HOME), OFFICER, idOf(recording), { ...order, holdId: 'matter-2' });
  await stage.run();
  for (const region of REGIONS) {
    expect(await legalHolds(stage, region, recording)).toEqual(['ON', 'ON', 'ON']);
    const { VersionId } = await emulator
      .s3(region)
      .send(new HeadObjectCommand({ Bucket: stage.bucketIn(region), Key: recording.key }));
    await expect(
      emulator
        .s3(region)
        .send(new DeleteObjectCommand({ Bucket: stage.bucketIn(region), Key: recording.key, VersionId })),
    ).rejects.toThrow(/object lock/i);
  }
  stage.clock.now += 1_000;
  await releaseRecording(stage.api(HOME), OFFICER, idOf(recording), order);
  await stage.run();
  expect(await legalHolds(stage, HOME, recording)).toEqual(['ON', 'ON', 'ON']);
  stage.clock.now += 1_000;
  await releaseRecording(stage.api(HOME), OFFICER, idOf(recording), { ...order, holdId: 'matter-2' });
  await stage.run();
  for (const region of REGIONS)
    expect(await legalHolds(stage, region, recording)).toEqual(['OFF', 'OFF', 'OFF']);
});

it('gives a copy that is made later the lock and the holds of its recording and its call', async () => {
  const stage = await setUpStage(emulator, { retention });
  const recording = await stage.record({ startedAt: daysAgo(1) });
  const { manifest } = recording;
  const protection = () => protectionOf(stage.expire.indexFor(HOME), retention, manifest, new Date());
  const retainUntil = new Date(Date.parse(manifest.startedAt) + 30 * 86_400_000);
  expect(await protection()).toEqual({ mode: 'GOVERNANCE', retainUntil, legalHold: false });
  await holdCall(stage.api(TARGET), OFFICER, manifest.call.correlationIds[1] as string, order);
  expect(await protection()).toMatchObject({ legalHold: true });
  await releaseCall(stage.api(HOME), OFFICER, manifest.call.correlationIds[1] as string, order);
  await holdRecording(stage.api(HOME), OFFICER, idOf(recording), order);
  expect(await protection()).toMatchObject({ legalHold: true });
});

it('tries again when a region did not take it', async () => {
  const stage = await setUpStage(emulator, { retention });
  const recording = await stage.record({ startedAt: daysAgo(1) });
  stage.clock.now = Date.now();
  await holdRecording(stage.api(HOME), OFFICER, idOf(recording), order);
  const { s3For } = stage.expire;
  const away = emulator.s3('eu-west-1');
  stage.expire.s3For = (region) => (region === TARGET ? away : s3For(region));
  expect(await stage.run()).toMatchObject({ failed: 1 });
  stage.expire.s3For = s3For;
  stage.clock.now += 301_000;
  expect(await stage.run()).toMatchObject({ failed: 0 });
  for (const region of REGIONS)
    expect(await legalHolds(stage, region, recording)).toEqual(['ON', 'ON', 'ON']);
});

it('does not begin before S3 would let it: the date of the objects counts, not only that of the policy', async () => {
  const stage = await setUpStage(emulator, { retention });
  const recording = await stage.record({ startedAt: daysAgo(40) }); // past the policy of today
  const until = new Date(Date.now() + 86_400_000);
  for (const region of REGIONS) await lock(stage, region, recording, until); // by that of then
  stage.clock.now = Date.now();
  expect(await stage.run()).toMatchObject({ begun: 0, held: 1 });
  const { table, tableName } = stage.expire.indexFor(HOME);
  const request = { requestId: 'r1', by: 'officer', at: daysAgo(1), reason: 'x', region: HOME };
  await table.send(
    new PutCommand({ TableName: tableName, Item: { ...requestKey(idOf(recording), 'r1'), ...request } }),
  );
  const subject = { kind: 'recording', recordingId: idOf(recording) } as const;
  await table.send(
    new PutCommand({ TableName: tableName, Item: dueItem(HOME, subject, new Date(stage.clock.now)) }),
  );
  stage.clock.now += 1_000;
  expect(await stage.run()).toMatchObject({ begun: 0, held: 1 });
  for (const region of REGIONS)
    expect((await stage.versions(region)).sort()).toEqual(recording.keys.toSorted());
  expect((await stage.fate(idOf(recording))).deletion).toBeUndefined();
});

it('takes a legal hold that somebody set in S3 itself for what it is', async () => {
  const stage = await setUpStage(emulator, { retention });
  const recording = await stage.record({ startedAt: daysAgo(40) });
  await emulator.s3(HOME).send(
    new PutObjectLegalHoldCommand({
      Bucket: stage.bucketIn(HOME),
      Key: recording.key,
      LegalHold: { Status: 'ON' },
    }),
  );
  stage.clock.now = Date.now();
  expect(await stage.run()).toMatchObject({ begun: 0, held: 1 });
  expect((await legalHolds(stage, HOME, recording)).at(-1)).toBe('ON');
});

it('stays open while S3 refuses, and ends when it does not: a copy may be locked longer than its original', async () => {
  const stage = await setUpStage(emulator, { retention });
  const recording = await stage.record({ startedAt: daysAgo(40) });
  const until = new Date(Date.now() + 3_000);
  await lock(stage, TARGET, recording, until);
  stage.clock.now = Date.now();
  expect(await stage.run()).toMatchObject({ begun: 1, open: 1, deleted: 0 });
  expect((await stage.fate(idOf(recording))).deletion?.regions[TARGET]).toMatchObject({
    state: 'open',
    trouble: expect.stringMatching(/object lock/i),
  });
  expect(await stage.versions(HOME)).toEqual([]);
  // S3 unlocks them by its own clock.
  const { eventually } = await import('../../e2e/eventually.ts');
  await eventually('the end of the lock', async () => {
    stage.clock.now += 301_000;
    return (await stage.run()).deleted || undefined;
  });
  expect(await stage.versions(TARGET)).toEqual([]);
});
