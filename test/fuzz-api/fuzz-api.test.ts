import { CLOUD_START_TIMEOUT_MS } from '../e2e/cloud.ts';
import { fuzzAs } from './fuzz-api.ts';
import { leaksIn } from './signing-proxy.ts';
import { type FuzzStage, startFuzzStage, TENANTS } from './stage.ts';

/** Of each caller. */
const SECONDS = 30;
const SEED = 6;
const TIMEOUT_MS = 5 * 60_000;

let stage: FuzzStage;
beforeAll(async () => {
  stage = await startFuzzStage();
}, CLOUD_START_TIMEOUT_MS);
afterAll(() => stage?.stop());

describe('the deployed API, fuzzed from its OpenAPI document', () => {
  it.each(TENANTS)(
    'answers as it is documented, and shows a caller of %s nothing of anybody else',
    async (tenant) => {
      const { passed, output, leaks, statuses } = await fuzzAs(stage, tenant, {
        seconds: SECONDS,
        seed: SEED,
      });
      expect({ leaks, findings: passed ? '' : output }).toEqual({ leaks: [], findings: '' });
      // What exists was reached, and what does not, or is another's.
      for (const status of ['200', '400', '404']) expect(Object.keys(statuses)).toContain(status);
    },
    TIMEOUT_MS,
  );
});

describe('leaksIn', () => {
  it('finds what belongs to others, unless it is what was asked for', () => {
    expect(leaksIn('/recordings', '{"tenant":"globex"}', ['"globex"', 'globex-'])).toEqual([
      { request: '/recordings', found: '"globex"' },
    ]);
    expect(leaksIn('/calls/globex%2D1', '{"detail":"no call globex-1"}', ['globex-'])).toEqual([]);
  });
});
