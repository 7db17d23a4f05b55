import { exponential, normal, randomOf } from '../../../local/simulation/random.ts';

const draw = (count: number, next: () => number): number[] => Array.from({ length: count }, next);
const mean = (numbers: number[]): number => numbers.reduce((sum, value) => sum + value, 0) / numbers.length;

it('gives the same numbers for the same seed, others for another seed or stream', () => {
  const first = draw(5, randomOf(1, 1));
  expect(draw(5, randomOf(1, 1))).toEqual(first);
  expect(draw(5, randomOf(2, 1))).not.toEqual(first);
  expect(draw(5, randomOf(1, 2))).not.toEqual(first);
});

it('is uniform in [0, 1), from the first numbers of neighbouring seeds on', () => {
  const firsts = Array.from({ length: 10_000 }, (_, seed) => randomOf(seed, 1)());
  for (const numbers of [draw(10_000, randomOf(7, 1)), firsts]) {
    expect(numbers.every((value) => value >= 0 && value < 1)).toBe(true);
    const counts = new Array<number>(10).fill(0);
    for (const value of numbers) counts[Math.floor(value * 10)] = (counts[Math.floor(value * 10)] ?? 0) + 1;
    // Expected 1,000; the standard deviation is 30.
    for (const count of counts) expect(Math.abs(count - 1_000)).toBeLessThan(130);
  }
});

it('makes normal and exponential numbers of them', () => {
  const random = randomOf(3, 1);
  const normals = draw(50_000, () => normal(random));
  expect(mean(normals)).toBeCloseTo(0, 1);
  expect(mean(normals.map((value) => value ** 2))).toBeCloseTo(1, 1);
  const exponentials = draw(50_000, () => exponential(random));
  expect(mean(exponentials)).toBeCloseTo(1, 1);
  expect(Math.min(...exponentials)).toBeGreaterThanOrEqual(0);
});
