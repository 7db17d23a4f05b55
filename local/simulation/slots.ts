/** The recorders, as far as steering sees them: what they answer to an INVITE, to a probe, and what they report. */
import type { SlotState } from '../../core/fleet.ts';
import type { ProbeOutcome } from './health-checks.ts';

/** What an INVITE comes to. */
export const TAKEN = 0;
export const REFUSED = 1;
export const SILENCE = 2;
/** 100 Trying, and nothing after it: no reason for an SRC to try another (RFC 3263 section 4.3). */
export const SWALLOWED = 3;
export type InviteOutcome = typeof TAKEN | typeof REFUSED | typeof SILENCE | typeof SWALLOWED;

/**
 * When a full slot says so to health checks: as long as it is full, also until a part of it is free again (a share of its capacity),
 * or never.
 */
export type FullRule = number | 'never';

/** How a slot stops to work. */
export type Failure = 'dead' | 'hangs' | 'stalls';

export class Slots {
  /** Calls that it holds at most, and those that it holds. */
  readonly capacity: Int32Array;
  readonly active: Int32Array;
  /** Counts its lives: the end of a call of an earlier one means nothing. */
  readonly life: Int32Array;
  readonly #silent: Uint8Array;
  readonly #stalls: Uint8Array;
  readonly #draining: Uint8Array;
  readonly #full: Uint8Array;
  readonly #outcome: ProbeOutcome[];
  readonly #fullRule: FullRule;

  constructor(capacities: readonly number[], fullRule: FullRule) {
    this.#fullRule = fullRule;
    this.capacity = Int32Array.from(capacities);
    this.active = new Int32Array(capacities.length);
    this.life = new Int32Array(capacities.length);
    this.#silent = new Uint8Array(capacities.length);
    this.#stalls = new Uint8Array(capacities.length);
    this.#draining = new Uint8Array(capacities.length);
    this.#full = new Uint8Array(capacities.length);
    this.#outcome = capacities.map(() => 'answers');
  }

  get count(): number {
    return this.capacity.length;
  }

  /** What the slot does with an INVITE; one that is taken counts. */
  invite(slot: number): InviteOutcome {
    if (this.#silent[slot] === 1) return this.#stalls[slot] === 1 ? SWALLOWED : SILENCE;
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
    if (this.#fullRule === 'never') return false;
    const capacity = this.capacity[slot] as number;
    const free = capacity - (this.active[slot] as number);
    const full = free <= 0 || (this.#full[slot] === 1 && free < this.#fullRule * capacity);
    if (full === (this.#full[slot] === 1)) return false;
    this.#full[slot] = full ? 1 : 0;
    return true;
  }

  /**
   * It answers nothing any more, but for a SIP server that still says 100 when it stalls.
   * @returns how many calls it had
   */
  fail(slot: number, failure: Failure): number {
    const cut = this.active[slot] as number;
    this.#silent[slot] = 1;
    this.#stalls[slot] = failure === 'stalls' ? 1 : 0;
    // Of a process that is stopped the kernel still accepts connections.
    this.#outcome[slot] = failure === 'dead' ? 'dead' : 'hangs';
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
