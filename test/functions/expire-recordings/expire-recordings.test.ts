/** Deletion by request and by age, with copies, holds, races and outages, on real buckets and tables. */
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { DeleteCommand } from '@aws-sdk/lib-dynamodb';
import { duePartition } from '../../../core/fate-items.ts';
import { recordingPartition } from '../../../core/index-items.ts';
import { requestDeletion } from '../../../functions/query-api/deletions.ts';
import {
  DeletionBegunError,
  holdCall,
  holdRecording,
  releaseCall,
  releaseRecording,
} from '../../../functions/query-api/holds.ts';
import { EMULATOR_START_TIMEOUT_MS, startTestEmulator, type TestEmulator } from '../../helpers/emulator.ts';
import { recordingIdAt } from '../../helpers/manifest.ts';
import { type StoredRecording, storeRecording } from '../../helpers/stored-recording.ts';
import { DAY_MS, HOME, OFFICER, REGIONS, START, type Stage, setUpStage, TARGET } from './stage.ts';

let emulator: TestEmulator;
beforeAll(async () => {
  emulator = await startTestEmulator();
}, EMULATOR_START_TIMEOUT_MS);
afterAll(() => emulator.stop());

const idOf = ({ manifest }: StoredRecording): string => manifest.recordingId;
const order = { holdId: 'matter-1', reason: 'litigation' };
const startingAt = (startedAt: string, random = 0.5) => ({
  startedAt,
  recordingId: recordingIdAt(startedAt, () => random),
});

async function expectGone(stage: Stage, recording: StoredRecording): Promise<void> {
  for (const region of REGIONS) expect(await stage.versions(region)).toEqual([]);
  expect(await stage.items(idOf(recording))).toEqual([]);
  expect((await stage.fate(idOf(recording))).deletion).toMatchObject({
    state: 'deleted',
    regions: { [HOME]: { state: 'deleted' }, [TARGET]: { state: 'deleted' } },
  });
}

async function expectWhole(stage: Stage, recording: StoredRecording): Promise<void> {
  for (const region of REGIONS)
    expect((await stage.versions(region)).sort()).toEqual(expect.arrayContaining(recording.keys));
  expect(await stage.items(idOf(recording))).toEqual(
    expect.arrayContaining(['META', `COPY#${HOME}`, `COPY#${TARGET}`]),
  );
}

/** Later, when a request has matured. */
const mature = (stage: Stage) => {
  stage.clock.now += 61_000;
};

describe('a deletion that is asked for', () => {
  it('removes every version in every region, proves it, and leaves a tombstone and the audit', async () => {
    const stage = await setUpStage(emulator);
    const recording = await stage.record();
    const id = idOf(recording);
    // An older version, and a delete marker.
    await emulator.s3(HOME).send(
      new PutObjectCommand({
        Bucket: stage.bucketIn(HOME),
        Key: recording.keys[0],
        Body: 'an older version',
      }),
    );
    const answer = await requestDeletion(stage.api(HOME), OFFICER, id, 'asked for by the caller');
    expect(answer).toMatchObject({ state: 'requested', by: 'officer', why: 'request' });

    expect(await stage.run()).toMatchObject({ begun: 0 }); // too young
    await expectWhole(stage, recording);
    mature(stage);
    expect(await stage.run()).toMatchObject({ begun: 1, deleted: 1, open: 0, failed: 0 });
    await expectGone(stage, recording);
    expect(await stage.audit()).toMatchObject([
      { action: 'requestDeletion', by: 'officer', tenant: 'acme', recordingId: id, outcome: 'done' },
      { action: 'beginDeletion', by: 'officer', detail: 'request: asked for by the caller' },
      { action: 'finishDeletion', by: 'officer', recordingId: id },
    ]);
    // Whatever is asked now: it is deleted.
    expect(await requestDeletion(stage.api(TARGET), OFFICER, id, 'again')).toMatchObject({
      state: 'deleted',
    });

    for (const region of REGIONS) expect(await stage.versions(region, 'deletions/')).toHaveLength(1);
    stage.clock.now += 1_801_000;
    expect(await stage.run()).toMatchObject({ begun: 0, deleted: 0, leftovers: 0 });
    for (const region of REGIONS) expect(await stage.versions(region, '')).toEqual([]);
    expect((await stage.fate(id)).deletion).toMatchObject({
      state: 'deleted',
      recheckedAt: expect.any(String),
    });
    expect(await stage.run()).toMatchObject({ begun: 0, failed: 0 });
  });

  it('can be asked for in another region, twice, and only by those who see the recording', async () => {
    const stage = await setUpStage(emulator);
    const recording = await stage.record();
    const stranger = { ...OFFICER, tenants: ['other'] };
    expect(await requestDeletion(stage.api(TARGET), stranger, idOf(recording), 'x')).toBeUndefined();
    const first = await requestDeletion(stage.api(TARGET), OFFICER, idOf(recording), 'one');
    stage.clock.now += 5;
    expect(await requestDeletion(stage.api(HOME), OFFICER, idOf(recording), 'two')).toEqual(first);
    mature(stage);
    expect(await stage.run()).toMatchObject({ begun: 1, deleted: 1 });
    await expectGone(stage, recording);
    expect(await requestDeletion(stage.api(TARGET), stranger, idOf(recording), 'x')).toBeUndefined();
  });

  it('is not undone by a late manifest, a late copy job, a late event, or a rebuild', async () => {
    const stage = await setUpStage(emulator);
    const recording = await stage.record();
    const { manifest } = recording;
    await requestDeletion(stage.api(HOME), OFFICER, idOf(recording), 'x');
    mature(stage);
    await stage.run();
    stage.clock.now += 1_801_000;
    await stage.run();
    // A spool that was given up long ago comes back, and a copy that was on its way.
    const { recordingId, startedAt } = manifest;
    await storeRecording(
      emulator.s3(HOME),
      stage.bucketIn(HOME),
      {},
      { recordingId, startedAt, revision: 2 },
    );
    await storeRecording(emulator.s3(TARGET), stage.bucketIn(TARGET), {}, { recordingId, startedAt });
    expect(await stage.replicate(recording)).toBe('gone');
    expect(await stage.index(recording)).toBe('deleted');
    expect(await stage.items(recordingId)).toEqual([]);
    stage.clock.now = Date.now() + DAY_MS; // what index-recording made due is due by its own clock
    expect(await stage.run()).toMatchObject({ begun: 0, leftovers: 6 });
    await expectGone(stage, recording);
  });

  it('goes on with the regions that answer, stays open for those that do not, and is finished when they are back', async () => {
    const stage = await setUpStage(emulator);
    const recording = await stage.record();
    await requestDeletion(stage.api(HOME), OFFICER, idOf(recording), 'x');
    mature(stage);
    const { s3For } = stage.expire;
    const away = emulator.s3('eu-west-1'); // its requests are refused: the bucket is another region's
    stage.expire.s3For = (region) => (region === TARGET ? away : s3For(region));
    expect(await stage.run()).toMatchObject({ begun: 1, deleted: 0, open: 1 });
    expect((await stage.fate(idOf(recording))).deletion).toMatchObject({
      state: 'begun',
      regions: { [HOME]: { state: 'deleted' }, [TARGET]: { state: 'open', trouble: expect.any(String) } },
    });
    expect(await stage.versions(HOME)).toEqual([]);
    expect((await stage.versions(TARGET)).sort()).toEqual(recording.keys.toSorted());
    expect(await stage.items(idOf(recording))).toContain('META');
    expect(await stage.run()).toMatchObject({ open: 0 }); // not before its time
    stage.expire.s3For = s3For;
    stage.clock.now += 301_000;
    expect(await stage.run()).toMatchObject({ deleted: 1, open: 0 });
    await expectGone(stage, recording);
  });

  it("does not begin while a region's index cannot be asked for its holds", async () => {
    const stage = await setUpStage(emulator, { isolated: true });
    const recording = await stage.record();
    const id = idOf(recording);
    await requestDeletion(stage.api(HOME), OFFICER, id, 'x');
    mature(stage);
    expect(await stage.run()).toMatchObject({ begun: 0, open: 1 });
    await expectWhole(stage, recording);
    expect((await stage.fate(id)).deletion).toBeUndefined(); // withdrawn: a hold can be set
    await holdRecording(stage.api(HOME), OFFICER, id, order);
    stage.clock.now += 301_000;
    expect(await stage.run()).toMatchObject({ begun: 0, held: 1 });
    await expectWhole(stage, recording);
  });

  it.each(['withdrawn intention', 'mark', 'manifest at home', 'copies', 'items'])(
    'goes on after a crash behind this step: %s',
    async (step) => {
      const stage = await setUpStage(emulator);
      const recording = await stage.record();
      const id = idOf(recording);
      await requestDeletion(stage.api(HOME), OFFICER, id, 'x');
      mature(stage);
      // Everything from a certain request on fails, as if the process had died there.
      const { s3For, indexFor } = stage.expire;
      const crash = crashAfter(step);
      stage.expire.s3For = (region) => crash.s3(s3For(region), region);
      stage.expire.indexFor = (region) => ({
        ...indexFor(region),
        table: crash.table(indexFor(region).table),
      });
      await stage.run().catch(() => {});
      expect(crash.has()).toBe(true);
      Object.assign(stage.expire, { s3For, indexFor });
      for (let runs = 0; runs < 3; runs++) {
        stage.clock.now += 301_000;
        await stage.run();
      }
      await expectGone(stage, recording);
      const actions = (await stage.audit()).map(({ action }) => action);
      expect(actions).toEqual(['requestDeletion', 'beginDeletion', 'finishDeletion']);
    },
  );
});

/** Clients that fail for good once a step has been done. */
function crashAfter(step: string) {
  let isDead = false;
  const dies = (command: { constructor: { name: string }; input: unknown }, region = HOME): boolean => {
    const text = JSON.stringify(command.input);
    const name = command.constructor.name;
    const steps: Record<string, boolean> = {
      'withdrawn intention': name === 'TransactWriteCommand' && text.includes('"intended"'),
      mark: name === 'PutObjectCommand',
      'manifest at home': name === 'DeleteObjectsCommand' && region === HOME,
      copies: name === 'DeleteObjectsCommand' && text.includes('audio.wav') && region === TARGET,
      items: name === 'DeleteCommand' && text.includes('META'),
    };
    return steps[step] ?? false;
  };
  const wrap = <Client extends object>(client: Client, region?: string): Client =>
    new Proxy(client, {
      get(target, property) {
        const value = Reflect.get(target, property);
        if (property !== 'send') return value;
        return async (command: Parameters<typeof dies>[0]) => {
          if (isDead) throw new Error('the process is dead');
          const answer = await (value as (command: unknown) => Promise<unknown>).call(target, command);
          if (dies(command, region)) isDead = true;
          if (isDead) throw new Error('the process died');
          return answer;
        };
      },
    });
  return { has: () => isDead, s3: wrap, table: wrap };
}

describe('what is past its retention', () => {
  it('is deleted tenant by tenant, and nothing is that is younger', async () => {
    const stage = await setUpStage(emulator, { retention: { days: 30, tenants: { acme: 365 } } });
    const early = '2026-10-01T10:00:00.000Z';
    const other = await stage.record({ ...startingAt(early, 0.1), tenant: 'other' });
    const acme = await stage.record({ ...startingAt(early, 0.2), tenant: 'acme' });
    const young = await stage.record({ ...startingAt(START, 0.3), tenant: 'other' });
    expect(await stage.run()).toMatchObject({ begun: 1, deleted: 1 });
    expect((await stage.fate(idOf(other))).deletion).toMatchObject({
      state: 'deleted',
      why: 'retention',
      by: 'retention',
    });
    await expectWhole(stage, acme);
    await expectWhole(stage, young);
    expect(await stage.audit()).toMatchObject([
      { action: 'beginDeletion', by: 'retention', tenant: 'other' },
      { action: 'finishDeletion', by: 'retention', tenant: 'other' },
    ]);

    stage.clock.now = Date.parse(early) + 365 * DAY_MS - 1;
    expect(await stage.run()).toMatchObject({ begun: 1 }); // `young`, by now
    stage.clock.now += 3_600_000;
    expect(await stage.run()).toMatchObject({ begun: 1 });
    expect(await stage.items(idOf(acme))).toEqual([]);
  });

  it('is read only as far as there is something to delete', async () => {
    const stage = await setUpStage(emulator, { retention: { days: 30 } });
    const reads: { Items?: unknown[] }[] = [];
    for (const i of [1, 2, 3, 4, 5]) await stage.record(startingAt(START, i / 10));
    await stage.record(startingAt('2026-10-01T10:00:00.000Z'));
    const { indexFor } = stage.expire;
    stage.expire.indexFor = (region) => {
      const index = indexFor(region);
      const table = new Proxy(index.table, {
        get: (target, property) =>
          property !== 'send'
            ? Reflect.get(target, property)
            : async (command: { input: { IndexName?: string; ExpressionAttributeValues?: object } }) => {
                const answer = await target.send(command as never);
                if (command.input.IndexName && ':cutoff' in (command.input.ExpressionAttributeValues ?? {}))
                  reads.push(answer as { Items?: unknown[] });
                return answer;
              },
      });
      return { ...index, table };
    };
    expect(await stage.run()).toMatchObject({ begun: 1, deleted: 1 });
    expect(reads.flatMap(({ Items = [] }) => Items)).toHaveLength(1);
    expect(reads).toHaveLength(4); // shards
  });

  it('waits while it is under hold, and goes when the last hold is released', async () => {
    const stage = await setUpStage(emulator, { retention: { days: 30 } });
    const recording = await stage.record(startingAt('2026-10-01T10:00:00.000Z'));
    const id = idOf(recording);
    await holdRecording(stage.api(HOME), OFFICER, id, order);
    await holdRecording(stage.api(TARGET), OFFICER, id, { ...order, holdId: 'matter-2' });
    expect(await stage.run()).toMatchObject({ begun: 0 });
    await releaseRecording(stage.api(TARGET), OFFICER, id, order);
    stage.clock.now += 3_601_000;
    expect(await stage.run()).toMatchObject({ begun: 0 });
    await expectWhole(stage, recording);
    await releaseRecording(stage.api(HOME), OFFICER, id, { ...order, holdId: 'matter-2' });
    expect(await stage.run()).toMatchObject({ begun: 1, deleted: 1 });
    await expectGone(stage, recording);
  });
});

describe('nothing under hold is deleted', () => {
  it('by a request before it: the hold ends the request, for good', async () => {
    const stage = await setUpStage(emulator);
    const recording = await stage.record();
    const id = idOf(recording);
    await requestDeletion(stage.api(TARGET), OFFICER, id, 'x');
    await holdRecording(stage.api(HOME), OFFICER, id, order);
    mature(stage);
    expect(await stage.run()).toMatchObject({ begun: 0, held: 1 });
    await expectWhole(stage, recording);
    await releaseRecording(stage.api(HOME), OFFICER, id, order);
    mature(stage);
    expect(await stage.run()).toMatchObject({ begun: 0, held: 0 });
    await expectWhole(stage, recording);
    expect((await stage.audit()).map(({ action }) => action)).toEqual([
      'requestDeletion',
      'hold',
      'stopDeletion',
      'release',
    ]);
  });

  it('by whatever order two regions hear of hold and deletion in', async () => {
    const stage = await setUpStage(emulator, { isolated: true });
    const recording = await stage.record();
    const id = idOf(recording);
    const pk = recordingPartition(id);
    await stage.carry(HOME, TARGET, pk);
    await requestDeletion(stage.api(HOME), OFFICER, id, 'x');
    mature(stage);
    // Replication works in one direction only: the intention arrives, the hold does not.
    await holdRecording(stage.api(TARGET), OFFICER, id, order);
    const { indexFor } = stage.expire;
    const carrying = carryIntentions(stage, pk);
    stage.expire.indexFor = carrying;
    expect(await stage.run()).toMatchObject({ begun: 0, held: 1 });
    await expectWhole(stage, recording);
    expect((await stage.fate(id, HOME)).holds).toEqual([]); // it really had not arrived
    expect((await stage.fate(id, HOME)).deletion).toBeUndefined();

    // The other way round: where the intention is known, no hold is taken.
    const other = await stage.record(startingAt(START, 0.7));
    const otherPk = recordingPartition(idOf(other));
    await stage.carry(HOME, TARGET, otherPk);
    await requestDeletion(stage.api(HOME), OFFICER, idOf(other), 'x');
    mature(stage);
    let isRefused = false;
    stage.expire.indexFor = carryIntentions(stage, otherPk, async () => {
      const late = holdRecording(stage.api(TARGET), OFFICER, idOf(other), order);
      await expect(late).rejects.toThrow(DeletionBegunError);
      isRefused = true;
    });
    expect(await stage.run()).toMatchObject({ begun: 1, deleted: 1 });
    expect(isRefused).toBe(true);
    stage.expire.indexFor = indexFor;
  });

  it('by an intention of another try, which a region still shows', async () => {
    const stage = await setUpStage(emulator, { isolated: true });
    const recording = await stage.record();
    const id = idOf(recording);
    const pk = recordingPartition(id);
    await requestDeletion(stage.api(HOME), OFFICER, id, 'x');
    mature(stage);
    const { indexFor } = stage.expire;
    // The first try is announced, and withdrawn for a hold there; that it was withdrawn does not arrive.
    await stage.carry(HOME, TARGET, pk);
    await holdRecording(stage.api(TARGET), OFFICER, id, order);
    stage.expire.indexFor = carryIntentions(stage, pk);
    expect(await stage.run()).toMatchObject({ held: 1 });
    expect((await stage.fate(id, TARGET)).deletion).toMatchObject({ state: 'intended' });
    await releaseRecording(stage.api(TARGET), OFFICER, id, order);
    // The second try is not announced: what is shown is not it.
    await requestDeletion(stage.api(HOME), OFFICER, id, 'x');
    mature(stage);
    stage.expire.indexFor = indexFor;
    expect(await stage.run()).toMatchObject({ begun: 0, open: 1 });
    await expectWhole(stage, recording);
  });

  it('by its call: every recording of it is held, also those that come later and by another id', async () => {
    const stage = await setUpStage(emulator, { retention: { days: 30 } });
    const early = '2026-10-01T10:00:00.000Z';
    const call = (random: number, ids: string[], tenant = 'acme') => ({
      ...startingAt(early, random),
      tenant,
      call: { callId: ids[0] as string, correlationIds: ids },
    });
    const first = await stage.record(call(0.1, ['a']));
    const held = await holdCall(stage.api(TARGET), OFFICER, 'a', order);
    expect(held).toMatchObject({ recordings: [idOf(first)], tooLate: [] });
    const redirected = await stage.record(call(0.2, ['a', 'b']));
    const last = await stage.record(call(0.3, ['b']));
    const foreign = await stage.record(call(0.4, ['a'], 'other'));
    expect(await stage.run()).toMatchObject({ begun: 1, held: 3 }); // another tenant's call by the same id
    for (const recording of [first, redirected, last]) await expectWhole(stage, recording);
    expect(await stage.items(idOf(foreign))).toEqual([]);
    await expect(requestDeletion(stage.api(HOME), OFFICER, idOf(last), 'x')).rejects.toThrow(/under hold/);

    await releaseCall(stage.api(HOME), OFFICER, 'a', order);
    expect(await stage.run()).toMatchObject({ begun: 3, deleted: 3 });
    for (const recording of [first, redirected, last]) expect(await stage.items(idOf(recording))).toEqual([]);
  });

  it('by an index that has lost its holds: the bucket still knows them', async () => {
    const stage = await setUpStage(emulator);
    const recording = await stage.record();
    const id = idOf(recording);
    await holdRecording(stage.api(TARGET), OFFICER, id, order);
    await stage.run(); // the fact is in the bucket now
    const { table, tableName } = stage.expire.indexFor(HOME);
    await table.send(
      new DeleteCommand({
        TableName: tableName,
        Key: { pk: recordingPartition(id), sk: 'FATE#HOLD#matter-1#SET' },
      }),
    );
    expect((await stage.fate(id)).holds).toEqual([]);
    await requestDeletion(stage.api(HOME), OFFICER, id, 'x');
    mature(stage);
    expect(await stage.run()).toMatchObject({ begun: 0, held: 1 });
    await expectWhole(stage, recording);
  });
});

/** The home region's function, for which intentions arrive in the other region at once, and nothing else does. */
function carryIntentions(
  stage: Stage,
  pk: string,
  onArrival: () => Promise<void> = async () => {},
): Stage['expire']['indexFor'] {
  const { indexFor } = stage.expire;
  return (region) => {
    const index = indexFor(region);
    if (region !== HOME) return index;
    const table = new Proxy(index.table, {
      get: (target, property) =>
        property !== 'send'
          ? Reflect.get(target, property)
          : async (command: { constructor: { name: string }; input: unknown }) => {
              const answer = await target.send(command as never);
              if (command.constructor.name !== 'TransactWriteCommand') return answer;
              if (!JSON.stringify(command.input).includes('"state":"intended","intentId"')) return answer;
              await stage.carry(HOME, TARGET, pk);
              await onArrival();
              return answer;
            },
    });
    return { ...index, table };
  };
}

it('looks at what is due once, and at each again only in its time', async () => {
  const stage = await setUpStage(emulator);
  const recording = await stage.record();
  await holdRecording(stage.api(HOME), OFFICER, idOf(recording), order);
  await stage.run();
  expect(await stage.versions(HOME, 'holds/')).toEqual([
    `holds/recordings/${idOf(recording)}/matter-1.set.json`,
  ]);
  const { table, tableName } = stage.expire.indexFor(HOME);
  const { QueryCommand } = await import('@aws-sdk/lib-dynamodb');
  const due = await table.send(
    new QueryCommand({
      TableName: tableName,
      KeyConditionExpression: 'pk = :pk',
      ExpressionAttributeValues: { ':pk': duePartition(HOME) },
    }),
  );
  expect(due.Items).toEqual([]);
});
