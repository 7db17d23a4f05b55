/**
 * How a slot's SRV weight follows its load (DESIGN.md 4.2).
 *
 * The weight is the number of calls that the slot has room for, where a running call takes up 4/5 of one: new calls then go where
 * room is, and where lengths are alike utilisation becomes the same everywhere, however different the slots are. The unit is
 * absolute, so that regions need not agree on anything.
 *
 * Why not the whole call: a change of weight acts late (on average 2 s for the report, 30 s for the run, 35 s for Route 53, 15 s
 * for the SRC's cache), and the closer to full, the more one call means to a weight that is what is left. Above 80 % of load the
 * slots then swing between full and empty, and refuse calls that fixed weights would have placed. With 4/5 a full slot keeps a
 * fifth of its weight, and up to 90 % of load nothing swings, also when calls are half as long (docs/steering-simulation.md).
 */
import { REPORT_STALE_SECONDS, type SlotState } from './fleet.ts';

/** SRV weights have 16 bits (RFC 2782). */
const MAX_WEIGHT = 65_535;

export interface SteeringTerms {
  /** What a running call takes from the weight. */
  callShare: number;
  /** Smallest change worth a write, as a share of the weight that stands. */
  minChange: number;
  /** Between two changes of one slot. */
  minIntervalSeconds: number;
  /** Older reports are stale: then the weight halves in every such time, down to that of a full slot. */
  halvingSeconds: number;
}

export const STEERING_TERMS: SteeringTerms = {
  callShare: 0.8,
  // Of a slot at 75 % what a fifth of its free calls is.
  minChange: 0.1,
  minIntervalSeconds: 60,
  halvingSeconds: 60,
};

/** What is known of a slot. Times are milliseconds since the epoch. */
export interface SlotLoad {
  slot: string;
  /** The weight in DNS. */
  weight: number;
  /** When steering changed it last; absent if never. */
  weightChangedAtMs?: number;
  /** The slot's last report, however old; absent if there is none. */
  report?: { state: SlotState; activeRecordings: number; callCapacity: number; reportedAtMs: number };
}

export interface WeightChange {
  slot: string;
  from: number;
  to: number;
  why: 'load' | 'stale';
}

/**
 * The weight that a slot should have now, without hysteresis: at least 1, since by RFC 2782 a weight of 0 beside others is
 * hardly ever chosen, and whether a slot is chosen at all is for its health check to say.
 */
export function wantedWeight(
  load: SlotLoad,
  nowMs: number,
  terms = STEERING_TERMS,
): { weight: number; why: WeightChange['why'] } {
  const { report, weight } = load;
  const ageSeconds = report ? (nowMs - report.reportedAtMs) / 1000 : Number.POSITIVE_INFINITY;
  if (report && ageSeconds <= REPORT_STALE_SECONDS)
    return { weight: weightOf(report.callCapacity, report.activeRecordings, terms), why: 'load' };
  // No news for a halving time, or since the weight was halved last: half of what stands. Not less than if the slot were known to
  // be full: when the table is down and nobody has news, the slots keep the proportions of their sizes.
  const isDue = Math.min(ageSeconds, secondsSinceChange(load, nowMs)) >= terms.halvingSeconds;
  const floor = report ? weightOf(report.callCapacity, report.callCapacity, terms) : 1;
  const halved = clamp(Math.max(Math.floor(weight / 2), floor));
  return { weight: isDue ? Math.min(halved, weight) : weight, why: 'stale' };
}

/** Weight of a slot that holds `calls` of the `callCapacity` calls that it has room for. */
export const weightOf = (callCapacity: number, calls: number, { callShare } = STEERING_TERMS): number =>
  clamp(callCapacity - callShare * calls);

const clamp = (weight: number): number => Math.min(Math.max(Math.round(weight), 1), MAX_WEIGHT);

const secondsSinceChange = ({ weightChangedAtMs }: SlotLoad, nowMs: number): number =>
  weightChangedAtMs === undefined ? Number.POSITIVE_INFINITY : (nowMs - weightChangedAtMs) / 1000;

/** The changes that are worth a write now. Pure: the same facts give the same changes. */
export function weightChanges(
  loads: readonly SlotLoad[],
  nowMs: number,
  terms = STEERING_TERMS,
): WeightChange[] {
  return loads.flatMap((load) => {
    const { weight: to, why } = wantedWeight(load, nowMs, terms);
    const from = load.weight;
    const isWorthIt = Math.abs(to - from) >= terms.minChange * Math.max(from, 1);
    return to !== from && isWorthIt && secondsSinceChange(load, nowMs) >= terms.minIntervalSeconds
      ? [{ slot: load.slot, from, to, why }]
      : [];
  });
}
