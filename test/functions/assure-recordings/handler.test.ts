import { PutCommand } from '@aws-sdk/lib-dynamodb';
import { jest } from '@jest/globals';
import { FLEET_KEY } from '../../../core/fleet.ts';
import { ledgerItemId } from '../../../core/recording-ledger.ts';
import { METRICS, SLOTS } from '../../../functions/assure-recordings/constants.ts';
import {
  FLEET_TABLE,
  INDEX_TABLE,
  METRICS_NAMESPACE_VARIABLE,
} from '../../../functions/shared/environment.ts';
import { RecordingLedger } from '../../../recorder-image/src/health/recording-ledger.ts';
import { metricPoints } from '../../helpers/embedded-metrics.ts';
import {
  createIndexTable,
  EMULATOR_START_TIMEOUT_MS,
  startTestEmulator,
  type TestEmulator,
} from '../../helpers/emulator.ts';
import { createFleetTable } from '../../recorder-image/health/fleet.ts';

const REGION = 'us-east-1';
const ENVIRONMENT = { ...process.env };

let emulator: TestEmulator;
let handler: () => Promise<void>;
let printed: unknown[];
beforeAll(async () => {
  emulator = await startTestEmulator();
  await createFleetTable(emulator.dynamo(REGION), 'fleet');
  for (const name of Object.keys(process.env)) if (name.startsWith('AWS_')) delete process.env[name];
  Object.assign(process.env, {
    AWS_ENDPOINT_URL: emulator.endpoint,
    AWS_ACCESS_KEY_ID: emulator.credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: emulator.credentials.secretAccessKey,
    AWS_REGION: REGION,
    [FLEET_TABLE]: 'fleet',
    [INDEX_TABLE]: 'index',
    [SLOTS]: '["use1-1","use1-2"]',
    [METRICS_NAMESPACE_VARIABLE]: 'SiprecHa/example',
    POWERTOOLS_LOG_LEVEL: 'SILENT',
    POWERTOOLS_DEV: 'true', // metrics go to the console of here,
    POWERTOOLS_METRICS_DISABLED: 'false', // which alone would mean: no metrics
  });
  ({ handler } = await import('../../../functions/assure-recordings/handler.ts'));
}, EMULATOR_START_TIMEOUT_MS);
afterAll(async () => {
  process.env = ENVIRONMENT;
  await emulator.stop();
});
beforeEach(() => {
  printed = [];
  jest.spyOn(console, 'log').mockImplementation((text: string) => void printed.push(JSON.parse(text)));
});
afterEach(() => jest.restoreAllMocks());

describe('assure-recordings', () => {
  it('fails while it cannot see the index, and tells nothing: silence is an alarm', async () => {
    const ledger = new RecordingLedger({ slot: 'use1-1' });
    ledger.begun('one', new Date().toISOString());
    ledger.begun('two', new Date().toISOString());
    ledger.released('two');
    for (const entry of ledger.entries())
      await emulator
        .documents(REGION)
        .send(new PutCommand({ TableName: 'fleet', Item: { [FLEET_KEY]: ledgerItemId(entry), ...entry } }));
    await expect(handler()).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
    expect(metricPoints(printed)).toEqual([]);
  });

  it('tells of the region and of each slot', async () => {
    await createIndexTable(emulator.dynamo(REGION), 'index');
    await handler();
    const service = 'assure-recordings';
    expect(
      metricPoints(printed).map(({ namespace, name, value, dimensions }) => [
        namespace,
        name,
        value,
        ...dimensions,
      ]),
    ).toEqual([
      ['SiprecHa/example', METRICS.missing, 0, { service }],
      ['SiprecHa/example', METRICS.open, 1, { service }],
      ['SiprecHa/example', METRICS.missing, 0, { service, slot: 'use1-1' }],
      ['SiprecHa/example', METRICS.missing, 0, { service, slot: 'use1-2' }],
    ]);
  });
});
