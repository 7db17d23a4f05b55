/** What happens to the fleet, and how much load there is meanwhile. A table. */
import type { LoadShape } from './traffic.ts';

export const WARM_UP_MINUTES = 15;
/** When what goes wrong goes wrong, unless the scenario says otherwise. */
const EVENT_MINUTE = 30;
const END_MINUTE = 100;
/** By the guide a dead server is in the answer until somebody takes it out. */
export const PERSON_ACTS_AFTER_MINUTES = 60;

/**
 * `kill`: the host is gone, with its calls; `hang`: it still accepts connections, and answers nothing; `stall`: as
 * that, while its SIP server goes on to say 100; `reports-down`: the fleet
 * table takes no load reports.
 */
export type ActionKind =
  | 'kill'
  | 'hang'
  | 'stall'
  | 'drain'
  | 'restore'
  | 'route53-down'
  | 'route53-up'
  | 'reports-down'
  | 'reports-up';

export interface Action {
  minute: number;
  kind: ActionKind;
  /** Slots by index, or all of a region. */
  slots?: readonly number[];
  region?: string;
}

export interface Scenario {
  name: string;
  what: string;
  load: LoadShape;
  endMinute: number;
  /** Share of its regular capacity that a slot has. */
  sizeOf?: (slot: number) => number;
  actions: readonly Action[];
  /** How long SRCs keep an answer, when not for its TTL. */
  cacheSeconds?: number;
  /** From when on highest over mean utilisation counts; from the end of the warm-up if absent. */
  measureFromMinute?: number;
}

const steadyLoad: LoadShape = [[0, 0.7]];

/** Slots 0, 1 and 2 are first choice in the first group, 3 is their backup. */
export const SCENARIOS: readonly Scenario[] = [
  { name: 'steady', what: 'nothing happens', load: steadyLoad, actions: [], endMinute: END_MINUTE },
  {
    name: 'morning-ramp',
    what: 'load rises from 15 % to 85 % within an hour',
    load: [
      [WARM_UP_MINUTES, 0.15],
      [WARM_UP_MINUTES + 60, 0.85],
    ],
    actions: [],
    endMinute: END_MINUTE,
  },
  {
    name: 'half-size-slot',
    what: 'the largest slot is half as large as its static weight says',
    load: [[0, 0.65]],
    sizeOf: (slot) => (slot === 0 ? 0.5 : 1),
    actions: [],
    endMinute: END_MINUTE,
  },
  {
    name: 'slot-dies',
    what: 'a host is gone, and stays so',
    load: [[0, 0.6]],
    actions: [{ minute: EVENT_MINUTE, kind: 'kill', slots: [1] }],
    endMinute: END_MINUTE,
  },
  {
    name: 'slot-hangs',
    what: 'a slot accepts connections, and answers neither SIP nor health checks',
    load: [[0, 0.6]],
    actions: [{ minute: EVENT_MINUTE, kind: 'hang', slots: [1] }],
    endMinute: END_MINUTE,
  },
  {
    name: 'slot-stalls',
    what: 'as slot-hangs, but its SIP server still says 100: SRCs wait, and try no other',
    load: [[0, 0.6]],
    actions: [{ minute: EVENT_MINUTE, kind: 'stall', slots: [1] }],
    endMinute: END_MINUTE,
  },
  {
    name: 'slot-drains',
    what: 'a slot is drained: 503 to new calls, those that run go on',
    load: [[0, 0.6]],
    actions: [{ minute: EVENT_MINUTE, kind: 'drain', slots: [1] }],
    endMinute: END_MINUTE,
  },
  {
    name: 'region-lost',
    what: 'all slots of the first region are gone',
    load: steadyLoad,
    actions: [{ minute: EVENT_MINUTE, kind: 'kill', region: 'us-east-1' }],
    endMinute: END_MINUTE,
  },
  {
    name: 'region-back',
    what: 'the first region is gone, and back after half an hour',
    load: steadyLoad,
    actions: [
      { minute: WARM_UP_MINUTES + 5, kind: 'kill', region: 'us-east-1' },
      { minute: WARM_UP_MINUTES + 35, kind: 'restore', region: 'us-east-1' },
    ],
    endMinute: END_MINUTE,
  },
  {
    name: 'slot-back',
    what: 'a dead slot comes back, empty, among full ones',
    load: [[0, 0.6]],
    actions: [
      { minute: WARM_UP_MINUTES + 5, kind: 'kill', slots: [1] },
      { minute: WARM_UP_MINUTES + 35, kind: 'restore', slots: [1] },
    ],
    endMinute: END_MINUTE,
  },
  {
    name: 'route53-down',
    what: 'Route 53 takes no change for an hour; load rises, and a slot dies meanwhile',
    load: [
      [20, 0.4],
      [60, 0.6],
    ],
    actions: [
      { minute: 20, kind: 'route53-down' },
      { minute: EVENT_MINUTE, kind: 'kill', slots: [1] },
      { minute: 80, kind: 'route53-up' },
    ],
    endMinute: END_MINUTE,
  },
  {
    name: 'srcs-cache-an-hour',
    what: 'SRCs keep answers for an hour, whatever the TTL; a slot dies',
    load: [[0, 0.6]],
    actions: [{ minute: EVENT_MINUTE, kind: 'kill', slots: [1] }],
    cacheSeconds: 3_600,
    endMinute: END_MINUTE,
  },
  {
    name: 'reports-missing',
    what: 'the fleet table takes no reports for an hour; a slot dies meanwhile',
    load: [[0, 0.6]],
    actions: [
      { minute: 20, kind: 'reports-down' },
      { minute: EVENT_MINUTE, kind: 'kill', slots: [1] },
      { minute: 80, kind: 'reports-up' },
    ],
    endMinute: END_MINUTE,
  },
  {
    name: 'nearly-full',
    what: 'more load than anyone should plan for: 96 % of the first priority',
    load: [[0, 0.96]],
    actions: [],
    endMinute: END_MINUTE,
  },
];
