/** Looks at the facts, every second and whenever somebody asks, and tells when the verdict changes. */
import type { SlotState } from '../../../core/fleet.ts';
import { judge, type LocalFacts, type Memory, reasonsIn, slotState } from './health.ts';

export interface Verdict {
  state: SlotState;
  /** Against new calls. */
  reasons: string[];
  facts: LocalFacts;
}

export class HealthWatch {
  readonly #facts: () => Promise<LocalFacts>;
  readonly #onChange: (verdict: Verdict) => void;
  readonly #now: () => number;
  #memory: Memory = new Map();
  #told: string | undefined;

  /** @param onChange the reasons are others than before; also at the first look */
  constructor(
    facts: () => Promise<LocalFacts>,
    onChange: (verdict: Verdict) => void,
    now: () => number = () => performance.now(),
  ) {
    this.#facts = facts;
    this.#onChange = onChange;
    this.#now = now;
  }

  /** The verdict of now. Rejects only if the facts do. */
  async look(): Promise<Verdict> {
    const facts = await this.#facts();
    this.#memory = judge(this.#memory, facts, this.#now());
    const reasons = reasonsIn(this.#memory);
    const verdict = { state: slotState(reasons), reasons, facts };
    const told = this.#told;
    this.#told = reasons.join();
    if (this.#told !== told) this.#onChange(verdict);
    return verdict;
  }
}
