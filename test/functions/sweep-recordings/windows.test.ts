/** The sweep by the rules of its targets: windows, filters, priorities; and its reports and dry runs. */
import { DeleteObjectCommand, ListObjectsV2Command, type S3Client } from '@aws-sdk/client-s3';
import { PurgeQueueCommand } from '@aws-sdk/client-sqs';
import { ScanCommand } from '@aws-sdk/lib-dynamodb';
import { parseCopyJob } from '../../../core/copy-jobs.ts';
import { readReplication } from '../../../functions/query-api/replication.ts';
import { EMULATOR_START_TIMEOUT_MS } from '../../helpers/emulator.ts';
import { NIGHTLY, ruleTo } from '../../helpers/replication-rules.ts';
import { HOME, type SweepStages, startSweepStages, TARGET, take } from './stage.ts';

const OTHER = 'eu-west-1';
const PAIR = { from: HOME, to: TARGET };
const at = (time: string): Date => new Date(`2026-11-${time}Z`);
const BEFORE = at('20T21:59:00');
const OPEN = at('20T22:00:00');
const LATE = at('21T05:55:00');
const CLOSED = at('21T06:00:00');
const NEXT_NIGHT = at('21T22:01:00');

let stages: SweepStages;
beforeAll(async () => {
  stages = await startSweepStages();
}, EMULATOR_START_TIMEOUT_MS);
afterAll(() => stages.stop());

type Stage = Awaited<ReturnType<SweepStages['setUp']>>;

/** Recordings of a minute, indexed at their end. */
async function recorded({ store, index }: Stage, ...times: string[]) {
  const stored = await Promise.all(times.map((time, i) => store(at(time).toISOString(), i)));
  for (const { key, manifest } of stored) await index(key, new Date(manifest.endedAt));
  return stored;
}

async function jobsIn({ dependencies }: Stage) {
  const jobs = [];
  for (;;) {
    const bodies = await take(stages.sqs, dependencies.copyQueue);
    if (bodies.length === 0) return jobs;
    jobs.push(...bodies.map(parseCopyJob));
  }
}

describe('a window', () => {
  const rules = [ruleTo(TARGET, NIGHTLY)];

  it('is begun by the sweep: nothing before, everything inside; nothing is due or late before it', async () => {
    const stage = await stages.setUp({}, rules);
    const day = await recorded(stage, '20T09:00:00', '19T12:00:00', '20T21:58:00');
    expect(await stage.sweep({ now: BEFORE })).toMatchObject({
      copies: { [TARGET]: { requested: 0 } },
      figures: { [TARGET]: { waiting: 1, oldestDueAt: at('19T22:00:00').toISOString() } }, // of the night before
    });
    expect(await stage.workOff(BEFORE)).toBe(0);

    expect(await stage.sweep({ now: OPEN })).toMatchObject({
      copies: { [TARGET]: { requested: 3 } },
      figures: { [TARGET]: { waiting: 3 } },
    });
    expect(await stage.workOff(at('20T22:01:00'))).toBe(3);
    for (const recording of day) expect(await stage.copyOf(recording)).toMatchObject({ state: 'verified' });
    const lagSeconds = { copies: 3, p50: expect.any(Number), p95: expect.any(Number) };
    expect(await stage.sweep({ now: at('20T22:05:00') })).toMatchObject({
      copies: { [TARGET]: { requested: 0 } },
      figures: { [TARGET]: { waiting: 0, lagSeconds: { ...lagSeconds, copies: 2 } } }, // one was due over a day ago
    });
  });

  it('asks for the oldest first, as many as the queue has room for', async () => {
    const stage = await stages.setUp({ queued: 2, page: 2 }, rules);
    const recordings = await recorded(
      stage,
      '18T10:00:00',
      '20T09:00:00',
      '19T12:00:00',
      '17T12:00:00',
      '20T10:00:00',
    );
    const copied = () =>
      Promise.all(recordings.map(async (recording) => (await stage.copyOf(recording)) !== undefined));
    const requested: unknown[] = [];
    for (const minutes of ['00', '05', '10', '15']) {
      const now = at(`20T22:${minutes}:00`);
      requested.push((await stage.sweep({ now })).copies[TARGET]?.requested);
      await stage.workOff(now);
      if (minutes === '00') expect(await copied()).toEqual([true, false, false, true, false]);
    }
    expect(requested).toEqual([2, 2, 1, 0]);
    expect(await copied()).toEqual(recordings.map(() => true));
  });

  it('begins with the oldest, wherever the round is on its way, and goes on from run to run', async () => {
    const stage = await stages.setUp({ recordings: 2, page: 2 }, rules);
    const days = ['12', '13', '14', '15', '16', '17'];
    const recordings = await recorded(stage, ...days.map((day) => `${day}T12:00:00`));
    const first = await stage.sweep({ now: OPEN });
    expect(first).toMatchObject({ recordings: 2, copies: { [TARGET]: { requested: 4 } } });
    await stage.workOff(OPEN);
    const copied = async () =>
      (await Promise.all(recordings.map((recording) => stage.copyOf(recording)))).map(Boolean);
    expect(await copied()).toEqual([true, true, false, false, true, true]);
    await stage.sweep({ now: at('20T22:05:00') });
    await stage.workOff(OPEN);
    expect(await copied()).toEqual(days.map(() => true));
  });

  it('that closes leaves what is in the queue for the next one', async () => {
    const stage = await stages.setUp({}, rules);
    const [recording] = await recorded(stage, '20T12:00:00');
    if (!recording) throw new Error('none');
    expect(await stage.sweep({ now: LATE })).toMatchObject({ copies: { [TARGET]: { requested: 1 } } });
    expect(await stage.workOff(CLOSED)).toBe(1);
    expect(await stage.copyOf(recording)).toBeUndefined();
    expect(await stage.sweep({ now: at('21T12:00:00') })).toMatchObject({
      copies: { [TARGET]: { requested: 0 } },
      figures: { [TARGET]: { waiting: 1, oldestDueAt: OPEN.toISOString() } }, // it is late, and its time has not come
    });
    expect(await stage.sweep({ now: NEXT_NIGHT })).toMatchObject({ copies: { [TARGET]: { requested: 1 } } });
    expect(await stage.workOff(NEXT_NIGHT)).toBe(1);
    expect(await stage.copyOf(recording)).toMatchObject({ state: 'verified' });
  });

  it('does not ask again for what has just ended within it, and repairs only within it', async () => {
    const stage = await stages.setUp({ checks: 100 }, rules);
    const [recording] = await recorded(stage, '20T22:30:00');
    if (!recording) throw new Error('none');
    await stages.sqs.send(new PurgeQueueCommand({ QueueUrl: stage.dependencies.copyQueue.queueUrl }));
    const requested = async (now: Date) => (await stage.sweep({ now })).copies[TARGET]?.requested;
    expect(await requested(at('20T22:40:00'))).toBe(0);
    expect(await requested(at('20T22:41:00'))).toBe(1);
    await stage.workOff(at('20T22:42:00'));
    const Key = recording.keys[0] as string;
    await stages.target.send(new DeleteObjectCommand({ Bucket: stage.bucketIn(TARGET), Key }));
    expect(await stage.sweep({ now: at('21T07:00:00') })).toMatchObject({
      copies: { [TARGET]: { damaged: 1, requested: 0 } },
    });
    expect(await requested(NEXT_NIGHT)).toBe(1);
  });
});

it('what a filter leaves out is no backlog, no damage, and not asked for', async () => {
  const everything = await stages.setUp({ checks: 100 });
  const [kept, other] = [
    await everything.store(at('20T12:00:00').toISOString(), 1),
    await everything.store(at('20T13:00:00').toISOString(), 2, { tenant: 'other' }),
    await everything.store(at('20T14:00:00').toISOString(), 3, { tenant: 'other' }),
  ];
  if (!kept || !other) throw new Error('none');
  await everything.index(other.key);
  await everything.workOff();
  const Key = other.keys[0] as string;
  await stages.target.send(new DeleteObjectCommand({ Bucket: everything.bucketIn(TARGET), Key }));
  await everything.index(kept.key);
  await stages.sqs.send(new PurgeQueueCommand({ QueueUrl: everything.dependencies.copyQueue.queueUrl }));
  const rules = [ruleTo(TARGET, { filters: { tenants: ['acme'] } })];
  expect(await everything.sweep({ now: at('20T18:00:00'), rules })).toMatchObject({
    copies: { [TARGET]: { requested: 1, checked: 0, damaged: 0 } },
    figures: { [TARGET]: { waiting: 1, damaged: 0 } },
  });
  expect(await jobsIn(everything)).toEqual([{ key: kept.key, target: TARGET }]);
});

it('gives the room in the queue to the lowest priority first', async () => {
  const rules = [ruleTo(OTHER, { priority: 1 }), ruleTo(TARGET, { priority: 2 })];
  const stage = await stages.setUp({ queued: 3 }, rules);
  const [first, second] = await recorded(stage, '20T12:00:00', '20T13:00:00');
  await jobsIn(stage);
  await stage.sweep({ now: at('20T18:00:00') });
  const jobs = await jobsIn(stage);
  expect(jobs.toSorted((a, b) => (a.target + a.key < b.target + b.key ? -1 : 1))).toEqual([
    { key: first?.key, target: OTHER },
    { key: second?.key, target: OTHER },
    { key: first?.key, target: TARGET }, // the older one
  ]);
});

it('asks for what it has found before it failed', async () => {
  const stage = await stages.setUp();
  await recorded(stage, '20T12:00:00', '18T13:00:00');
  await jobsIn(stage);
  const failing = Object.create(stages.home) as S3Client;
  let lists = 0;
  Object.defineProperty(failing, 'send', {
    value: async (command: never) => {
      if ((command as object) instanceof ListObjectsV2Command && ++lists > 1) throw new Error('S3 is down');
      return stages.home.send(command);
    },
  });
  const s3For = (region: string) => (region === HOME ? failing : stages.target);
  await expect(stage.sweep({ now: at('20T18:00:00'), s3For })).rejects.toThrow('S3 is down');
  expect(await jobsIn(stage)).toHaveLength(1);
});

describe('the report of a target', () => {
  it('says what a whole round has counted, and whether the window is open', async () => {
    const stage = await stages.setUp({}, [ruleTo(TARGET, NIGHTLY)]);
    const { dependencies } = stage;
    expect(await readReplication(dependencies, [PAIR])).toEqual([PAIR]);
    await recorded(stage, '19T12:00:00');
    await stage.sweep({ now: BEFORE });
    const report = {
      ...PAIR,
      mode: 'window',
      at: BEFORE.toISOString(),
      figures: {
        countedAt: BEFORE.toISOString(),
        waiting: 1,
        oldestDueAt: at('19T22:00:00').toISOString(),
        damaged: 0,
      },
      window: { isOpen: false, opensAt: OPEN.toISOString() },
    };
    expect(await readReplication(dependencies, [PAIR, { from: TARGET, to: HOME }])).toEqual([
      report,
      { from: TARGET, to: HOME },
    ]);
    // In the middle of a round: the figures of the last one, and a new time.
    await stage.sweep({ now: OPEN, isOutOfTime: () => true });
    expect(await readReplication(dependencies, [PAIR])).toEqual([
      { ...report, at: OPEN.toISOString(), window: { isOpen: true, closesAt: CLOSED.toISOString() } },
    ]);
  });
});

it('a dry run says what a run would do, and changes nothing', async () => {
  const stage = await stages.setUp({ checks: 100 }, [ruleTo(TARGET, NIGHTLY)]);
  const { dependencies } = stage;
  const [copied] = await recorded(stage, '20T12:00:00', '20T13:00:00');
  await stage.store(at('20T14:00:00').toISOString(), 9); // not indexed
  await stage.sweep({ now: OPEN });
  await stage.workOff(OPEN);
  await recorded(stage, '20T15:00:00');
  const Key = copied?.keys[0] as string;
  await stages.target.send(new DeleteObjectCommand({ Bucket: stage.bucketIn(TARGET), Key }));
  const everything = async () =>
    (await stages.table.send(new ScanCommand({ TableName: dependencies.tableName, ConsistentRead: true })))
      .Items;
  const before = await everything();
  const now = at('20T23:00:00');
  const dry = await stage.sweep({ now, isDry: true });
  expect(await everything()).toEqual(before);
  expect(await jobsIn(stage)).toEqual([]);
  expect(await take(stages.sqs, dependencies.manifestEvents)).toEqual([]);
  expect(dry).toMatchObject({ copies: { [TARGET]: { damaged: 1, requested: 2 } } });
  expect(await stage.sweep({ now })).toEqual(dry);
});
