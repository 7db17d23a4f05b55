/** Small runs of every scenario: a fifth of the default's calls. */
import type { Figures } from '../../../local/simulation/figures.ts';
import { runAll, runTask, type Task } from '../../../local/simulation/run-all.ts';
import { SCENARIOS } from '../../../local/simulation/scenarios.ts';
import type { SimulationResult } from '../../../local/simulation/simulate.ts';
import { missedTargets } from '../../../local/simulation/targets.ts';

const SIZE = { slots: 4, calls: 1_400 };

const task = (scenario: string, policy: string, seed = 1): Task => ({ ...SIZE, scenario, policy, seed });
const key = ({ scenario, policy, seed }: Task): string => `${scenario} ${policy} ${seed}`;

const results = new Map<string, SimulationResult>();

// In threads, which are outside of Jest's sandbox: there a run takes five times as long.
beforeAll(async () => {
  const tasks = [
    ...SCENARIOS.flatMap(({ name }) =>
      [1, 2].flatMap((seed) => ['ours', 'static'].map((policy) => task(name, policy, seed))),
    ),
    task('half-size-slot', 'static-with-health'),
    task('nearly-full', 'ours-full-until-95'),
    task('slot-drains', 'ours-whole-call'),
  ];
  const done = await runAll(tasks, 2, () => {});
  for (const [index, one] of tasks.entries()) results.set(key(one), done[index] as SimulationResult);
});

function resultOf(scenario: string, policy: string, seed = 1): SimulationResult {
  const result = results.get(key(task(scenario, policy, seed)));
  if (!result) throw new Error(`${scenario} under ${policy} with seed ${seed} was not run before the tests`);
  return result;
}

const run = (scenario: string, policy: string, seed = 1): Figures => resultOf(scenario, policy, seed).figures;

/** Interval x threshold, a probe's limit, into DNS, TTL, and the wait for a dead slot before. */
const LONGEST_TO_LAST_INVITE = 20 + 4 + 5 + 30 + 2;

it('gives the same figures and series for the same seed, in a thread or not; others for another seed', () => {
  const first = resultOf('slot-dies', 'ours');
  expect(runTask(task('slot-dies', 'ours'))).toEqual(first);
  expect(resultOf('slot-dies', 'ours', 2)).not.toEqual({ ...first, figures: { ...first.figures, seed: 2 } });
});

it('hands every policy the same calls', () => {
  expect(run('slot-dies', 'static').calls).toBe(run('slot-dies', 'ours').calls);
});

it.each(SCENARIOS.map(({ name }) => name))('%s: ours reaches its targets', (scenario) => {
  const all = [1, 2].flatMap((seed) => [run(scenario, 'ours', seed), run(scenario, 'static', seed)]);
  expect(all.every(({ calls }) => calls > 25_000)).toBe(true);
  expect(missedTargets(all, { callsPerSlot: 467 })).toEqual([]);
});

it('refuses nobody with a slot of half size, where static weights refuse and health checks alone do too', () => {
  const [ours, fixed, healthOnly] = ['ours', 'static', 'static-with-health'].map((policy) =>
    run('half-size-slot', policy),
  );
  expect(ours?.refusedInvites).toBe(0);
  expect(fixed?.refusedInvites).toBeGreaterThan(1_000);
  expect(healthOnly?.refusedInvites).toBeGreaterThan(1_000);
  expect(ours?.highestOverMean).toBeLessThan(1.1);
  expect(fixed?.highestOverMean).toBeGreaterThan(1.15);
});

it.each(['slot-dies', 'slot-hangs', 'route53-down', 'reports-missing'])(
  '%s: a dead slot gets no INVITE after a minute, and under static as long as nobody acts',
  (scenario) => {
    const [ours, fixed] = [run(scenario, 'ours'), run(scenario, 'static')];
    expect(ours.secondsToLastInvite).toBeGreaterThan(20);
    expect(ours.secondsToLastInvite).toBeLessThanOrEqual(LONGEST_TO_LAST_INVITE);
    expect(fixed.secondsToLastInvite).toBeGreaterThan(3_590);
    expect(fixed.unansweredInvites).toBeGreaterThan(20 * ours.unansweredInvites);
    expect([ours.lostCalls, fixed.lostCalls]).toEqual([0, 0]);
    expect(ours.cutCalls).toBeGreaterThan(100);
  },
);

it('fails over as fast while Route 53 takes no change, with weights that stand still for that hour', () => {
  const [down, up] = [run('route53-down', 'ours'), run('slot-dies', 'ours')];
  expect(Math.abs((down.secondsToLastInvite ?? 0) - (up.secondsToLastInvite ?? 0))).toBeLessThan(12);
  const weightsOf = (scenario: string, fromMinute: number, toMinute: number) =>
    new Set(resultOf(scenario, 'ours').series[0]?.weightShare.slice(fromMinute - 1, toMinute));
  expect(weightsOf('route53-down', 32, 80).size).toBe(1);
  expect(weightsOf('route53-down', 82, 100).size).toBeGreaterThan(1);
  expect(weightsOf('slot-dies', 32, 80).size).toBeGreaterThan(3);
});

it('moves a whole region to its backup, and back', () => {
  const [lost, back] = [run('region-lost', 'ours'), run('region-back', 'ours')];
  for (const figures of [lost, back]) {
    expect(figures.lostCalls).toBe(0);
    expect(figures.refusedInvites).toBe(0);
    expect(figures.secondsToLastInvite).toBeLessThanOrEqual(LONGEST_TO_LAST_INVITE);
  }
  // Back at the first priority, the slots are used as before.
  const { series } = resultOf('region-back', 'ours');
  const last = (slot: number) => series[slot]?.utilisation.at(-1) ?? 0;
  expect(last(0)).toBeGreaterThan(0.5);
  expect(last(3)).toBeLessThan(0.1);
});

it('sends calls to a slot that hour-long caches still name, and loses none', () => {
  const { secondsToLastInvite, lostCalls, failedOverCalls } = run('srcs-cache-an-hour', 'ours');
  expect(secondsToLastInvite).toBeGreaterThan(600);
  expect(secondsToLastInvite).toBeLessThanOrEqual(3_600 + 31);
  expect(failedOverCalls).toBeGreaterThan(0);
  expect(lostCalls).toBe(0);
});

it('loses the calls that a stalled slot swallows, until health checks have taken it out', () => {
  const [ours, fixed] = [run('slot-stalls', 'ours'), run('slot-stalls', 'static')];
  expect(ours.lostCalls).toBeGreaterThan(20);
  expect(fixed.lostCalls).toBeGreaterThan(30 * ours.lostCalls);
});

it('cuts no call by a drain', () => {
  const { cutCalls, lostCalls, refusedInvites } = run('slot-drains', 'ours');
  expect([cutCalls, lostCalls]).toEqual([0, 0]);
  expect(refusedInvites).toBeLessThan(200);
});

it('shows why a call takes less than a call from the weight: else the slots that are left swing at 86 % of load', () => {
  const [ours, whole] = [run('slot-drains', 'ours'), run('slot-drains', 'ours-whole-call')];
  expect(whole.refusedInvites).toBeGreaterThan(1.5 * ours.refusedInvites);
  expect(whole.highestOverMean).toBeGreaterThan(ours.highestOverMean + 0.01);
});

it('shows why a full slot must be healthy as soon as a call fits again', () => {
  const [now, late] = [run('nearly-full', 'ours'), run('nearly-full', 'ours-full-until-95')];
  expect(late.refusedInvites).toBeGreaterThan(1.5 * now.refusedInvites);
});

it('balances eight slots behind each of several names', () => {
  const figures = runTask({ scenario: 'steady', policy: 'ours', seed: 1, slots: 16, calls: 8_000 }).figures;
  expect(figures.highestOverMean).toBeLessThan(1.1);
  expect(figures.refusedInvites).toBe(0);
});

it.each([
  ['scenario', { scenario: 'nothing', policy: 'ours' }],
  ['policy', { scenario: 'steady', policy: 'nothing' }],
])('knows no other %s', (kind, names) => {
  expect(() => runTask({ ...SIZE, ...names, seed: 1 })).toThrow(`${kind} nothing: expected `);
});
