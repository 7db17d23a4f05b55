import { CreateBucketCommand, type S3Client } from '@aws-sdk/client-s3';
import { jest } from '@jest/globals';
import type { Context, SQSBatchResponse, SQSEvent, SQSRecord } from 'aws-lambda';
import { METRICS } from '../../../functions/index-recording/constants.ts';
import { findRecording } from '../../../functions/query-api/search.ts';
import { INDEX_TABLE, METRICS_NAMESPACE_VARIABLE } from '../../../functions/shared/environment.ts';
import { metricPoints, sumOf } from '../../helpers/embedded-metrics.ts';
import {
  createIndexTable,
  EMULATOR_START_TIMEOUT_MS,
  putManifest,
  startTestEmulator,
  type TestEmulator,
} from '../../helpers/emulator.ts';
import { enterFunction } from '../../helpers/function-environment.ts';
import { makeManifest } from '../../helpers/manifest.ts';

const REGION = 'us-east-1';
const BUCKET = 'recordings';
const TABLE = 'index';

let emulator: TestEmulator;
let leave: (() => void) | undefined;
let s3: S3Client;
let handler: (event: SQSEvent) => Promise<SQSBatchResponse>;
let printed: unknown[];
beforeEach(() => {
  printed = [];
  jest.spyOn(console, 'log').mockImplementation((text: string) => void printed.push(JSON.parse(text)));
});
afterEach(() => jest.restoreAllMocks());

beforeAll(async () => {
  emulator = await startTestEmulator();
  s3 = emulator.s3(REGION);
  await s3.send(new CreateBucketCommand({ Bucket: BUCKET }));
  await createIndexTable(emulator.dynamo(REGION), TABLE);
  leave = enterFunction(emulator, REGION, {
    [INDEX_TABLE]: TABLE,
    POWERTOOLS_LOG_LEVEL: 'SILENT',
    [METRICS_NAMESPACE_VARIABLE]: 'SiprecHa/example',
  });
  const module = await import('../../../functions/index-recording/handler.ts');
  handler = async (event) =>
    (await module.handler(
      event,
      { getRemainingTimeInMillis: () => 30_000 } as Context,
      () => {},
    )) as SQSBatchResponse;
}, EMULATOR_START_TIMEOUT_MS);
afterAll(async () => {
  leave?.();
  await emulator.stop();
});

const notification = (...keys: string[]): string =>
  JSON.stringify({
    Records: keys.map((key) => ({
      eventName: 'ObjectCreated:Put',
      s3: { bucket: { name: BUCKET }, object: { key: encodeURIComponent(key) } },
    })),
  });

const batch = (bodies: Record<string, string>): SQSEvent => ({
  Records: Object.entries(bodies).map(
    ([messageId, body]) =>
      ({ messageId, body, eventSource: 'aws:sqs', attributes: {} }) as unknown as SQSRecord,
  ),
});

const isIndexed = async (recordingId: string): Promise<boolean> =>
  (await findRecording({ table: emulator.documents(REGION), tableName: TABLE }, recordingId)) !== undefined;

describe('index-recording', () => {
  it('gives back only the messages that failed', async () => {
    const good = [makeManifest(), makeManifest(), makeManifest()];
    const bad = makeManifest({ revision: -1 });
    const keys = await Promise.all([...good, bad].map((manifest) => putManifest(s3, BUCKET, manifest)));
    const [first, second, third, invalid] = keys as [string, string, string, string];
    const answer = await handler(
      batch({
        one: notification(first),
        rubbish: 'not a notification',
        two: notification(second, third),
        invalid: notification(invalid),
        test: JSON.stringify({ Service: 'Amazon S3', Event: 's3:TestEvent' }),
        foreign: notification('other/object'),
      }),
    );
    expect(answer).toEqual({
      batchItemFailures: [{ itemIdentifier: 'rubbish' }, { itemIdentifier: 'invalid' }],
    });
    expect(await Promise.all(good.map(({ recordingId }) => isIndexed(recordingId)))).toEqual([
      true,
      true,
      true,
    ]);
    expect(await isIndexed(bad.recordingId)).toBe(false);
  });

  it('gives back all messages when all failed, rather than failing itself', async () => {
    expect(await handler(batch({ a: '', b: '{}' }))).toEqual({
      batchItemFailures: [{ itemIdentifier: 'a' }, { itemIdentifier: 'b' }],
    });
  });

  it('remembers nothing of the batch before', async () => {
    const manifest = makeManifest();
    const key = await putManifest(s3, BUCKET, manifest);
    expect(await handler(batch({ a: notification(key) }))).toEqual({ batchItemFailures: [] });
    expect(await isIndexed(manifest.recordingId)).toBe(true);
  });

  it('tells how many recordings came with which status, and how late', async () => {
    const manifests = (['complete', 'partial', 'partial', 'recovered'] as const).map((status) =>
      makeManifest({ status }),
    );
    const keys = await Promise.all(manifests.map((manifest) => putManifest(s3, BUCKET, manifest)));
    await handler(batch({ a: notification(...keys), again: notification(...keys), bad: '' }));
    const points = metricPoints(printed);
    expect(new Set(points.map(({ namespace }) => namespace))).toEqual(new Set(['SiprecHa/example']));
    const service = 'index-recording';
    const counts = ['complete', 'partial', 'recovered'].map((status) =>
      sumOf(points, METRICS.recordings, { service, status }),
    );
    expect(counts).toEqual([1, 2, 1]);
    expect(sumOf(points, METRICS.imperfect, { service })).toBe(3);
    const lags = printed.flatMap((line) => (line as Record<string, number[]>)[METRICS.lag] ?? []);
    expect(lags).toHaveLength(4); // none for what was there already
    expect(Math.max(...lags)).toBeLessThan(60);
    expect(Math.min(...lags)).toBeGreaterThanOrEqual(0);
  });
});
