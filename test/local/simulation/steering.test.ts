import { weightOf } from '../../../core/srv-policy.ts';
import { Steering } from '../../../local/simulation/steering.ts';

const report = (activeRecordings: number, atSeconds: number) => ({
  state: 'serving' as const,
  activeRecordings,
  callCapacity: 1_000,
  reportedAtMs: atSeconds * 1000,
});

it('runs the policy, remembers what it wrote, and waits while that is on its way', () => {
  const steering = new Steering([
    { slot: 's1', weight: 1_000 },
    { slot: 's2', weight: 1_000 },
  ]);
  steering.report('s1', report(500, 10));
  steering.report('s2', report(0, 10));
  expect(steering.run(12, 40)).toEqual([{ slot: 's1', from: 1_000, to: weightOf(1_000, 500), why: 'load' }]);
  expect(steering.run(13, 40)).toEqual([]);
  steering.report('s1', report(900, 50));
  steering.report('s2', report(900, 50));
  // In sync at 52.
  expect(steering.run(51.9, 40)).toEqual([]);
  expect(steering.run(52, 10).map(({ slot }) => slot)).toEqual(['s2']);
  // Changes of a slot are 60 s apart.
  expect(steering.run(71, 10)).toEqual([]);
  expect(steering.run(73, 10)).toMatchObject([{ slot: 's1', from: weightOf(1_000, 500) }]);
});

it('says of a report whether the state is another', () => {
  const steering = new Steering([{ slot: 's1', weight: 1_000 }]);
  expect(steering.report('s1', report(0, 0))).toBe(false);
  expect(steering.report('s1', { ...report(0, 5), state: 'draining' })).toBe(true);
  expect(steering.report('s1', { ...report(0, 10), state: 'draining' })).toBe(false);
});
