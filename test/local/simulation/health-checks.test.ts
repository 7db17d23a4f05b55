import { EventHeap } from '../../../local/simulation/event-heap.ts';
import {
  HealthChecks,
  longestNoticeSeconds,
  type ProbeOutcome,
} from '../../../local/simulation/health-checks.ts';
import { randomOf } from '../../../local/simulation/random.ts';

const CHECK = { port: 8080, path: '/healthz', intervalSeconds: 10, failureThreshold: 2 } as const;
const [PROBE, RESULT, VERDICT] = [0, 1, 2];

/** One endpoint that is as the steps say; what DNS says of it, and when that changes. */
function watch(
  seed: number,
  steps: [atSeconds: number, outcome: ProbeOutcome, healthy: boolean][],
  untilSeconds: number,
): [atSeconds: number, healthy: boolean][] {
  const events = new EventHeap();
  let state: [ProbeOutcome, boolean] = ['answers', true];
  const checks = new HealthChecks({
    checks: [CHECK],
    isHealthy: () => state[1],
    outcome: () => state[0],
    onProbe: (at, slot, checker) => events.push(at, PROBE as number, slot, checker),
    onResult: (at, slot, result) => events.push(at, RESULT as number, slot, result),
    onVerdict: (at, slot, healthy) => events.push(at, VERDICT as number, slot, healthy),
    random: randomOf(seed, 1),
  });
  const seen: [number, boolean][] = [];
  let step = 0;
  for (;;) {
    const next = steps[step];
    const at = Math.min(next?.[0] ?? Number.POSITIVE_INFINITY, events.nextAtSeconds);
    if (at > untilSeconds) return seen;
    if (next && at === next[0]) {
      state = [next[1], next[2]];
      checks.changed(0, at);
      step++;
      continue;
    }
    events.pop();
    if (events.kind === PROBE) checks.probe(0, events.detail, at);
    if (events.kind === RESULT) checks.result(0, events.detail, at);
    if (events.kind === VERDICT) {
      checks.setInDns(0, events.detail);
      seen.push([at, checks.isHealthyInDns(0)]);
    }
  }
}

const SEEDS = Array.from({ length: 50 }, (_, seed) => seed);

it.each<[ProbeOutcome, number, number]>([
  // Two probes: 10 s apart, the first within 10 s; at least when 14 of 16 checkers have made it, and 5 s into DNS.
  ['answers', 18, 25],
  ['hangs', 20, 27],
  ['dead', 22, 29],
])('an endpoint that is sick and %s is out of DNS in %s to %s s', (outcome, least, most) => {
  expect(most).toBeLessThanOrEqual(longestNoticeSeconds(CHECK));
  for (const seed of SEEDS) {
    const [change, ...more] = watch(seed, [[100, outcome, false]], 300);
    expect(change?.[1]).toBe(false);
    expect((change?.[0] ?? 0) - 100).toBeGreaterThan(least);
    expect((change?.[0] ?? 0) - 100).toBeLessThanOrEqual(most);
    expect(more).toEqual([]);
  }
});

it('an endpoint that is well again is back as soon as 3 of 16 checkers say so', () => {
  for (const seed of SEEDS) {
    const changes = watch(
      seed,
      [
        [100, 'dead', false],
        [200, 'answers', true],
      ],
      400,
    );
    expect(changes.map(([, healthy]) => healthy)).toEqual([false, true]);
    expect(changes[1]?.[0]).toBeGreaterThan(215);
    expect(changes[1]?.[0]).toBeLessThan(224);
  }
});

it('what is over within an interval changes nothing', () => {
  for (const seed of SEEDS)
    expect(
      watch(
        seed,
        [
          [100, 'answers', false],
          [109, 'answers', true],
        ],
        300,
      ),
    ).toEqual([]);
});

it('an endpoint stays in DNS while more than 18 % of its checkers find it well', () => {
  // In step with the interval, so that each checker always finds the same.
  const wellFor = (seconds: number) =>
    Array.from({ length: 50 }, (_, round) => 100 + round * 10).flatMap(
      (at): [number, ProbeOutcome, boolean][] => [
        [at, 'answers', false],
        [at + 10 - seconds, 'answers', true],
      ],
    );
  const outOfDns = (seconds: number) =>
    SEEDS.filter((seed) => watch(seed, wellFor(seconds), 550).length > 0).length;
  expect(outOfDns(5)).toBe(0);
  // One checker in ten on average; by chance it is 3 of 16, which is enough, in a fifth of the cases.
  expect(outOfDns(1)).toBeGreaterThan(30);
  expect(outOfDns(0.01)).toBe(50);
});
