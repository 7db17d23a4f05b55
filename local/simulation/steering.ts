/** steer-traffic of one region, as core/srv-policy.ts decides, on a zone whose changes take a while to be in DNS. */
import type { SlotState } from '../../core/fleet.ts';
import {
  type SlotLoad,
  type SteeringTerms,
  type WeightChange,
  weightChanges,
} from '../../core/srv-policy.ts';

export const STEERING_INTERVAL_SECONDS = 60;

export interface Report {
  state: SlotState;
  activeRecordings: number;
  callCapacity: number;
  reportedAtMs: number;
}

export class Steering {
  /** Of each of its slots, as the policy takes them. */
  readonly #loads: SlotLoad[];
  readonly #loadOf = new Map<string, SlotLoad>();
  readonly #terms: SteeringTerms | undefined;
  #pendingUntilSeconds = 0;

  constructor(slots: readonly { slot: string; weight: number }[], terms?: SteeringTerms) {
    this.#loads = slots.map(({ slot, weight }) => ({ slot, weight }));
    for (const load of this.#loads) this.#loadOf.set(load.slot, load);
    this.#terms = terms;
  }

  /** @returns whether the state has changed since the report before */
  report(slot: string, report: Report): boolean {
    const load = this.#loadOf.get(slot) as SlotLoad;
    const before = load.report?.state;
    load.report = report;
    return before !== undefined && before !== report.state;
  }

  /**
   * One run. It does nothing while its last change is on its way (PENDING).
   * @param inSyncAfterSeconds how long these changes take until all name servers have them
   * @returns the changes, which the zone now has
   */
  run(nowSeconds: number, inSyncAfterSeconds: number): WeightChange[] {
    if (nowSeconds < this.#pendingUntilSeconds) return [];
    const nowMs = nowSeconds * 1000;
    const changes = weightChanges(this.#loads, nowMs, this.#terms);
    for (const { slot, to } of changes) {
      const load = this.#loadOf.get(slot) as SlotLoad;
      load.weight = to;
      load.weightChangedAtMs = nowMs;
    }
    if (changes.length > 0) this.#pendingUntilSeconds = nowSeconds + inSyncAfterSeconds;
    return changes;
  }
}
