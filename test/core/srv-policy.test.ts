import type { SlotState } from '../../core/fleet.ts';
import {
  type SlotLoad,
  STEERING_TERMS,
  wantedWeight,
  weightChanges,
  weightOf,
} from '../../core/srv-policy.ts';

const NOW = Date.UTC(2026, 0, 5, 9);

/** A slot of 1,000 calls whose weight was set long ago, with a report of this age. */
function slot({
  name = 's1',
  weight = 1_000,
  calls = 0,
  capacity = 1_000,
  ageSeconds = 3,
  changedSecondsAgo,
  state = 'serving',
}: {
  name?: string;
  weight?: number;
  calls?: number;
  capacity?: number;
  /** Infinity: there is no report. */
  ageSeconds?: number;
  changedSecondsAgo?: number;
  state?: SlotState;
} = {}): SlotLoad {
  return {
    slot: name,
    weight,
    ...(changedSecondsAgo !== undefined && { weightChangedAtMs: NOW - changedSecondsAgo * 1000 }),
    ...(Number.isFinite(ageSeconds) && {
      report: {
        state,
        activeRecordings: calls,
        callCapacity: capacity,
        reportedAtMs: NOW - ageSeconds * 1000,
      },
    }),
  };
}

describe('the weight of a slot', () => {
  it.each([
    ['empty', 1_000, 0, 1_000],
    ['half full', 1_000, 500, 600],
    ['at 90 %', 1_000, 900, 280],
    ['full: a fifth, so that it does not swing back from nothing', 1_000, 1_000, 200],
    ['over its capacity', 1_000, 1_100, 120],
    ['far over its capacity: never 0, which RFC 2782 hardly ever chooses', 1_000, 5_000, 1],
    ['of one call, full: never 0', 1, 1, 1],
    ['rounded', 7, 2, 5],
    ['larger than 16 bits', 100_000, 0, 65_535],
  ])('%s', (_, capacity, calls, weight) => {
    expect(weightOf(capacity, calls)).toBe(weight);
    expect(wantedWeight(slot({ capacity, calls }), NOW)).toEqual({ weight, why: 'load' });
  });

  it('is in proportion to the size of slots that are as full as each other', () => {
    for (const share of [0, 0.3, 0.7, 1])
      expect(weightOf(4_000, 4_000 * share)).toBe(4 * weightOf(1_000, 1_000 * share));
  });

  it.each<[SlotState]>([['serving'], ['unhealthy'], ['draining'], ['closed']])(
    'follows load alone when the slot is %s: its health check says whether it is chosen at all',
    (state) => {
      expect(wantedWeight(slot({ calls: 500, state }), NOW).weight).toBe(600);
    },
  );
});

describe('a slot without news', () => {
  it.each([
    ['a report of 30 s counts', { ageSeconds: 30, calls: 500 }, 600, 'load'],
    ['one of 31 s does not, and the weight stays at first', { ageSeconds: 31, calls: 500 }, 1_000, 'stale'],
    ['it stays for a halving time', { ageSeconds: 59.9 }, 1_000, 'stale'],
    ['then it halves', { ageSeconds: 60 }, 500, 'stale'],
    [
      'it halves once in a halving time',
      { ageSeconds: 119, changedSecondsAgo: 59, weight: 500 },
      500,
      'stale',
    ],
    ['and again', { ageSeconds: 120, changedSecondsAgo: 60, weight: 500 }, 250, 'stale'],
    ['down to that of a full slot', { ageSeconds: 600, changedSecondsAgo: 60, weight: 250 }, 200, 'stale'],
    ['where it stays', { ageSeconds: 660, changedSecondsAgo: 60, weight: 200 }, 200, 'stale'],
    ['it never rises', { ageSeconds: 660, changedSecondsAgo: 60, weight: 90 }, 90, 'stale'],
    ['never any report', { ageSeconds: Number.POSITIVE_INFINITY }, 500, 'stale'],
    [
      'of which even the size is unknown: not below 1',
      { ageSeconds: Number.POSITIVE_INFINITY, weight: 1 },
      1,
      'stale',
    ],
    ['a clock that runs ahead is no old report', { ageSeconds: -5, calls: 500 }, 600, 'load'],
  ] as const)('%s', (_, facts, weight, why) => {
    expect(wantedWeight(slot(facts), NOW)).toEqual({ weight, why });
  });

  it('keeps its part when nobody has news: sizes stay in proportion', () => {
    let loads = [
      slot({ name: 'large', weight: 4_000, capacity: 4_000, ageSeconds: 60 }),
      slot({ name: 'small', weight: 1_000, capacity: 1_000, ageSeconds: 60 }),
    ];
    for (let minute = 0; minute < 20; minute++) {
      const nowMs = NOW + minute * 60_000;
      const changes = new Map(weightChanges(loads, nowMs).map(({ slot, to }) => [slot, to]));
      loads = loads.map((load) => ({
        ...load,
        weight: changes.get(load.slot) ?? load.weight,
        ...(changes.has(load.slot) && { weightChangedAtMs: nowMs }),
      }));
    }
    expect(loads.map(({ weight }) => weight)).toEqual([800, 200]);
  });
});

describe('what is worth a write', () => {
  it.each([
    ['nothing new', { calls: 0 }, null],
    ['less than a tenth', { calls: 124 }, null],
    ['a tenth down', { calls: 125 }, 900],
    ['less than a tenth up', { weight: 600, calls: 430 }, null],
    ['a tenth up', { weight: 600, calls: 425 }, 660],
    ['from 1', { weight: 1, calls: 1_000 }, 200],
    ['from 0, which somebody else has written', { weight: 0, calls: 0 }, 1_000],
    ['59 s after the last', { calls: 900, changedSecondsAgo: 59 }, null],
    ['60 s after the last', { calls: 900, changedSecondsAgo: 60 }, 280],
    ['much, though the report is stale', { calls: 900, ageSeconds: 31 }, null],
    ['half, for want of news', { ageSeconds: 60 }, 500],
  ] as const)('%s', (_, facts, to) => {
    expect(weightChanges([slot(facts)], NOW).map((change) => change.to)).toEqual(to === null ? [] : [to]);
  });

  it('says of each change from what, to what and why', () => {
    const loads = [
      slot({ name: 'busy', calls: 500 }),
      slot({ name: 'same' }),
      slot({ name: 'gone', ageSeconds: 90 }),
    ];
    expect(weightChanges(loads, NOW)).toEqual([
      { slot: 'busy', from: 1_000, to: 600, why: 'load' },
      { slot: 'gone', from: 1_000, to: 500, why: 'stale' },
    ]);
  });

  it('is nothing any more once it is written: a run that is repeated changes nothing', () => {
    const load = slot({ calls: 500 });
    const [change] = weightChanges([load], NOW);
    const written = { ...load, weight: change?.to ?? 0, weightChangedAtMs: NOW };
    expect(weightChanges([written], NOW)).toEqual([]);
    expect(weightChanges([written], NOW + 20_000)).toEqual([]);
  });

  it('is by the terms that are given', () => {
    const terms = { ...STEERING_TERMS, minChange: 0.5, minIntervalSeconds: 10, halvingSeconds: 40 };
    const facts = { calls: 600, changedSecondsAgo: 10 };
    expect(weightChanges([slot({ ...facts })], NOW, terms)).toEqual([]);
    expect(weightChanges([slot({ ...facts })], NOW, { ...terms, callShare: 1 })).toMatchObject([{ to: 400 }]);
    expect(weightChanges([slot({ ...facts, calls: 625 })], NOW, terms)).toMatchObject([{ to: 500 }]);
    expect(weightChanges([slot({ ageSeconds: 40, changedSecondsAgo: 40 })], NOW, terms)).toMatchObject([
      { to: 500 },
    ]);
  });

  it('reads the loads and does not change them', () => {
    const loads = Object.freeze([Object.freeze(slot({ calls: 900 }))]);
    expect(weightChanges(loads, NOW)).toHaveLength(1);
    expect(weightChanges([], NOW)).toEqual([]);
  });
});
