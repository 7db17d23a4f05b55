/** The recorders, as far as steering sees them: what they answer to an INVITE, to a probe, and what they report. */
import type { SlotState } from '../../core/fleet.ts';
import type { ProbeOutcome } from './health-check.ts';

/** What an INVITE comes to. */
export const TAKEN = 0;
export const REFUSED = 1;
export const SILENCE = 2;
export type InviteOutcome = typeof TAKEN | typeof REFUSED | typeof SILENCE;

/** A full slot is healthy again when so much of it is free: else its health would flap with each call. */
const FREE_AGAIN_SHARE = 0.05;

export class Slots {
  /** Calls that it holds at most, and those that it holds. */
  readonly capacity: Int32Array;
  readonly active: Int32Array;
  /** Counts its lives: the end of a call of an earlier one means nothing. */
  readonly life: Int32Array;
  readonly #silent: Uint8Array;
  readonly #draining: Uint8Array;
  readonly #full: Uint8Array;
  readonly #outcome: ProbeOutcome[];
  readonly #fullIsUnhealthy: boolean;

  /** @param fullIsUnhealthy whether a full slot says so to health checks */
  constructor(capacities: readonly number[], fullIsUnhealthy: boolean) {
    this.#fullIsUnhealthy = fullIsUnhealthy;
    this.capacity = Int32Array.from(capacities);
    this.active = new Int32Array(capacities.length);
    this.life = new Int32Array(capacities.length);
    this.#silent = new Uint8Array(capacities.length);
    this.#draining = new Uint8Array(capacities.length);
    this.#full = new Uint8Array(capacities.length);
    this.#outcome = capacities.map(() => 'answers');
  }

  get count(): number {
    return this.capacity.length;
  }

  /** What the slot does with an INVITE; one that is taken counts. */
  invite(slot: number): InviteOutcome {
    if (this.#silent[slot] === 1) return SILENCE;
    const active = this.active[slot] as number;
    if (this.#draining[slot] === 1 || active >= (this.capacity[slot] as number)) return REFUSED;
    this.active[slot] = active + 1;
    return TAKEN;
  }

  /** A call is over, unless the slot died meanwhile. */
  end(slot: number, life: number): void {
    if (this.life[slot] === life) this.active[slot] = (this.active[slot] as number) - 1;
  }

  /** Whether its load has changed its health; to be asked after an INVITE and an end. */
  noticeFull(slot: number): boolean {
    if (!this.#fullIsUnhealthy) return false;
    const capacity = this.capacity[slot] as number;
    const free = capacity - (this.active[slot] as number);
    const full = this.#full[slot] === 1 ? free < FREE_AGAIN_SHARE * capacity : free <= 0;
    if (full === (this.#full[slot] === 1)) return false;
    this.#full[slot] = full ? 1 : 0;
    return true;
  }

  /**
   * It answers nothing any more.
   * @returns how many calls it had
   */
  silence(slot: number, outcome: 'dead' | 'hangs'): number {
    const cut = this.active[slot] as number;
    this.#silent[slot] = 1;
    this.#outcome[slot] = outcome;
    this.#full[slot] = 0;
    this.active[slot] = 0;
    this.life[slot] = (this.life[slot] as number) + 1;
    return cut;
  }

  drain(slot: number): void {
    this.#draining[slot] = 1;
  }

  /** It serves again, with the calls that it has. */
  restore(slot: number): void {
    this.#silent[slot] = 0;
    this.#draining[slot] = 0;
    this.#outcome[slot] = 'answers';
  }

  isSilent(slot: number): boolean {
    return this.#silent[slot] === 1;
  }

  /** Whether it takes calls, as far as it has room. */
  serves(slot: number): boolean {
    return this.#silent[slot] === 0 && this.#draining[slot] === 0;
  }

  isHealthy(slot: number): boolean {
    return this.serves(slot) && this.#full[slot] === 0;
  }

  probeOutcome(slot: number): ProbeOutcome {
    return this.#outcome[slot] as ProbeOutcome;
  }

  /** Its state as it reports it. */
  state(slot: number): SlotState {
    if (this.#draining[slot] === 1) return 'draining';
    return this.#full[slot] === 1 ? 'unhealthy' : 'serving';
  }
}
