/** A backfill, from the command line to the last copy: recordings that are older than what the sweep goes round. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CreateBucketCommand } from '@aws-sdk/client-s3';
import { PurgeQueueCommand } from '@aws-sdk/client-sqs';
import { parseCopyJob } from '../../../core/copy-jobs.ts';
import { parseDeployment } from '../../../core/deployment.ts';
import { indexTableName, recordingsBucketName } from '../../../core/names.ts';
import { indexManifest } from '../../../functions/index-recording/index-recording.ts';
import { readReplication } from '../../../functions/query-api/replication.ts';
import {
  BackfillChangedError,
  estimateBackfill,
  firstDay,
  orderBackfill,
} from '../../../functions/sweep-recordings/backfill.ts';
import { newCatchUp, readCatchUp, writeCatchUp } from '../../../functions/sweep-recordings/catch-up.ts';
import { createIndexTable, EMULATOR_START_TIMEOUT_MS } from '../../helpers/emulator.ts';
import { recordingIdAt } from '../../helpers/manifest.ts';
import { NIGHTLY, ruleTo } from '../../helpers/replication-rules.ts';
import { storeRecording } from '../../helpers/stored-recording.ts';
import { HOME, type SweepStages, startSweepStages, TARGET, take } from './stage.ts';

const CLI = join(import.meta.dirname, '../../../functions/sweep-recordings/backfill-cli.ts');
const EXAMPLE = join(import.meta.dirname, '../../../deployments/example.yaml');
const NOW = new Date('2026-11-20T18:00:00.000Z');
const PLACE = { homeRegion: HOME, kind: 'BACKFILL', target: TARGET } as const;

let stages: SweepStages;
beforeAll(async () => {
  stages = await startSweepStages();
}, EMULATOR_START_TIMEOUT_MS);
afterAll(() => stages.stop());

const DAYS = ['2025-12-30', '2026-01-02', '2026-01-02', '2026-03-08', '2026-11-19'];

/** Five recordings of which no copy was ever asked for; the last is within the days of the sweep. */
async function older(limits: object = {}, rules = [ruleTo(TARGET)]) {
  const stage = await stages.setUp(limits, rules);
  const recordings = await Promise.all(DAYS.map((day, i) => stage.store(`${day}T10:00:0${i}.000Z`, i)));
  for (const { key } of recordings) await stage.index(key);
  await stages.sqs.send(new PurgeQueueCommand({ QueueUrl: stage.dependencies.copyQueue.queueUrl }));
  const home = { s3: stages.home, bucket: stage.bucketIn(HOME), homeRegion: HOME };
  const copies = () =>
    Promise.all(recordings.map(async (recording) => Boolean(await stage.copyOf(recording))));
  const order = (since = '2025-12-30') =>
    orderBackfill(stage.dependencies, { homeRegion: HOME, target: TARGET, since, now: NOW });
  return { stage, recordings, home, copies, order };
}

const minutesLater = (minutes: number): Date => new Date(NOW.getTime() + minutes * 60_000);

describe('a backfill', () => {
  it('copies what is older than the sweep goes, a few at a time, and is finished when nothing is left', async () => {
    const { stage, copies, order } = await older({ backfillQueued: 2, page: 1 });
    const sweep = async (minutes: number) =>
      (await stage.sweep({ now: minutesLater(minutes) })).copies[TARGET];
    expect(await sweep(0)).toMatchObject({ requested: 1 }); // of the last days
    await stage.workOff(NOW);
    expect(await copies()).toEqual([false, false, false, false, true]);

    await order();
    expect(await sweep(5)).toMatchObject({ requested: 2 });
    expect(await sweep(10)).toMatchObject({ requested: 0 }); // two are in the queue
    const [report] = await readReplication(stage.dependencies, [{ from: HOME, to: TARGET }]);
    expect(report?.backfill).toEqual({ since: '2025-12-30', day: '2026-01-02', requested: 2 });
    await stage.workOff(NOW);
    expect(await copies()).toEqual([true, true, false, false, true]);
    expect(await sweep(15)).toMatchObject({ requested: 2 });
    await stage.workOff(NOW);
    expect(await copies()).toEqual([true, true, true, true, true]);
    for (const minutes of [20, 25]) expect(await sweep(minutes)).toMatchObject({ requested: 0 });
    expect(await readCatchUp(stage.dependencies, PLACE)).toMatchObject({
      requested: 4,
      pass: 2,
      finishedAt: expect.any(String),
    });
    const [after] = await readReplication(stage.dependencies, [{ from: HOME, to: TARGET }]);
    expect(after).not.toHaveProperty('backfill');
  });

  it('asks again for what was lost, once the queue has settled, and marks its jobs as old', async () => {
    const { stage, copies, order } = await older({ settledQueue: 3 });
    await order();
    await stage.sweep({ now: NOW }); // goes through all days
    await stage.sweep({ now: minutesLater(5) });
    expect(await readCatchUp(stage.dependencies, PLACE)).toMatchObject({ pass: 2, requested: 5 });
    const lost = (await take(stages.sqs, stage.dependencies.copyQueue)).map(parseCopyJob);
    expect(lost.filter(({ backfill }) => backfill)).toHaveLength(4);
    await stage.sweep({ now: minutesLater(10) });
    await stage.workOff(NOW);
    expect(await copies()).toEqual(DAYS.map(() => true));
  });

  it('keeps to the window and the filters of its target', async () => {
    const filters = { minDurationMs: 60_000, tenants: ['acme'] };
    const { stage, copies, order } = await older({}, [ruleTo(TARGET, { ...NIGHTLY, filters })]);
    const { key } = await stage.store('2026-02-02T10:00:00.000Z', 7, { tenant: 'other' });
    await stage.index(key);
    await order();
    await stage.sweep({ now: NOW });
    expect(await stage.workOff(NOW)).toBe(0);
    const night = new Date('2026-11-20T22:00:00.000Z');
    await stage.sweep({ now: night });
    expect(await stage.workOff(night)).toBe(5);
    expect(await copies()).toEqual(DAYS.map(() => true));
  });

  it('that is ordered twice is one; one from an earlier day takes its place', async () => {
    const { stage, order } = await older();
    expect(await order('2026-01-02')).toMatchObject({ isNew: true });
    expect(await order('2026-01-02')).toMatchObject({ isNew: false });
    expect(await order('2026-03-01')).toMatchObject({ isNew: false, backfill: { since: '2026-01-02' } });
    const earlier = orderBackfill(stage.dependencies, {
      homeRegion: HOME,
      target: TARGET,
      since: '2025-12-30',
      now: minutesLater(1),
    });
    expect(await earlier).toMatchObject({ isNew: true, backfill: { since: '2025-12-30' } });
    // The sweep that still goes on with the first one does not bring it back.
    const first = newCatchUp(NOW.toISOString(), '2026-01-02');
    expect(await writeCatchUp(stage.dependencies, PLACE, first, first.startedAt)).toBe(false);
    expect(new BackfillChangedError(TARGET).message).toContain('run the command again');
  });

  it('is estimated without a change: what it would copy now, in recordings and bytes', async () => {
    const { stage, home, recordings } = await older();
    await stage.store('2026-02-02T10:00:00.000Z', 7); // not indexed
    expect(await firstDay(home)).toBe('2025-12-30');
    const estimate = (since: string, given: object = {}) =>
      estimateBackfill(stage.dependencies, home, ruleTo(TARGET, given), { since, now: NOW, page: 2 });
    const bytes = (count: number) => count * 10_500;
    expect(await estimate('2025-12-30')).toEqual({ recordings: 6, copies: 5, bytes: bytes(5), unindexed: 1 });
    expect(await estimate('2026-01-02')).toMatchObject({ recordings: 5, copies: 4, bytes: bytes(4) });
    const { manifest } = recordings[0] as (typeof recordings)[0];
    expect(manifest.files).toHaveLength(2);
    expect(await estimate('2025-12-30', { filters: { tenants: ['other'] } })).toMatchObject({
      copies: 0,
      bytes: 0,
    });
  });
});

describe('the command', () => {
  const run = (...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> =>
    new Promise((resolve) =>
      execFile(
        process.execPath,
        [CLI, ...args],
        {
          env: {
            PATH: process.env.PATH,
            AWS_ENDPOINT_URL: stages.emulator.endpoint,
            AWS_ACCESS_KEY_ID: stages.emulator.credentials.accessKeyId,
            AWS_SECRET_ACCESS_KEY: stages.emulator.credentials.secretAccessKey,
          },
        },
        (error, stdout, stderr) => resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
      ),
    );
  const last = (stdout: string) => JSON.parse(stdout.trimEnd().split('\n').at(-1) as string);

  it('orders what its dry run has counted, once', async () => {
    // Names of buckets and tables follow from the file: here they are those that it gives.
    const deployment = parseDeployment(readFileSync(EXAMPLE, 'utf8'), EXAMPLE);
    const bucket = recordingsBucketName(deployment, HOME);
    const index = { table: stages.table, tableName: indexTableName(deployment) };
    await stages.home.send(new CreateBucketCommand({ Bucket: bucket }));
    await createIndexTable(stages.emulator.dynamo(HOME), index.tableName);
    for (const [i, day] of DAYS.entries()) {
      const startedAt = `${day}T10:00:0${i}.000Z`;
      const { key } = await storeRecording(
        stages.home,
        bucket,
        {},
        { startedAt, recordingId: recordingIdAt(startedAt) },
      );
      await indexManifest({ s3: stages.home, ...index }, { bucket, key });
    }
    const options = ['--deployment', EXAMPLE, '--from', HOME, '--to', TARGET];

    const dry = await run(...options, '--dry-run');
    expect([dry.code, dry.stderr]).toEqual([0, '']);
    const pair = { from: HOME, to: TARGET, since: '2025-12-30' };
    expect(last(dry.stdout)).toEqual({ ...pair, recordings: 5, copies: 5, bytes: 52_500, unindexed: 0 });
    expect(await readCatchUp(index, PLACE)).toBeUndefined();

    for (const isNew of [true, false]) {
      const ordered = await run(...options);
      expect([ordered.code, ordered.stderr]).toEqual([0, '']);
      expect(last(ordered.stdout)).toEqual({ ...pair, isNew, day: '2025-12-30', requested: 0 });
    }
    expect(await readCatchUp(index, PLACE)).toMatchObject({ since: '2025-12-30', pass: 1 });
  });

  it.each([
    [[], '--deployment is missing'],
    [['--deployment', EXAMPLE, '--from', HOME], '--to is missing'],
    [['--deployment', 'none.yaml', '--from', HOME, '--to', TARGET], 'none.yaml'],
    [['--deployment', EXAMPLE, '--from', HOME, '--to', 'eu-west-1'], 'there are: us-west-2'],
    [['--deployment', EXAMPLE, '--from', HOME, '--to', TARGET, '--since', 'May'], 'such as 2026-01-31'],
    [['--until', 'x'], "Unknown option '--until'"],
  ])('says what is wrong with %j', async (args, message) => {
    const { code, stderr } = await run(...args);
    expect(code).toBe(2);
    expect(stderr).toContain(message);
    expect(stderr).toContain('Usage: npm run replication:backfill');
  });
});
