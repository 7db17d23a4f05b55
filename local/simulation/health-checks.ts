/**
 * Route 53's health checks. The checkers of a check probe each for itself every 10 s, a checker turns after two contrary results,
 * and an endpoint is healthy while more than 18 % of its checkers say so (Developer Guide, "How Amazon Route 53 determines whether
 * a health check is healthy").
 */
import type { SlotHealthCheck } from '../../core/slot-plan.ts';
import type { Random } from './random.ts';

/** Eight regions; two in each is an assumption, on which little hangs. */
export const CHECKERS = 16;
const HEALTHY_SHARE = 0.18;
const CHECKERS_NEEDED = Math.floor(HEALTHY_SHARE * CHECKERS) + 1;
/** From the checkers' verdict to the answers of the name servers: an assumption. */
const INTO_DNS_SECONDS = 5;

/** How an endpoint answers a probe, and how long the checker waits for that. */
export const PROBE_SECONDS = {
  /** 200 or 503, at once. */
  answers: 0,
  /** The kernel still accepts the connection: the limit for the response. */
  hangs: 2,
  /** The limit for the connection. */
  dead: 4,
} as const;

export type ProbeOutcome = keyof typeof PROBE_SECONDS;

/** At most so long a dead endpoint is still in the answers of the name servers. */
export const longestNoticeSeconds = ({ intervalSeconds, failureThreshold }: SlotHealthCheck): number =>
  intervalSeconds * failureThreshold + PROBE_SECONDS.dead + INTO_DNS_SECONDS;

export interface HealthChecksOptions {
  checks: readonly SlotHealthCheck[];
  isHealthy: (slot: number) => boolean;
  outcome: (slot: number) => ProbeOutcome;
  /** To be called back at this time with `probe`, `result` and `setInDns`. */
  onProbe: (atSeconds: number, slot: number, checker: number) => void;
  onResult: (atSeconds: number, slot: number, checkerAndHealth: number) => void;
  onVerdict: (atSeconds: number, slot: number, healthy: number) => void;
  random: Random;
}

/** Probes only while something may change: of a slot whose checkers are all of its own opinion the next result is known. */
export class HealthChecks {
  readonly #options: HealthChecksOptions;
  /** By slot and checker. */
  readonly #phases: Float64Array;
  readonly #verdicts: Uint8Array;
  readonly #contrary: Uint8Array;
  readonly #probing: Uint8Array;
  /** By slot. */
  readonly #healthyCheckers: Uint8Array;
  readonly #verdict: Uint8Array;
  readonly #inDns: Uint8Array;

  constructor(options: HealthChecksOptions) {
    const { checks, random } = options;
    this.#options = options;
    this.#phases = Float64Array.from(
      { length: checks.length * CHECKERS },
      (_, index) => random() * (checks[Math.floor(index / CHECKERS)]?.intervalSeconds ?? 0),
    );
    this.#verdicts = new Uint8Array(checks.length * CHECKERS).fill(1);
    this.#contrary = new Uint8Array(checks.length * CHECKERS);
    this.#probing = new Uint8Array(checks.length * CHECKERS);
    this.#healthyCheckers = new Uint8Array(checks.length).fill(CHECKERS);
    this.#verdict = new Uint8Array(checks.length).fill(1);
    this.#inDns = new Uint8Array(checks.length).fill(1);
  }

  /** What the name servers go by. */
  isHealthyInDns(slot: number): boolean {
    return this.#inDns[slot] === 1;
  }

  setInDns(slot: number, healthy: number): void {
    this.#inDns[slot] = healthy;
  }

  /** To be told when a slot's health has changed. */
  changed(slot: number, nowSeconds: number): void {
    const { intervalSeconds } = this.#check(slot);
    for (let checker = 0; checker < CHECKERS; checker++) {
      const index = slot * CHECKERS + checker;
      if (this.#probing[index] === 1) continue;
      this.#probing[index] = 1;
      const phase = this.#phases[index] as number;
      const next = Math.ceil((nowSeconds - phase) / intervalSeconds) * intervalSeconds + phase;
      this.#options.onProbe(next, slot, checker);
    }
  }

  probe(slot: number, checker: number, nowSeconds: number): void {
    const { isHealthy, outcome, onProbe, onResult } = this.#options;
    const index = slot * CHECKERS + checker;
    const healthy = isHealthy(slot) ? 1 : 0;
    const waits = PROBE_SECONDS[outcome(slot)];
    if (waits === 0) this.result(slot, checker * 2 + healthy, nowSeconds);
    else onResult(nowSeconds + waits, slot, checker * 2 + healthy);
    if (this.#verdicts[index] === healthy && this.#contrary[index] === 0) this.#probing[index] = 0;
    else onProbe(nowSeconds + this.#check(slot).intervalSeconds, slot, checker);
  }

  /** @param checkerAndHealth twice the checker, plus 1 for healthy */
  result(slot: number, checkerAndHealth: number, nowSeconds: number): void {
    const healthy = checkerAndHealth % 2;
    const index = slot * CHECKERS + (checkerAndHealth - healthy) / 2;
    if (this.#verdicts[index] === healthy) {
      this.#contrary[index] = 0;
      return;
    }
    const contrary = (this.#contrary[index] as number) + 1;
    if (contrary < this.#check(slot).failureThreshold) {
      this.#contrary[index] = contrary;
      return;
    }
    this.#contrary[index] = 0;
    this.#verdicts[index] = healthy;
    const count = (this.#healthyCheckers[slot] as number) + (healthy === 1 ? 1 : -1);
    this.#healthyCheckers[slot] = count;
    const verdict = count >= CHECKERS_NEEDED ? 1 : 0;
    if (verdict === this.#verdict[slot]) return;
    this.#verdict[slot] = verdict;
    this.#options.onVerdict(nowSeconds + INTO_DNS_SECONDS, slot, verdict);
  }

  #check(slot: number): SlotHealthCheck {
    return this.#options.checks[slot] as SlotHealthCheck;
  }
}
