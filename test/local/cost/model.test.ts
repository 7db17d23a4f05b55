import { readFileSync } from 'node:fs';
import { expect, it } from '@jest/globals';
import { type Deployment, parseDeployment } from '../../../core/deployment.ts';
import { type Estimate, estimate, type Load, UnknownInstancePriceError } from '../../../local/cost/model.ts';
import { formatEstimate } from '../../../local/cost/report.ts';
import { resourcesOf, STACKS, synthesizeExample } from '../../infra/synth.ts';

const FILE = 'deployments/example.yaml';
const example = (): Deployment => parseDeployment(readFileSync(FILE, 'utf8'), FILE);
const LOAD: Load = {
  recordingsPerDay: 100_000,
  minutes: 3,
  busyHourShare: 0.15,
  queriesPerDay: 1_000,
  playedShare: 0.05,
  retentionDays: 365,
};

const usdOf = ({ lines }: Estimate, what: string): number => {
  const found = lines.filter((line) => line.what === what);
  expect(found).toHaveLength(1);
  return found[0]?.usd as number;
};

it('adds up, and says what a recording costs', () => {
  const { lines, usd, usdPerRecording } = estimate(example(), LOAD);
  expect(usd).toBeCloseTo(
    lines.reduce((sum, line) => sum + line.usd, 0),
    6,
  );
  expect(usdPerRecording).toBeCloseTo(usd / ((100_000 * 730) / 24), 9);
  for (const { what, usd: one, quantity } of lines)
    expect([what, one >= 0, quantity >= 0]).toEqual([what, true, true]);
});

it('knows what grows with the calls, with the time that they are kept, and with the slots', () => {
  const one = estimate(example(), LOAD);
  const twice = estimate(example(), { ...LOAD, recordingsPerDay: 200_000 });
  const longer = estimate(example(), { ...LOAD, retentionDays: 730 });
  const deployment = example();
  const [east] = deployment.regions;
  east?.slots.push({ name: 'use1-4', zone: 'us-east-1a', callCapacity: 1_000 });
  const more = estimate(deployment, LOAD);
  for (const what of [
    'recordings kept, home',
    'recordings kept, copies',
    'copied to other regions',
    'index writes',
  ])
    expect(usdOf(twice, what)).toBeCloseTo(2 * usdOf(one, what), 6);
  expect(usdOf(longer, 'recordings kept, home')).toBeCloseTo(2 * usdOf(one, 'recordings kept, home'), 6);
  expect(usdOf(longer, 'copied to other regions')).toBe(usdOf(one, 'copied to other regions'));
  for (const what of ['instances c7g.xlarge', 'public addresses', 'health checks'])
    expect(usdOf(more, what)).toBeCloseTo((7 / 6) * usdOf(one, what), 6);
  expect(usdOf(more, 'recordings kept, home')).toBe(usdOf(one, 'recordings kept, home'));
});

it.each([
  ['without a domain', undefined],
  ['with a domain', 'api.rec.example.com'],
])('counts what alarms watch, as AWS does, %s', (_, domain) => {
  const synthesized = synthesizeExample((deployment) => ({
    ...deployment,
    api: { ...deployment.api, domain },
  }));
  const watched = Object.values(synthesized.regions)
    .flatMap(({ template }) => STACKS.map(template))
    .flatMap((template) => Object.values(resourcesOf(template, 'AWS::CloudWatch::Alarm')))
    .flatMap(({ Properties }) =>
      Properties.Metrics
        ? Properties.Metrics.filter(({ MetricStat }: { MetricStat?: unknown }) => MetricStat)
        : [1],
    );
  synthesized.remove();
  const [alarms] = estimate(synthesized.deployment, LOAD).lines.filter(({ what }) => what === 'alarms');
  expect(alarms?.quantity).toBe(watched.length);
});

it('counts copies as the deployment makes them', () => {
  const deployment = example();
  deployment.replication = deployment.replication.filter(({ from }) => from === 'us-east-1');
  expect(usdOf(estimate(deployment, LOAD), 'copied to other regions')).toBeCloseTo(
    usdOf(estimate(example(), LOAD), 'copied to other regions') / 2,
    6,
  );
  deployment.replication = [];
  expect(usdOf(estimate(deployment, LOAD), 'recordings kept, copies')).toBe(0);
});

it('warns when the first tier without its largest slot does not take the busiest hour', () => {
  const small = estimate(example(), LOAD);
  expect(small).toMatchObject({ busyHourCalls: 750, capacity: 3_000, capacityWithoutOne: 2_000 });
  expect(formatEstimate(small)).not.toContain('NOT ENOUGH');
  expect(formatEstimate(estimate(example(), { ...LOAD, recordingsPerDay: 300_000 }))).toContain('NOT ENOUGH');
});

it('refuses an instance without a price, and says what to do', () => {
  const deployment = example();
  deployment.recorders = { ...deployment.recorders, instanceType: 'c9q.xlarge' };
  expect(() => estimate(deployment, LOAD)).toThrow(UnknownInstancePriceError);
  expect(() => estimate(deployment, LOAD)).toThrow(/c9q\.xlarge.*local\/cost\/prices\.ts/);
});

it('costs without a call what stands there', () => {
  const { usd, usdPerRecording, managedUsd } = estimate(example(), { ...LOAD, recordingsPerDay: 0 });
  expect(usd).toBeGreaterThan(500);
  expect([usdPerRecording, managedUsd]).toEqual([0, 0]);
});
