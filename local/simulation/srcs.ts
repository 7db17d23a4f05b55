/** The SRCs: each keeps its last answer for a while, and tries the targets of it by RFC 2782. */
import { MAX_SLOTS_PER_SERVICE } from '../../core/deployment.ts';
import { byPriorityAndZero, chooseByWeight } from '../broadworks/srv-selection.ts';
import type { Random } from './random.ts';

/** How long an SRC waits for any answer before it tries the next target. */
export const SRC_PATIENCE_SECONDS = 1;

/** One SRV record of an answer. */
export interface Target {
  slot: number;
  priority: number;
  weight: number;
}

export interface SrcOptions {
  count: number;
  cacheSeconds: number;
  /** What DNS answers now to this SRC. */
  ask: (src: number) => Target[];
  random: Random;
}

export class Srcs {
  /** Targets of the call that is being placed, in the order of the tries so far. */
  readonly tried = new Int32Array(MAX_SLOTS_PER_SERVICE);
  readonly #priorities = new Int32Array(MAX_SLOTS_PER_SERVICE);
  readonly #weights = new Int32Array(MAX_SLOTS_PER_SERVICE);
  #targets = 0;

  readonly #options: SrcOptions;
  readonly #expiresAt: Float64Array;
  /** Eight places for each SRC, sorted for choosing. */
  readonly #answerSizes: Uint8Array;
  readonly #answerSlots: Int32Array;
  readonly #answerPriorities: Int32Array;
  readonly #answerWeights: Int32Array;

  constructor(options: SrcOptions) {
    this.#options = options;
    this.#expiresAt = new Float64Array(options.count).fill(Number.NEGATIVE_INFINITY);
    this.#answerSizes = new Uint8Array(options.count);
    this.#answerSlots = new Int32Array(options.count * MAX_SLOTS_PER_SERVICE);
    this.#answerPriorities = new Int32Array(options.count * MAX_SLOTS_PER_SERVICE);
    this.#answerWeights = new Int32Array(options.count * MAX_SLOTS_PER_SERVICE);
  }

  /** Begins a call: looks up the targets, in the cache if they are there. */
  begin(src: number, nowSeconds: number): void {
    if (nowSeconds >= (this.#expiresAt[src] as number)) this.#refresh(src, nowSeconds);
    const base = src * MAX_SLOTS_PER_SERVICE;
    this.#targets = this.#answerSizes[src] as number;
    for (let index = 0; index < this.#targets; index++) {
      this.tried[index] = this.#answerSlots[base + index] as number;
      this.#priorities[index] = this.#answerPriorities[base + index] as number;
      this.#weights[index] = this.#answerWeights[base + index] as number;
    }
  }

  /**
   * Chooses the target of try number `attempt`, counted from 0.
   * @returns its slot, or -1 when all have been tried
   */
  next(attempt: number): number {
    if (attempt >= this.#targets) return -1;
    const priority = this.#priorities[attempt] as number;
    let end = attempt + 1;
    while (end < this.#targets && this.#priorities[end] === priority) end++;
    const chosen = chooseByWeight(this.#weights, attempt, end, this.#options.random);
    const slot = this.tried[chosen] as number;
    // Those not chosen keep their order: weights of 0 stay first.
    const weight = this.#weights[chosen] as number;
    for (let index = chosen; index > attempt; index--) {
      this.tried[index] = this.tried[index - 1] as number;
      this.#weights[index] = this.#weights[index - 1] as number;
    }
    this.tried[attempt] = slot;
    this.#weights[attempt] = weight;
    return slot;
  }

  #refresh(src: number, nowSeconds: number): void {
    const { ask, cacheSeconds, random } = this.#options;
    // The first answers are of any age: else all SRCs would ask at the same time for ever.
    const isFirst = this.#expiresAt[src] === Number.NEGATIVE_INFINITY;
    this.#expiresAt[src] = nowSeconds + (isFirst ? random() : 1) * cacheSeconds;
    const answer = ask(src).sort(byPriorityAndZero);
    const base = src * MAX_SLOTS_PER_SERVICE;
    this.#answerSizes[src] = answer.length;
    for (const [index, { slot, priority, weight }] of answer.entries()) {
      this.#answerSlots[base + index] = slot;
      this.#answerPriorities[base + index] = priority;
      this.#answerWeights[base + index] = weight;
    }
  }
}
