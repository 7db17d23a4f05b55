/** How busy the host and this process are: what steering, health and metrics are told. */
import { type CpuInfo, cpus } from 'node:os';
import { createHistogram } from 'node:perf_hooks';

type Times = Pick<CpuInfo, 'times'>;

const TURN_MS = 10;
const US_PER_MS = 1_000;

/** Of the time of all processors between two looks, the part in which they worked: 0 to 1. */
export function busyShare(before: readonly Times[], after: readonly Times[]): number {
  const [first, last] = [totalOf(before), totalOf(after)];
  const [total, idle] = [last.total - first.total, last.idle - first.idle];
  // Processors can come and go, and the clocks of some hosts step back.
  return total > 0 ? Math.min(Math.max(1 - idle / total, 0), 1) : 0;
}

function totalOf(processors: readonly Times[]): { total: number; idle: number } {
  let [total, idle] = [0, 0];
  for (const { times } of processors) {
    total += times.user + times.nice + times.sys + times.idle + times.irq;
    idle += times.idle;
  }
  return { total, idle };
}

/** The kernel counts in hundredths of a second: less time than this says little. */
const MIN_SPAN_MS = 500;

/** Of all processors of the host, as its kernel counts them: containers see those too. */
export class CpuShare {
  #seen = cpus();
  #seenAt = performance.now();
  #share = 0;

  /** Since the last call, 0 to 1; what it said last if that was just now. */
  take(): number {
    const at = performance.now();
    if (at - this.#seenAt < MIN_SPAN_MS) return this.#share;
    const now = cpus();
    this.#share = busyShare(this.#seen, now);
    this.#seen = now;
    this.#seenAt = at;
    return this.#share;
  }
}

/**
 * By how much this thread's event loop is late. Not by `monitorEventLoopDelay`: after each reset that leaves out what comes
 * before its next turn but one, so that a loop that is held up for longer than from one look to the next seems idle.
 */
export class LoopDelay {
  readonly #histogram = createHistogram();
  readonly #timer: NodeJS.Timeout;
  #turnAt = performance.now();

  constructor() {
    this.#timer = setInterval(() => {
      const now = performance.now();
      const lateMs = now - this.#turnAt - TURN_MS;
      this.#turnAt = now;
      this.#histogram.record(Math.max(1, Math.round(lateMs * US_PER_MS)));
    }, TURN_MS).unref();
  }

  /**
   * The 99th percentile since the last call, in milliseconds. A delay that is not over yet is in the next: ask in
   * `setImmediate` for one that ends in this turn of the loop.
   */
  takeMs(): number {
    const delayMs = this.#histogram.count > 0 ? this.#histogram.percentile(99) / US_PER_MS : 0;
    this.#histogram.reset();
    return delayMs;
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
