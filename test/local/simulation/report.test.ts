import { drawChart } from '../../../local/simulation/chart.ts';
import { Balance, type Figures } from '../../../local/simulation/figures.ts';
import { formatTable } from '../../../local/simulation/table.ts';
import { missedTargets, TARGETS } from '../../../local/simulation/targets.ts';

const figures = (over: Partial<Figures> = {}): Figures => ({
  scenario: 'steady',
  policy: 'ours',
  seed: 1,
  calls: 1_000,
  refusedInvites: 0,
  unansweredInvites: 0,
  failedOverCalls: 0,
  lostCalls: 0,
  cutCalls: 0,
  waitedSeconds: 0,
  highestOverMean: 1.02,
  highestOverMeanWorst: 1.05,
  highestUtilisation: 0.75,
  secondsToLastInvite: null,
  changesPerSlotHour: 1,
  changesPerSlotHourMost: 2,
  changes: 8,
  ...over,
});

describe('highest over mean', () => {
  it('is averaged over samples, and the worst kept', () => {
    const balance = new Balance();
    balance.add([0.5, 0.5, 0.5]);
    balance.add([0.6, 0.4]);
    expect(balance.average).toBeCloseTo(1.1, 9);
    expect(balance.worst).toBeCloseTo(1.2, 9);
  });

  it.each([[[]], [[0, 0]]])('of %j is no sample', (utilisations) => {
    const balance = new Balance();
    balance.add(utilisations);
    expect([balance.average, balance.worst]).toEqual([1, 1]);
  });
});

describe('targets', () => {
  const large = { callsPerSlot: 2_000 };
  const half = (refusedInvites: number, policy: string) =>
    figures({ scenario: 'half-size-slot', policy, refusedInvites });

  it.each<[string, Figures[], string[]]>([
    ['all reached', [figures()], []],
    ['not balanced', [figures({ highestOverMean: 1.101 })], ['highest over mean utilisation at most 1.10']],
    [
      'not balanced in one minute',
      [figures({ highestOverMeanWorst: 1.101 })],
      ['highest over mean utilisation at most 1.10'],
    ],
    ['a ramp may be less balanced', [figures({ scenario: 'morning-ramp', highestOverMeanWorst: 1.25 })], []],
    [
      'but not at will',
      [figures({ scenario: 'morning-ramp', highestOverMeanWorst: 1.26 })],
      ['highest over mean utilisation at most 1.25'],
    ],
    ['another policy has no targets', [figures({ policy: 'static', highestOverMean: 2, lostCalls: 7 })], []],
    [
      'refuses where static does',
      [half(1, 'ours'), half(500, 'static')],
      ['no INVITE refused, where static weights refuse some'],
    ],
    ['refuses none where static does', [half(0, 'ours'), half(500, 'static')], []],
    [
      'static refuses none either: the scenario shows nothing',
      [half(0, 'ours'), half(0, 'static')],
      ['no INVITE refused, where static weights refuse some'],
    ],
    ['a lost call', [figures({ lostCalls: 1 })], ['no call lost']],
    [
      'writes too much',
      [figures({ changesPerSlotHourMost: 61 })],
      ['at most 60 Route 53 changes of any slot in an hour'],
    ],
    [
      'a dead slot gets calls for long',
      [figures({ scenario: 'slot-dies', secondsToLastInvite: 67 })],
      ['a dead slot gets no INVITE after 66 s'],
    ],
    [
      'a death that nobody noticed',
      [figures({ scenario: 'slot-dies', secondsToLastInvite: null })],
      ['a dead slot gets no INVITE after 66 s'],
    ],
  ])('%s', (_, all, missed) => {
    expect(missedTargets(all, large)).toEqual(missed.map((what) => `${all[0]?.scenario}, seed 1: ${what}`));
  });

  it('hold the worst minute against nobody whose slots are small: chance alone does that', () => {
    expect(missedTargets([figures({ highestOverMeanWorst: 1.3 })], { callsPerSlot: 500 })).toEqual([]);
  });

  it('are of scenarios that exist', async () => {
    const { SCENARIOS } = await import('../../../local/simulation/scenarios.ts');
    const names = SCENARIOS.map(({ name }) => name);
    for (const { scenarios = [] } of TARGETS) expect(names).toEqual(expect.arrayContaining([...scenarios]));
  });
});

it('has a row in the table for each scenario and policy, with the spread over seeds', () => {
  const lines = formatTable([
    figures({ refusedInvites: 10 }),
    figures({ policy: 'static' }),
    figures({ seed: 2, refusedInvites: 20, secondsToLastInvite: 50 }),
  ]).split('\n');
  expect(lines).toHaveLength(3);
  expect(lines[0]).toMatch(/^scenario +policy +calls +refused 503/);
  expect(lines[1]).toMatch(/^steady +ours +1000 +15 \(10-20\) .* 50 +1\.0$/);
  expect(lines[2]).toMatch(/^steady +static +1000 +0 .* - +1\.0$/);
});

it('is drawn: two panels per scenario and policy, a line per slot, names escaped', () => {
  const series = [0, 1].map((slot) => ({
    slot: `s${slot}`,
    minutes: [1, 2],
    utilisation: [0.5, 1],
    weightShare: [0, 0.25],
  }));
  const svg = drawChart('a < b & c', [
    { scenario: 'steady', policy: 'ours', series },
    { scenario: 'steady', policy: 'static', series },
  ]);
  expect(svg).toMatch(/^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" /);
  expect(svg).toContain('a &lt; b &amp; c');
  expect(svg.match(/<polyline /g)).toHaveLength(8);
  // Half utilised after half of the time: the middle of the panel.
  expect(svg).toContain('points="210.0,145.0 360.0,90.0"');
});
