/** The functions together, on real buckets, queues and tables: what was lost is found and made good. */
import { DeleteObjectCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { PurgeQueueCommand, type SQSClient } from '@aws-sdk/client-sqs';
import { parseCopyJob } from '../../../core/copy-jobs.ts';
import { readCursor } from '../../../functions/sweep-recordings/sweep-cursor.ts';
import { EMULATOR_START_TIMEOUT_MS, type TestEmulator } from '../../helpers/emulator.ts';
import { bytesOf, type StoredRecording, storeRecording } from '../../helpers/stored-recording.ts';
import { HOME, HOUR_MS, NOW, type SweepStages, startSweepStages, TARGET, take } from './stage.ts';

let emulator: TestEmulator;
let home: S3Client;
let target: S3Client;
let sqs: SQSClient;
let setUp: SweepStages['setUp'];

beforeAll(async () => {
  ({ emulator, home, target, sqs, setUp } = await startSweepStages());
}, EMULATOR_START_TIMEOUT_MS);
afterAll(() => emulator.stop());

const hoursAgo = (hours: number): string => new Date(NOW.getTime() - hours * HOUR_MS).toISOString();
const minuteAfter = (time: string): string => new Date(Date.parse(time) + 60_000).toISOString();
const none = { requested: 0, checked: 0, damaged: 0 };

describe('the sweep', () => {
  it('asks again for the copies whose jobs were lost, and has nothing to do afterwards', async () => {
    const { dependencies, sweep, store, index, workOff, copyOf } = await setUp();
    const recordings = await Promise.all([2, 30, 50].map((hours, i) => store(hoursAgo(hours), i)));
    for (const { key } of recordings) await index(key);
    await sqs.send(new PurgeQueueCommand({ QueueUrl: dependencies.copyQueue.queueUrl }));

    expect(await sweep()).toEqual({
      recordings: 3,
      unindexed: 0,
      copies: { [TARGET]: { ...none, requested: 3 } },
      figures: {
        [TARGET]: {
          countedAt: NOW.toISOString(),
          waiting: 3,
          damaged: 0,
          oldestDueAt: minuteAfter(hoursAgo(50)),
        },
      },
    });
    expect(await workOff()).toBe(3);
    for (const recording of recordings) expect(await copyOf(recording)).toMatchObject({ state: 'verified' });
    expect(await sweep()).toEqual({
      recordings: 3,
      unindexed: 0,
      copies: { [TARGET]: none },
      figures: {
        [TARGET]: { countedAt: NOW.toISOString(), waiting: 0, damaged: 0, lagSeconds: expect.anything() },
      },
    });
    expect(await workOff()).toBe(0);
  });

  it('finds recordings whose manifest events were lost: they are indexed and copied', async () => {
    const { sweep, store, workOff, copyOf } = await setUp();
    const recording = await store(hoursAgo(3));
    expect(await sweep()).toMatchObject({ recordings: 1, unindexed: 1, copies: { [TARGET]: none } });
    expect(await workOff()).toBe(1);
    expect(await copyOf(recording)).toMatchObject({ state: 'verified' });
    expect(await sweep()).toMatchObject({ unindexed: 0, figures: { [TARGET]: { waiting: 0 } } });
  });

  it('repairs a copy in which a byte has changed, which is not played meanwhile', async () => {
    const { sweep, store, index, workOff, copyOf, bucketIn, logged } = await setUp({ checks: 100 });
    const recording = await store(hoursAgo(3));
    await index(recording.key);
    await workOff();
    const Key = recording.keys[0] as string;
    const changed = bytesOf(10_000);
    changed[5_000] = (changed[5_000] ?? 0) ^ 1;
    await target.send(new PutObjectCommand({ Bucket: bucketIn(TARGET), Key, Body: changed }));

    expect(await sweep()).toMatchObject({
      copies: { [TARGET]: { requested: 1, checked: 1, damaged: 1 } },
      figures: { [TARGET]: { waiting: 1, damaged: 1 } },
    });
    expect(logged).toContain('copy is damaged');
    expect(await copyOf(recording)).toMatchObject({ state: 'damaged' });
    expect(await workOff()).toBe(1);
    expect(await copyOf(recording)).toMatchObject({ state: 'verified' });
    expect(await sweep()).toMatchObject({ copies: { [TARGET]: { requested: 0, checked: 1, damaged: 0 } } });
  });

  it.each([0, 2])('repairs a copy whose file %i is missing at the target', async (file) => {
    const { sweep, store, index, workOff, copyOf, bucketIn } = await setUp({ checks: 100 });
    const recording = await store(hoursAgo(3));
    await index(recording.key);
    await workOff();
    await target.send(
      new DeleteObjectCommand({ Bucket: bucketIn(TARGET), Key: recording.keys[file] as string }),
    );
    expect(await sweep()).toMatchObject({ copies: { [TARGET]: { requested: 1, damaged: 1 } } });
    await workOff();
    expect(await copyOf(recording)).toMatchObject({ state: 'verified' });
    expect(await sweep()).toMatchObject({ copies: { [TARGET]: { checked: 1, damaged: 0 } } });
  });

  it('looks at a share of the copies, and at all where they are few', async () => {
    const { sweep, store, index, workOff } = await setUp({ checks: 2, recordings: 8 });
    for (const [i, hours] of [2, 3, 4, 5].entries()) await index((await store(hoursAgo(hours), i)).key);
    await workOff();
    const checked = async (random: number) => (await sweep({ random: () => random })).copies[TARGET]?.checked;
    expect(await checked(0.26)).toBe(0); // of a round of unknown length, 2 of 8
    expect(await checked(0.49)).toBe(4); // 2 of 4
    expect(await checked(0.51)).toBe(0);
  });

  it('does not take a target that cannot be asked for a damaged copy', async () => {
    const { dependencies, sweep, store, index, workOff, copyOf, logged } = await setUp({ checks: 100 });
    const recording = await store(hoursAgo(3));
    await index(recording.key);
    await workOff();
    const away = emulator.s3('eu-west-1'); // its requests are refused: they are signed for another region
    const s3For = (region: string) => (region === HOME ? home : away);
    expect(await sweep({ ...dependencies, s3For })).toMatchObject({ copies: { [TARGET]: { damaged: 0 } } });
    expect(logged).toContain('copy could not be checked');
    expect(await copyOf(recording)).toMatchObject({ state: 'verified' });
  });

  it('leaves alone what is still on its way: young recordings, and uploads without a manifest', async () => {
    const { sweep, store, index, bucketIn, dependencies } = await setUp();
    const young = await store(hoursAgo(1 / 12));
    await index(young.key);
    await sqs.send(new PurgeQueueCommand({ QueueUrl: dependencies.copyQueue.queueUrl }));
    const unfinished = await store(hoursAgo(2));
    await home.send(new DeleteObjectCommand({ Bucket: bucketIn(HOME), Key: unfinished.key }));
    expect(await sweep()).toMatchObject({
      recordings: 2,
      unindexed: 0,
      copies: { [TARGET]: none },
      figures: { [TARGET]: { waiting: 1, oldestDueAt: minuteAfter(young.manifest.startedAt) } }, // it is due, nevertheless
    });
  });

  it('asks for the copy of a newer revision', async () => {
    const { sweep, store, index, workOff, bucketIn, dependencies, copyOf } = await setUp();
    const first = await store(hoursAgo(3));
    await index(first.key);
    await workOff();
    const { recordingId, startedAt } = first.manifest;
    await storeRecording(home, bucketIn(HOME), {}, { recordingId, startedAt, revision: 2 });
    await index(first.key);
    await sqs.send(new PurgeQueueCommand({ QueueUrl: dependencies.copyQueue.queueUrl }));
    expect(await sweep()).toMatchObject({ copies: { [TARGET]: { requested: 1 } } });
    await workOff();
    expect(await copyOf(first)).toMatchObject({ revision: 2 });
  });

  it('adds no jobs to a queue that is full, and goes on as it empties', async () => {
    const { sweep, store, index, workOff, dependencies } = await setUp({ queued: 2 });
    for (const [i, hours] of [2, 3, 4].entries()) await index((await store(hoursAgo(hours), i)).key);
    expect(await sweep()).toMatchObject({ copies: { [TARGET]: { requested: 0 } } }); // three are in it
    await sqs.send(new PurgeQueueCommand({ QueueUrl: dependencies.copyQueue.queueUrl }));
    expect(await sweep()).toMatchObject({
      copies: { [TARGET]: { requested: 2 } },
      figures: { [TARGET]: { waiting: 3 } },
    });
    expect(await workOff()).toBe(2);
    expect(await sweep()).toMatchObject({ copies: { [TARGET]: { requested: 1 } } });
  });

  it('goes round newest day first, a stretch each run, and tells the backlog when it is round', async () => {
    const { dependencies, sweep, store, index } = await setUp({ recordings: 2, page: 2 });
    const hours = [5 * 24, 5 * 24 - 0.001, 5 * 24 - 0.002, 26 * 24, 2 * 24];
    const recordings = await Promise.all(hours.map((ago, i) => store(hoursAgo(ago), i)));
    for (const { key } of recordings) await index(key);
    await sqs.send(new PurgeQueueCommand({ QueueUrl: dependencies.copyQueue.queueUrl }));
    const runs = [];
    for (let run = 0; run < 10; run++) {
      runs.push(await sweep());
      if (runs.at(-1)?.figures) break;
    }
    const asked: string[] = [];
    for (;;) {
      const bodies = await take(sqs, dependencies.copyQueue);
      if (bodies.length === 0) break;
      asked.push(...bodies.map((body) => parseCopyJob(body).key));
    }
    const inWindow = [4, 0, 1, 2].map((i) => (recordings[i] as StoredRecording).key); // 26 days are too old
    expect(asked.toSorted()).toEqual(inWindow.toSorted());
    expect(runs[0]).toMatchObject({ copies: { [TARGET]: { requested: expect.any(Number) } } });
    expect(runs[0]).not.toHaveProperty('figures');
    expect(runs.length).toBeGreaterThan(1);
    expect(runs.at(-1)?.figures).toMatchObject({ [TARGET]: { waiting: 4 } });
    expect(await readCursor(dependencies)).toMatchObject({ looked: 0, lastRound: 4, found: {} }); // the next round begins
  });

  it('goes on where it was when it ran out of time', async () => {
    const { dependencies, sweep, store, index } = await setUp({ page: 1 });
    const recordings = await Promise.all([3, 2.9, 2.8].map((hours, i) => store(hoursAgo(24 * 3 + hours), i)));
    for (const { key } of recordings) await index(key);
    await sqs.send(new PurgeQueueCommand({ QueueUrl: dependencies.copyQueue.queueUrl }));
    let pages = 0;
    const first = await sweep({ isOutOfTime: () => pages++ >= 5 });
    expect(first.recordings).toBeGreaterThan(0);
    expect(first.recordings).toBeLessThan(3);
    const second = await sweep();
    expect(first.recordings + second.recordings).toBe(3);
    expect(second.figures).toMatchObject({ [TARGET]: { waiting: 3 } });
  });

  it('begins a new round when the day of its cursor has left the window', async () => {
    const { sweep, store, index } = await setUp({ page: 1 });
    await index((await store(hoursAgo(3))).key);
    let pages = 0;
    await sweep({ isOutOfTime: () => pages++ >= 4 });
    const later = new Date(NOW.getTime() + 60 * 24 * HOUR_MS);
    expect(await sweep({ now: later })).toMatchObject({ recordings: 0, figures: expect.anything() });
  });
});
