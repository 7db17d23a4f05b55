import { orderSrv } from '../../../local/broadworks/srv-selection.ts';

/** A generator that gives the same sequence in every run. */
function seeded(): () => number {
  let state = 7;
  return () => {
    state = (state * 48_271) % 0x7fff_ffff;
    return state / 0x7fff_ffff;
  };
}

const record = (name: string, priority: number, weight: number) => ({ name, priority, weight });

/** How often each record comes first. */
function firsts(
  records: { name: string; priority: number; weight: number }[],
  draws: number,
): Map<string, number> {
  const random = seeded();
  const counts = new Map(records.map(({ name }) => [name, 0]));
  for (let draw = 0; draw < draws; draw++) {
    const name = orderSrv(records, random)[0]?.name ?? '';
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}

it('puts lower priorities first, whatever the weights', () => {
  const records = [record('backup', 20, 1_000), record('first', 10, 1), record('last', 30, 0)];
  for (let draw = 0; draw < 50; draw++) {
    expect(orderSrv(records, Math.random).map(({ name }) => name)).toEqual(['first', 'backup', 'last']);
  }
});

it('returns every record exactly once', () => {
  const records = [0, 0, 5, 10, 100].map((weight, index) => record(`r${index}`, 10, weight));
  for (let draw = 0; draw < 200; draw++) {
    expect(new Set(orderSrv(records, Math.random).map(({ name }) => name)).size).toBe(5);
  }
});

it('chooses in proportion to the weights', () => {
  const counts = firsts([record('a', 10, 600), record('b', 10, 300), record('c', 10, 100)], 10_000);
  // Standard deviations are below 50.
  expect(Math.abs((counts.get('a') ?? 0) - 6_000)).toBeLessThan(200);
  expect(Math.abs((counts.get('b') ?? 0) - 3_000)).toBeLessThan(200);
  expect(Math.abs((counts.get('c') ?? 0) - 1_000)).toBeLessThan(150);
});

it('leaves weight 0 a very small chance beside others: 1 in sum + 1', () => {
  const counts = firsts([record('heavy', 10, 99), record('zero', 10, 0)], 20_000);
  // Expected 200, standard deviation 14.
  expect(Math.abs((counts.get('zero') ?? 0) - 200)).toBeLessThan(60);
});

it('chooses by the inclusive ends of the range', () => {
  const records = [record('heavy', 10, 9), record('zero', 10, 0)];
  expect(orderSrv(records, () => 0)[0]?.name).toBe('zero');
  expect(orderSrv(records, () => 0.1)[0]?.name).toBe('heavy');
  expect(orderSrv(records, () => 0.999_999)[0]?.name).toBe('heavy');
});

it('takes records that all have weight 0 as they come', () => {
  const records = ['a', 'b', 'c'].map((name) => record(name, 10, 0));
  expect(orderSrv(records, Math.random)).toEqual(records);
});

it('orders nothing into nothing', () => {
  expect(orderSrv([], Math.random)).toEqual([]);
});
