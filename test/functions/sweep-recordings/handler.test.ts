/** The handler as Lambda calls it: what it tells CloudWatch of a run. */
import { CreateBucketCommand } from '@aws-sdk/client-s3';
import { CreateQueueCommand } from '@aws-sdk/client-sqs';
import { PutCommand } from '@aws-sdk/lib-dynamodb';
import { jest } from '@jest/globals';
import type { Context } from 'aws-lambda';
import { recordingItem } from '../../../core/index-items.ts';
import {
  COPY_QUEUE,
  INDEX_TABLE,
  MANIFEST_EVENTS,
  RECORDING_PLACES,
  REPLICATION_RULES,
} from '../../../functions/shared/environment.ts';
import { METRICS } from '../../../functions/sweep-recordings/constants.ts';
import {
  createIndexTable,
  EMULATOR_START_TIMEOUT_MS,
  startTestEmulator,
  type TestEmulator,
} from '../../helpers/emulator.ts';
import { enterFunction } from '../../helpers/function-environment.ts';
import { recordingIdAt } from '../../helpers/manifest.ts';
import { ruleTo } from '../../helpers/replication-rules.ts';
import { storeRecording } from '../../helpers/stored-recording.ts';

const HOME = 'us-east-1';
const TARGET = 'us-west-2';

let emulator: TestEmulator;
let leave: (() => void) | undefined;
let handler: (event: unknown, context: Context) => Promise<unknown>;
const printed: Record<string, unknown>[] = [];

beforeAll(async () => {
  emulator = await startTestEmulator();
  for (const region of [HOME, TARGET])
    await emulator.s3(region).send(new CreateBucketCommand({ Bucket: `recordings-${region}` }));
  await createIndexTable(emulator.dynamo(HOME), 'index');
  const queue = async (QueueName: string) =>
    (await emulator.sqs(HOME).send(new CreateQueueCommand({ QueueName }))).QueueUrl as string;
  const place = (region: string) => ({ bucket: `recordings-${region}`, kmsKeyId: 'key' });
  leave = enterFunction(emulator, HOME, {
    [INDEX_TABLE]: 'index',
    [COPY_QUEUE]: await queue('copy-jobs'),
    [MANIFEST_EVENTS]: await queue('manifest-events'),
    [REPLICATION_RULES]: JSON.stringify([ruleTo(TARGET)]),
    [RECORDING_PLACES]: JSON.stringify({ [HOME]: place(HOME), [TARGET]: place(TARGET) }),
    POWERTOOLS_LOG_LEVEL: 'SILENT',
  });
  jest.spyOn(console, 'log').mockImplementation((line: string) => {
    printed.push(JSON.parse(line));
  });
  ({ handler } = await import('../../../functions/sweep-recordings/handler.ts'));
}, EMULATOR_START_TIMEOUT_MS);
afterAll(async () => {
  jest.restoreAllMocks();
  leave?.();
  await emulator.stop();
});

const run = (remainingMs: number, event: unknown = {}) =>
  handler(event, { getRemainingTimeInMillis: () => remainingMs } as unknown as Context);

it('tells what it found, and the backlog only at the end of a round', async () => {
  const startedAt = new Date(Date.now() - 3 * 3_600_000).toISOString();
  const { manifest } = await storeRecording(
    emulator.s3(HOME),
    `recordings-${HOME}`,
    {},
    { startedAt, recordingId: recordingIdAt(startedAt) },
  );
  await emulator.documents(HOME).send(new PutCommand({ TableName: 'index', Item: recordingItem(manifest) }));

  await run(1_000);
  expect(printed).toMatchObject([
    { [METRICS.looked]: 0, [METRICS.unindexed]: 0 },
    { target: TARGET, [METRICS.requested]: 0 },
  ]);
  expect(printed[1]).not.toHaveProperty(METRICS.backlog);

  printed.length = 0;
  expect(await run(300_000, { dryRun: true })).toMatchObject({ copies: { [TARGET]: { requested: 1 } } });
  await expect(run(300_000, { dryRun: 'yes' })).rejects.toThrow('dryRun');
  expect(printed).toEqual([]);

  expect(await run(300_000, { source: 'aws.events' })).toBeUndefined();
  expect(printed).toMatchObject([
    { [METRICS.looked]: 1, [METRICS.unindexed]: 0 },
    { target: TARGET, [METRICS.requested]: 1, [METRICS.damaged]: 0, [METRICS.backlog]: 1 },
  ]);
  const age = printed[1]?.[METRICS.backlogAge];
  expect(age).toBeGreaterThan(3 * 3_600 - 61);
  expect(age).toBeLessThan(3 * 3_600 + 600);
});
