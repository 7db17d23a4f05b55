import { randomOf } from '../../../local/simulation/random.ts';
import {
  callSeconds,
  type LoadShape,
  loadAt,
  MEAN_CALL_SECONDS,
  nextCallAt,
  remainingCallSeconds,
} from '../../../local/simulation/traffic.ts';

const mean = (numbers: number[]): number => numbers.reduce((sum, value) => sum + value, 0) / numbers.length;

describe('lengths of calls', () => {
  const random = randomOf(1, 1);
  const lengths = Array.from({ length: 200_000 }, () => callSeconds(random)).sort((a, b) => a - b);

  it('have the mean that rates are computed with', () => {
    // The standard error is 0.7 s.
    expect(Math.abs(mean(lengths) - MEAN_CALL_SECONDS)).toBeLessThan(4);
  });

  it('have a heavy tail: half are short, and few long ones make up much', () => {
    expect(lengths[100_000]).toBeGreaterThan(80);
    expect(lengths[100_000]).toBeLessThan(96);
    const minutes = lengths.reduce((sum, value) => sum + value, 0);
    const long = lengths.filter((value) => value > 600);
    expect(long.length / lengths.length).toBeLessThan(0.08);
    expect(long.reduce((sum, value) => sum + value, 0) / minutes).toBeGreaterThan(0.28);
    expect(lengths.at(-1)).toBeLessThanOrEqual(4 * 3_600);
  });

  it('of calls found running are what is left of them: on average E[L^2] / 2 E[L]', () => {
    const left = Array.from({ length: 200_000 }, () => remainingCallSeconds(random));
    const expected = mean(lengths.map((value) => value ** 2)) / 2 / mean(lengths);
    expect(Math.abs(mean(left) / expected - 1)).toBeLessThan(0.1);
  });
});

describe('load', () => {
  const ramp: LoadShape = [
    [15, 0.2],
    [75, 0.8],
  ];
  it.each<[string, LoadShape, number, number]>([
    ['is constant with one point', [[0, 0.7]], 50, 0.7],
    ['also before it', [[10, 0.7]], 5, 0.7],
    ['stays before the first point', ramp, 5, 0.2],
    ['is that of a point', ramp, 15, 0.2],
    ['lies on the line between points', ramp, 45, 0.5],
    ['stays after the last', ramp, 200, 0.8],
  ])('%s', (_, shape, minute, share) => {
    expect(loadAt(shape, minute * 60)).toBeCloseTo(share, 9);
  });

  it('brings calls by Little’s law, and follows the shape', () => {
    const random = randomOf(2, 1);
    const perMinute = new Map<number, number>();
    for (let at = nextCallAt(0, ramp, 9_000, random); at < 90 * 60; at = nextCallAt(at, ramp, 9_000, random))
      perMinute.set(Math.floor(at / 60), (perMinute.get(Math.floor(at / 60)) ?? 0) + 1);
    // 9,000 calls at the same time of 180 s each: 50 a second at the share 1.
    const sum = (from: number, to: number) =>
      Array.from({ length: to - from }, (_, index) => perMinute.get(from + index) ?? 0).reduce(
        (a, b) => a + b,
      );
    expect(sum(0, 10) / (10 * 60 * 50)).toBeCloseTo(0.2, 1);
    expect(sum(40, 50) / (10 * 60 * 50)).toBeCloseTo(0.5, 1);
    expect(sum(80, 90) / (10 * 60 * 50)).toBeCloseTo(0.8, 1);
  });

  it('of nothing brings no call', () => {
    expect(nextCallAt(0, [[0, 0]], 9_000, randomOf(1, 1))).toBe(Number.POSITIVE_INFINITY);
  });
});
