import { orderSrv } from '../../../local/broadworks/srv-selection.ts';
import { randomOf } from '../../../local/simulation/random.ts';
import { Srcs, type Target } from '../../../local/simulation/srcs.ts';

const target = (slot: number, priority: number, weight: number): Target => ({ slot, priority, weight });

const ANSWERS: [string, Target[]][] = [
  ['weights', [target(0, 10, 40), target(1, 10, 30), target(2, 10, 30), target(3, 20, 10)]],
  [
    'weights of 0',
    [target(0, 10, 5), target(1, 10, 0), target(2, 10, 0), target(3, 20, 0), target(4, 20, 1)],
  ],
  ['the backup first in the answer', [target(3, 20, 10), target(0, 10, 1), target(1, 10, 65_535)]],
  ['one', [target(7, 10, 100)]],
  ['none', []],
];

it.each(ANSWERS)('tries targets in the very order of orderSrv: %s', (_, answer) => {
  for (let seed = 0; seed < 300; seed++) {
    // The first number is the age of the first answer.
    const random = randomOf(seed, 1);
    random();
    const expected = orderSrv(answer, random).map(({ slot }) => slot);
    const srcs = new Srcs({ count: 1, cacheSeconds: 30, ask: () => [...answer], random: randomOf(seed, 1) });
    srcs.begin(0, 0);
    const tried: number[] = [];
    for (let slot = srcs.next(0); slot !== -1; slot = srcs.next(tried.length)) tried.push(slot);
    expect(tried).toEqual(expected);
  }
});

it('asks again when the answer is as old as it may be, each SRC for itself', () => {
  const asked: number[] = [];
  const srcs = new Srcs({
    count: 2,
    cacheSeconds: 30,
    ask: (src) => {
      asked.push(src);
      return [target(asked.length, 10, 1)];
    },
    random: () => 0.5,
  });
  const at = (seconds: number, src: number): number => {
    srcs.begin(src, seconds);
    return srcs.next(0);
  };
  // The first answer counts as half as old as it may be.
  expect([at(100, 0), at(114.9, 0), at(115, 0), at(116, 1), at(144.9, 0), at(145, 0)]).toEqual([
    1, 1, 2, 3, 2, 4,
  ]);
  expect(asked).toEqual([0, 0, 1, 0]);
});
