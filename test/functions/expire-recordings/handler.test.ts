/** The handler as Lambda calls it: what it reads from its environment, and what it tells CloudWatch of a run. */
import { CreateBucketCommand } from '@aws-sdk/client-s3';
import { jest } from '@jest/globals';
import type { Context } from 'aws-lambda';
import { METRICS } from '../../../functions/expire-recordings/constants.ts';
import { indexManifest } from '../../../functions/index-recording/index-recording.ts';
import { INDEX_TABLE, RECORDING_BUCKETS, RETENTION } from '../../../functions/shared/environment.ts';
import {
  createIndexTable,
  EMULATOR_START_TIMEOUT_MS,
  startTestEmulator,
  type TestEmulator,
} from '../../helpers/emulator.ts';
import { enterFunction } from '../../helpers/function-environment.ts';
import { recordingIdAt } from '../../helpers/manifest.ts';
import { storeRecording } from '../../helpers/stored-recording.ts';

const REGION = 'us-east-1';

let emulator: TestEmulator;
let leave: (() => void) | undefined;
let handler: (event: unknown, context: Context) => Promise<void>;
const printed: Record<string, unknown>[] = [];

beforeAll(async () => {
  emulator = await startTestEmulator();
  await emulator.s3(REGION).send(new CreateBucketCommand({ Bucket: 'recordings' }));
  await createIndexTable(emulator.dynamo(REGION), 'index');
  leave = enterFunction(emulator, REGION, {
    [INDEX_TABLE]: 'index',
    [RECORDING_BUCKETS]: JSON.stringify({ [REGION]: 'recordings' }),
    [RETENTION]: JSON.stringify({ days: 365, tenants: { acme: 1 } }),
    POWERTOOLS_LOG_LEVEL: 'SILENT',
  });
  jest.spyOn(console, 'log').mockImplementation((line: string) => {
    printed.push(JSON.parse(line));
  });
  ({ handler } = await import('../../../functions/expire-recordings/handler.ts'));
}, EMULATOR_START_TIMEOUT_MS);
afterAll(async () => {
  jest.restoreAllMocks();
  leave?.();
  await emulator.stop();
});

const run = (remainingMs: number) =>
  handler({}, { getRemainingTimeInMillis: () => remainingMs } as unknown as Context);

it('deletes what is past its retention by the policy that it is told, while it has time, and counts', async () => {
  const startedAt = new Date(Date.now() - 2 * 86_400_000).toISOString();
  for (const tenant of ['acme', 'other']) {
    const given = { startedAt, recordingId: recordingIdAt(startedAt), tenant };
    const { key } = await storeRecording(emulator.s3(REGION), 'recordings', {}, given);
    const index = { table: emulator.documents(REGION), tableName: 'index' };
    await indexManifest({ s3: emulator.s3(REGION), ...index }, { bucket: 'recordings', key });
  }
  await run(60_000);
  expect(printed).toMatchObject([{ [METRICS.begun]: 0, [METRICS.deleted]: 0, [METRICS.failed]: 0 }]);
  await run(300_000);
  expect(printed[1]).toMatchObject({ [METRICS.begun]: 1, [METRICS.deleted]: 1, [METRICS.open]: 0 });
});
