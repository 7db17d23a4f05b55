/** How long SRCs wait for an answer: from an INVITE until its 200 is handed to the SIP server, on the same host. */
import { createHistogram } from 'node:perf_hooks';

const US_PER_MS = 1_000;

/** Milliseconds. */
export interface AnswerTimesTaken {
  p99Ms: number;
  maxMs: number;
}

export class AnswerTimes {
  readonly #histogram = createHistogram();
  /** Of all since the start, in milliseconds. */
  totalMs = 0;

  record(ms: number): void {
    this.totalMs += ms;
    this.#histogram.record(Math.max(1, Math.round(ms * US_PER_MS)));
  }

  /** Of the answers since the last call; undefined if there was none. */
  take(): AnswerTimesTaken | undefined {
    if (this.#histogram.count === 0) return undefined;
    const taken = {
      p99Ms: this.#histogram.percentile(99) / US_PER_MS,
      maxMs: this.#histogram.max / US_PER_MS,
    };
    this.#histogram.reset();
    return taken;
  }
}
