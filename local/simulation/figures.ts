/** What a run comes to. */

/** Every figure of one scenario under one policy; counts are of the time after the warm-up. */
export interface Figures {
  scenario: string;
  policy: string;
  seed: number;
  calls: number;
  /** INVITEs that a slot refused with 503, being full or draining. */
  refusedInvites: number;
  /** INVITEs that a dead slot left without an answer. */
  unansweredInvites: number;
  /** Calls that were taken by another target than the first. */
  failedOverCalls: number;
  /** Calls that no target took. */
  lostCalls: number;
  /** Calls that ran on a slot when it died. */
  cutCalls: number;
  /** Seconds in which calls ran unrecorded since their SRC waited for an answer that never came, summed. */
  waitedSeconds: number;
  /**
   * Highest over mean utilisation among the slots that serve at the first priority that has any; each minute, each SRV name:
   * on average, and in the worst minute.
   */
  highestOverMean: number;
  highestOverMeanWorst: number;
  /** Highest utilisation of a slot in any minute. */
  highestUtilisation: number;
  /** From the death of a slot to the last INVITE to it; of the slot that took longest; null if none died. */
  secondsToLastInvite: number | null;
  /** Weight changes in Route 53 per hour: of the average slot, and of the slot with most. */
  changesPerSlotHour: number;
  changesPerSlotHourMost: number;
  /** Weight changes in Route 53, all slots. */
  changes: number;
}

/** Highest over mean utilisation of each SRV name, from minute to minute. */
export class Balance {
  #sum = 0;
  #count = 0;
  #worst = 0;

  /** @param utilisations of the slots of one name that serve at its first priority */
  add(utilisations: readonly number[]): void {
    const mean = utilisations.reduce((sum, value) => sum + value, 0) / utilisations.length;
    if (!(mean > 0)) return;
    const ratio = Math.max(...utilisations) / mean;
    this.#sum += ratio;
    this.#count++;
    this.#worst = Math.max(this.#worst, ratio);
  }

  get average(): number {
    return this.#count === 0 ? 1 : this.#sum / this.#count;
  }

  get worst(): number {
    return Math.max(this.#worst, 1);
  }
}

/** For the chart: the slots of the first SRV name, once a minute. */
export interface Series {
  slot: string;
  minutes: number[];
  utilisation: number[];
  /** Share of the weights in DNS at its priority; 0 when its record is not in the answer. */
  weightShare: number[];
}
