import { jest } from '@jest/globals';
import { FLEET_TABLE } from '../../../functions/shared/environment.ts';
import { METRICS, STEERED_NAMES, ZONE as ZONE_NAME } from '../../../functions/steer-traffic/constants.ts';
import { EMULATOR_START_TIMEOUT_MS } from '../../helpers/emulator.ts';
import { enterFunction } from '../../helpers/function-environment.ts';
import { NAMES, REGION, SteeringStage, TABLE, wanted, ZONE } from './stage.ts';

let stage: SteeringStage;
let leave: (() => void) | undefined;
let handler: () => Promise<void>;
let printed: Record<string, unknown>[];

beforeAll(async () => {
  stage = await SteeringStage.open();
  leave = enterFunction(
    stage.emulator,
    REGION,
    {
      [FLEET_TABLE]: TABLE,
      [ZONE_NAME]: ZONE,
      [STEERED_NAMES]: JSON.stringify(NAMES),
    },
    stage.proxy.endpoint,
  );
  ({ handler } = await import('../../../functions/steer-traffic/handler.ts'));
}, EMULATOR_START_TIMEOUT_MS);
afterAll(async () => {
  leave?.();
  await stage?.close();
});

beforeEach(async () => {
  printed = [];
  const keep = (text: string) => void printed.push(JSON.parse(text));
  for (const method of ['log', 'info', 'warn', 'error'] as const)
    jest.spyOn(console, method).mockImplementation(keep);
  await stage.reset();
});
afterEach(() => jest.restoreAllMocks());

/** Values of a metric in what was printed, with its dimension. */
const valuesOf = (metric: string, dimension: string) =>
  printed.filter((line) => metric in line).map((line) => [line[dimension], line[metric]]);

describe('the function', () => {
  it('steers, and says what it found and did', async () => {
    await stage.report('use1-1', 600, Date.now());
    await handler();
    expect(await stage.weights()).toMatchObject({ 'use1-1 _udp': wanted(600), 'use1-1 _tcp': wanted(600) });
    expect(Object.fromEntries(valuesOf(METRICS.weight, 'slot'))).toMatchObject({ 'use1-1': wanted(600) });
    expect(valuesOf(METRICS.withoutFreshReport, 'service')).toEqual([['steer-traffic', 1]]);
    expect(valuesOf(METRICS.missingRecords, 'service')).toEqual([['steer-traffic', 0]]);
    const [[, age] = [], ...more] = valuesOf(METRICS.oldestReport, 'service');
    expect(more).toEqual([]);
    expect(age).toBeGreaterThanOrEqual(0);
    expect(age).toBeLessThan(30);
    const [[, changes] = []] = valuesOf(METRICS.changes, 'service');
    expect(changes).toBeGreaterThanOrEqual(2);
    expect(valuesOf(METRICS.skipped, 'reason')).toEqual([]);
    expect(valuesOf(METRICS.failed, 'service')).toEqual([['steer-traffic', 0]]);
  });

  it('ends well when nothing answers, so that nobody calls it again, and says why it did nothing', async () => {
    stage.proxy.fault = () => ({ status: 503, code: 'ServiceUnavailable' });
    await handler();
    expect(valuesOf(METRICS.skipped, 'reason')).toEqual([['unavailable', 1]]);
    expect(valuesOf(METRICS.failed, 'service')).toEqual([['steer-traffic', 1]]);
    for (const unknown of [METRICS.weight, METRICS.withoutFreshReport, METRICS.oldestReport])
      expect(valuesOf(unknown, 'slot')).toEqual([]);
  });
});
