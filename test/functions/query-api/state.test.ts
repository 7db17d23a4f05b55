/** What the API says of the deployment itself: fleet and health. */
import { CreateBucketCommand } from '@aws-sdk/client-s3';
import { PutCommand } from '@aws-sdk/lib-dynamodb';
import { FLEET_KEY, STEERING_ITEM_ID, slotItemId } from '../../../core/fleet.ts';
import { replicationReportKey } from '../../../core/replication-report.ts';
import type { HandlerDependencies } from '../../../functions/query-api/handlers.ts';
import {
  createFleetTable,
  createIndexTable,
  EMULATOR_START_TIMEOUT_MS,
  startTestEmulator,
  type TestEmulator,
} from '../../helpers/emulator.ts';
import { ask, SILENT } from './ask.ts';

const REGION = 'us-east-1';
let emulator: TestEmulator;

beforeAll(async () => {
  emulator = await startTestEmulator();
  await createIndexTable(emulator.dynamo(REGION), 'index');
  await createFleetTable(emulator.dynamo(REGION), 'fleet');
  await emulator.s3(REGION).send(new CreateBucketCommand({ Bucket: 'recordings' }));
}, EMULATOR_START_TIMEOUT_MS);
afterAll(() => emulator.stop());

const dependencies = (given: Partial<HandlerDependencies> = {}): HandlerDependencies => ({
  index: { table: emulator.documents(REGION), tableName: 'index' },
  s3For: (region) => emulator.s3(region),
  region: REGION,
  regions: ['us-east-1'],
  retention: { days: 100 },
  bucket: 'recordings',
  fleet: {
    table: emulator.documents(REGION),
    tableName: 'fleet',
    slotsByZone: { 'us-east-1a': ['use1-1', 'use1-3'], 'us-east-1b': ['use1-2', 'use1-4'] },
  },
  replicationPairs: [
    { from: REGION, to: 'us-west-2' },
    { from: 'us-west-2', to: REGION },
  ],
  logger: SILENT,
  ...given,
});

const put = (id: string, item: object) =>
  emulator.documents(REGION).send(new PutCommand({ TableName: 'fleet', Item: { [FLEET_KEY]: id, ...item } }));

const load = {
  activeRecordings: 3,
  callCapacity: 100,
  cpuShare: 0.25,
  loopDelayMs: 1.5,
  rtpDrops: 0,
  spoolFill: 0.1,
};
const report = (slot: string, reportedAt: Date, given: object = {}) => ({
  slot,
  region: REGION,
  state: 'serving',
  stateChanged: false,
  reasons: [],
  reportedAt: reportedAt.toISOString(),
  ...load,
  version: '0.1.0',
  expiresAt: 1,
  ...given,
});

describe('GET /fleet', () => {
  it('has every slot of the region, also those that say nothing', async () => {
    const now = Date.now();
    const changedAt = '2026-11-23T10:00:00.000Z';
    await put(slotItemId('use1-1'), report('use1-1', new Date(now)));
    await put(
      slotItemId('use1-2'),
      report('use1-2', new Date(now), { state: 'draining', reasons: ['draining'] }),
    );
    await put(slotItemId('use1-3'), report('use1-3', new Date(now - 60_000)));
    await put(STEERING_ITEM_ID, {
      changedAt: { 'use1-1': changedAt },
      weights: { 'use1-1': 97, 'use1-3': 0 },
    });
    const { status, body } = await ask(dependencies(), '/fleet');
    expect(status).toBe(200);
    expect(body).toEqual({
      region: REGION,
      slots: [
        {
          slot: 'use1-1',
          zone: 'us-east-1a',
          state: 'serving',
          reasons: [],
          reportedAt: new Date(now).toISOString(),
          reportAgeSeconds: expect.any(Number),
          version: '0.1.0',
          load,
          weight: 97,
          weightChangedAt: changedAt,
        },
        expect.objectContaining({ slot: 'use1-3', state: 'silent', weight: 0, load }),
        expect.objectContaining({
          slot: 'use1-2',
          zone: 'us-east-1b',
          state: 'draining',
          reasons: ['draining'],
        }),
        { slot: 'use1-4', zone: 'us-east-1b', state: 'silent' },
      ],
    });
    const [first, third] = (body.slots as { reportAgeSeconds: number }[]).map(
      (slot) => slot.reportAgeSeconds,
    );
    expect(first).toBeLessThan(30);
    expect(third).toBeGreaterThanOrEqual(60);
  });

  it('takes an item that is no report of the slot for none', async () => {
    await put(slotItemId('use1-4'), report('use1-1', new Date()));
    const { body } = await ask(dependencies(), '/fleet');
    expect((body.slots as object[])[3]).toEqual({ slot: 'use1-4', zone: 'us-east-1b', state: 'silent' });
  });
});

describe('GET /health', () => {
  it('says how long index and storage took to answer', async () => {
    const { status, body } = await ask(dependencies(), '/health');
    expect(status).toBe(200);
    const ok = { state: 'ok', latencyMs: expect.any(Number) };
    expect(body).toEqual({ status: 'healthy', checks: { index: ok, storage: ok } });
  });

  it.each([
    ['index', { index: { tableName: 'no-table' } }],
    ['storage', { bucket: 'no-bucket' }],
  ])('answers 503 when the %s cannot be read', async (failed, given) => {
    const { index } = dependencies();
    const broken = { ...given, ...('index' in given && { index: { ...index, ...given.index } }) };
    const { status, body } = await ask(dependencies(broken as Partial<HandlerDependencies>), '/health');
    expect(status).toBe(503);
    expect(body).toMatchObject({
      status: 'unhealthy',
      checks: { index: { state: 'ok' }, storage: { state: 'ok' }, [failed]: { state: 'failed' } },
    });
  });
});

describe('GET /replication', () => {
  it('has the last report of each pair of regions, and the pairs that have none', async () => {
    const report = {
      from: 'us-west-2',
      to: REGION,
      mode: 'onCompletion',
      at: '2026-11-23T10:00:00.000Z',
      figures: { countedAt: '2026-11-23T09:59:00.000Z', waiting: 2, damaged: 0 },
    };
    const Item = { ...replicationReportKey(report), ...report };
    await emulator.documents(REGION).send(new PutCommand({ TableName: 'index', Item }));
    const { status, body } = await ask(dependencies(), '/replication');
    expect(status).toBe(200);
    expect(body).toEqual({ pairs: [{ from: REGION, to: 'us-west-2' }, report] });
  });
});
