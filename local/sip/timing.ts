/** RFC 3261 section 17's timer values, and a set of timers that is cleared as one. */

export interface Timing {
  /** Estimate of the round trip; all else derives from it. Default 500 ms. */
  t1Ms: number;
  /** Longest interval between retransmissions. Default 8 T1 (4 s). */
  t2Ms: number;
  /** How long a message may stay in the network. Default 10 T1 (5 s). */
  t4Ms: number;
  /** Timers B, D, F, H, J and the wait for an ACK: 64 T1 (32 s). */
  t1x64Ms: number;
}

/** The standard's values, or all of them scaled down from a shorter T1 (for tests and drills). */
export const timing = (t1Ms = 500): Timing => ({
  t1Ms,
  t2Ms: 8 * t1Ms,
  t4Ms: 10 * t1Ms,
  t1x64Ms: 64 * t1Ms,
});

export interface Timers {
  /** Runs `action` once after `ms`; the result cancels it. */
  after(ms: number, action: () => void): () => void;
  /** Runs `action` after `firstMs`, then at intervals that double up to `maxMs`; the result cancels it. */
  backingOff(firstMs: number, maxMs: number, action: () => void): () => void;
  clear(): void;
}

export function timers(): Timers {
  const running = new Set<NodeJS.Timeout>();
  const after = (ms: number, action: () => void) => {
    const timer = setTimeout(() => {
      running.delete(timer);
      action();
    }, ms);
    running.add(timer);
    return () => {
      clearTimeout(timer);
      running.delete(timer);
    };
  };
  const backingOff = (firstMs: number, maxMs: number, action: () => void) => {
    let cancel = () => {};
    const schedule = (ms: number) => {
      cancel = after(ms, () => {
        schedule(Math.min(ms * 2, maxMs));
        // Last, so that the action can stop what it runs in.
        action();
      });
    };
    schedule(firstMs);
    return () => cancel();
  };
  return {
    after,
    backingOff,
    clear: () => {
      for (const timer of running) clearTimeout(timer);
      running.clear();
    },
  };
}
