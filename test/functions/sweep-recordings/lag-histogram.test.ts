import {
  addLag,
  type LagHistogram,
  lagPercentiles,
} from '../../../functions/sweep-recordings/lag-histogram.ts';

const of = (lags: number[]) => {
  const histogram: LagHistogram = {};
  for (const lag of lags) addLag(histogram, lag);
  return histogram;
};

it('tells percentiles to 10 %, and of how many', () => {
  const { p50, p95, copies } = lagPercentiles(of(Array.from({ length: 1000 }, (_, i) => i + 1))) ?? {};
  expect(copies).toBe(1000);
  expect(p50).toBeGreaterThanOrEqual(500);
  expect(p50).toBeLessThanOrEqual(550);
  expect(p95).toBeGreaterThanOrEqual(950);
  expect(p95).toBeLessThanOrEqual(1045);
});

it('takes anything up to a second for one, and has no percentiles of nothing', () => {
  expect(lagPercentiles(of([0, 0.2, 1]))).toEqual({ p50: 1, p95: 1, copies: 3 });
  expect(lagPercentiles({})).toBeUndefined();
});

it('stays small: a month is some 150 steps away', () => {
  expect(Math.max(...Object.keys(of([30 * 86_400])).map(Number))).toBeLessThan(160);
});
