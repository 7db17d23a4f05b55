/** The index is lost: holds, and deletions that are under way, come back with it from the buckets. */
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { GetCommand } from '@aws-sdk/lib-dynamodb';
import { deletionKey } from '../../../core/fate-items.ts';
import { recordingKey } from '../../../core/index-items.ts';
import { rebuildIndex } from '../../../functions/index-recording/rebuild.ts';
import { UnreadableFateError } from '../../../functions/index-recording/restore-fates.ts';
import { requestDeletion } from '../../../functions/query-api/deletions.ts';
import { holdCall, holdRecording, releaseRecording } from '../../../functions/query-api/holds.ts';
import {
  createIndexTable,
  EMULATOR_START_TIMEOUT_MS,
  startTestEmulator,
  type TestEmulator,
} from '../../helpers/emulator.ts';
import { recordingIdAt } from '../../helpers/manifest.ts';
import { DAY_MS, HOME, OFFICER, REGIONS, START, type Stage, setUpStage, TARGET } from './stage.ts';

let emulator: TestEmulator;
beforeAll(async () => {
  emulator = await startTestEmulator();
}, EMULATOR_START_TIMEOUT_MS);
afterAll(() => emulator.stop());

const order = { holdId: 'matter-1', reason: 'litigation' };

/** Another table, empty, which all use from now on. */
async function loseIndex(stage: Stage): Promise<void> {
  const tableName = `${stage.tableName}-new`;
  await createIndexTable(emulator.dynamo(HOME), tableName);
  const index = { table: emulator.documents(HOME), tableName };
  stage.expire.indexFor = () => index; // in every region, as a global table
}

const itemOf = (stage: Stage, Key: { pk: string; sk: string }) =>
  new GetCommand({ TableName: stage.expire.indexFor(HOME).tableName, Key });
const deletionOf = (stage: Stage, recordingId: string) => itemOf(stage, deletionKey(recordingId));
const recordingOf = (stage: Stage, recordingId: string) => itemOf(stage, recordingKey(recordingId));

const rebuild = (stage: Stage, region: string) =>
  rebuildIndex(
    { s3: emulator.s3(region), ...stage.expire.indexFor(HOME) },
    { bucket: stage.bucketIn(region), region, parallel: 4 },
  );

/** A run of the other region's function, which keeps the holds in its own bucket. */
async function runInTarget(stage: Stage): Promise<void> {
  const { homeRegion } = stage.expire;
  stage.expire.homeRegion = TARGET;
  await stage.run();
  stage.expire.homeRegion = homeRegion;
}

it.each(REGIONS)(
  'holds come back from the bucket of %s, released ones too, before any recording',
  async (region) => {
    const stage = await setUpStage(emulator, { retention: { days: 30 } });
    const given = (random: number, callId: string) => ({
      startedAt: '2026-10-01T10:00:00.000Z',
      recordingId: recordingIdAt('2026-10-01T10:00:00.000Z', () => random),
      call: { callId, correlationIds: [callId] },
    });
    const held = await stage.record(given(0.1, 'a'));
    const released = await stage.record(given(0.3, 'b'));
    const ofCall = await stage.record(given(0.5, 'c'));
    for (const { manifest } of [held, released])
      await holdRecording(stage.api(HOME), OFFICER, manifest.recordingId, order);
    await holdCall(stage.api(HOME), OFFICER, 'c', order);
    stage.clock.now += 10;
    await releaseRecording(stage.api(HOME), OFFICER, released.manifest.recordingId, order);
    await runInTarget(stage);
    for (const [name, kept] of [
      [HOME, 0],
      [TARGET, 4],
    ] as const)
      expect(await stage.versions(name, 'holds/')).toHaveLength(kept);
    if (region === HOME) {
      const { retention } = stage.expire;
      stage.expire.retention = { days: 3650 }; // only the holds are attended to
      await stage.run();
      stage.expire.retention = retention;
      expect(await stage.versions(HOME, 'holds/')).toHaveLength(4);
    }

    await loseIndex(stage);
    expect(await rebuild(stage, region)).toMatchObject({ restored: 3, fates: 4, deleted: 0 });
    stage.clock.now = Date.now() + DAY_MS; // what the rebuild made due is due by its own clock
    expect(await stage.run()).toMatchObject({ begun: 1, held: 2 });
    for (const { manifest, expected } of [
      { ...held, expected: undefined },
      { ...ofCall, expected: undefined },
      { ...released, expected: 'deleted' },
    ])
      expect(
        (await stage.expire.indexFor(HOME).table.send(deletionOf(stage, manifest.recordingId))).Item?.state,
      ).toBe(expected);
  },
);

it('a deletion under way is gone on with, whichever bucket is read first', async () => {
  for (const order of [REGIONS, REGIONS.toReversed()]) {
    const stage = await setUpStage(emulator);
    const recording = await stage.record({ recordingId: recordingIdAt(START) });
    const { recordingId } = recording.manifest;
    await requestDeletion(stage.api(HOME), OFFICER, recordingId, 'x');
    stage.clock.now += 61_000;
    const { s3For } = stage.expire;
    const away = emulator.s3('eu-west-1');
    stage.expire.s3For = (region) => (region === TARGET ? away : s3For(region));
    expect(await stage.run()).toMatchObject({ begun: 1, open: 1 });
    stage.expire.s3For = s3For;
    await loseIndex(stage);
    const outcomes = [];
    for (const region of order) outcomes.push(await rebuild(stage, region));
    expect(outcomes.map(({ fates }) => fates).toSorted()).toEqual([0, 1]);
    stage.clock.now = Date.now() + DAY_MS;
    expect(await stage.run()).toMatchObject({ deleted: 1 });
    for (const region of REGIONS) expect(await stage.versions(region)).toEqual([]);
    const { table } = stage.expire.indexFor(HOME);
    expect((await table.send(deletionOf(stage, recordingId))).Item).toMatchObject({ state: 'deleted' });
    expect((await table.send(recordingOf(stage, recordingId))).Item).toBeUndefined();
  }
});

it('a rebuild stops at a hold that it cannot read, and brings nothing back without it', async () => {
  const stage = await setUpStage(emulator);
  const { manifest } = await stage.record();
  const Key = `holds/recordings/${manifest.recordingId}/matter-1.set.json`;
  await emulator.s3(HOME).send(new PutObjectCommand({ Bucket: stage.bucketIn(HOME), Key, Body: '{}' }));
  await loseIndex(stage);
  await expect(rebuild(stage, HOME)).rejects.toThrow(UnreadableFateError);
  const { table } = stage.expire.indexFor(HOME);
  expect((await table.send(recordingOf(stage, manifest.recordingId))).Item).toBeUndefined();
});
