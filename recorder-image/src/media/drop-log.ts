/** When the kernel dropped packets of a stream, and how many. */

/** Times are milliseconds since the epoch. */
export interface Drops {
  fromMs: number;
  toMs: number;
  packets: number;
}

/** Periods that lie so close are one. */
const MERGE_WITHIN_MS = 1000;
/** A stream that loses packets all the time is told of in so many periods; from then on the last one grows. */
const MAX_PERIODS = 100;

/**
 * Adds a period to a list, in the order of time: to its last one where they are close, or where the list is full.
 * @param drops begins no sooner than the last of the list
 */
export function addDrops(list: Drops[], { fromMs, toMs, packets }: Drops): void {
  const last = list.at(-1);
  if (last === undefined || (fromMs - last.toMs > MERGE_WITHIN_MS && list.length < MAX_PERIODS)) {
    list.push({ fromMs, toMs, packets });
    return;
  }
  last.fromMs = Math.min(last.fromMs, fromMs);
  last.toMs = Math.max(last.toMs, toMs);
  last.packets += packets;
}
