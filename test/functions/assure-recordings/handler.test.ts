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
  createFleetTable,
  createIndexTable,
  EMULATOR_START_TIMEOUT_MS,
  startTestEmulator,
  type TestEmulator,
} from '../../helpers/emulator.ts';
import { enterFunction } from '../../helpers/function-environment.ts';

const REGION = 'us-east-1';

let emulator: TestEmulator;
let leave: (() => void) | undefined;
let handler: () => Promise<void>;
let printed: unknown[];
beforeAll(async () => {
  emulator = await startTestEmulator();
  await createFleetTable(emulator.dynamo(REGION), 'fleet');
  leave = enterFunction(emulator, REGION, {
    [FLEET_TABLE]: 'fleet',
    [INDEX_TABLE]: 'index',
    [SLOTS]: '["use1-1","use1-2"]',
    [METRICS_NAMESPACE_VARIABLE]: 'SiprecHa/example',
    POWERTOOLS_LOG_LEVEL: 'SILENT',
  });
  ({ handler } = await import('../../../functions/assure-recordings/handler.ts'));
}, EMULATOR_START_TIMEOUT_MS);
afterAll(async () => {
  leave?.();
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
