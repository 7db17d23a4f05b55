/**
 * How a slot's SRV weight follows its load (DESIGN.md 4.2).
 *
 * The weight is the number of calls that the slot still has room for. New calls then go where room is: where lengths are
 * alike, utilisation becomes the same everywhere, however different the slots are. The unit is absolute, so that regions need
 * not agree on anything.
 */
import { REPORT_STALE_SECONDS, type SlotState } from './fleet.ts';

/** SRV weights have 16 bits (RFC 2782). */
const MAX_WEIGHT = 65_535;

export interface SteeringTerms {
  /** Smallest change worth a write, of the weight that stands. */
  minChange: number;
  /** Between two changes of one slot. */
  minIntervalSeconds: number;
  /** Older reports are stale: then the weight halves in every such time. */
  halvingSeconds: number;
}

export const STEERING_TERMS: SteeringTerms = { minChange: 0.2, minIntervalSeconds: 60, halvingSeconds: 60 };

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
    return { weight: clamp(report.callCapacity - report.activeRecordings), why: 'load' };
  // No news for a halving time, or since the weight was halved last: half of what stands.
  const sinceSeconds = (nowMs - (load.weightChangedAtMs ?? Number.NEGATIVE_INFINITY)) / 1000;
  const isDue = Math.min(ageSeconds, sinceSeconds) >= terms.halvingSeconds;
  return { weight: isDue ? clamp(Math.floor(weight / 2)) : weight, why: 'stale' };
}

const clamp = (weight: number): number => Math.min(Math.max(Math.round(weight), 1), MAX_WEIGHT);

/** The changes that are worth a write now. Pure: the same facts give the same changes. */
export function weightChanges(
  loads: readonly SlotLoad[],
  nowMs: number,
  terms = STEERING_TERMS,
): WeightChange[] {
  return loads.flatMap((load) => {
    const { weight: to, why } = wantedWeight(load, nowMs, terms);
    const from = load.weight;
    const sinceSeconds = (nowMs - (load.weightChangedAtMs ?? Number.NEGATIVE_INFINITY)) / 1000;
    const isWorthIt = Math.abs(to - from) >= terms.minChange * Math.max(from, 1);
    return to !== from && isWorthIt && sinceSeconds >= terms.minIntervalSeconds
      ? [{ slot: load.slot, from, to, why }]
      : [];
  });
}
