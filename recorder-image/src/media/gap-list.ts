/** The gaps of a stream in bounded memory: a stream that loses every second packet has 90,000 of them in an hour. */
import type { GapCause } from '../../../core/manifest.ts';

/** So many are listed, the longest; of the others count and sum are kept. */
export const MAX_LISTED_GAPS = 1000;

/** Positions in ticks. */
export interface PlacedGap {
  from: number;
  to: number;
  cause: GapCause;
}

/** Gaps that are not listed. `duration` is their sum in ticks. */
export interface UnlistedGaps {
  cause: GapCause;
  count: number;
  duration: number;
}

const durationOf = ({ from, to }: PlacedGap): number => to - from;

export class GapList {
  #gaps: PlacedGap[] = [];
  readonly #unlisted = new Map<GapCause, UnlistedGaps>();
  #duration = 0;

  /** Of all gaps, listed or not, in ticks. */
  get duration(): number {
    return this.#duration;
  }

  /** The listed ones, in the order in which they were added. */
  get listed(): PlacedGap[] {
    this.#keepLongest();
    return this.#gaps;
  }

  get unlisted(): UnlistedGaps[] {
    this.#keepLongest();
    return [...this.#unlisted.values()];
  }

  /** One that follows the last without a break, of the same cause, makes that one longer. */
  add({ from, to, cause }: PlacedGap): void {
    this.#duration += to - from;
    const last = this.#gaps.at(-1);
    if (last?.to === from && last.cause === cause) last.to = to;
    else this.#gaps.push({ from, to, cause });
    if (this.#gaps.length >= 2 * MAX_LISTED_GAPS) this.#keepLongest();
  }

  addUnlisted({ cause, count, duration }: UnlistedGaps): void {
    const sum = this.#unlisted.get(cause) ?? { cause, count: 0, duration: 0 };
    this.#unlisted.set(cause, { cause, count: sum.count + count, duration: sum.duration + duration });
    this.#duration += duration;
  }

  #keepLongest(): void {
    if (this.#gaps.length <= MAX_LISTED_GAPS) return;
    const longest = new Set(
      this.#gaps.toSorted((one, other) => durationOf(other) - durationOf(one)).slice(0, MAX_LISTED_GAPS),
    );
    for (const gap of this.#gaps) {
      if (longest.has(gap)) continue;
      this.#duration -= durationOf(gap);
      this.addUnlisted({ cause: gap.cause, count: 1, duration: durationOf(gap) });
    }
    this.#gaps = this.#gaps.filter((gap) => longest.has(gap));
  }
}
