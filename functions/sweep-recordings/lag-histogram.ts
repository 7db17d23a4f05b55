/** Lags counted by size, so that a round remembers a few dozen numbers however many copies it sees. */

/** Lags by the number of their step; each step ends 10 % beyond the one before, from one second on. */
export type LagHistogram = Record<string, number>;

const STEP = 1.1;

export function addLag(histogram: LagHistogram, seconds: number): void {
  const step = String(seconds <= 1 ? 0 : Math.ceil(Math.log(seconds) / Math.log(STEP)));
  histogram[step] = (histogram[step] ?? 0) + 1;
}

/** Median and 95th percentile in whole seconds, by the end of the step that they are in; undefined without any lag. */
export function lagPercentiles(
  histogram: LagHistogram,
): { p50: number; p95: number; copies: number } | undefined {
  const steps = Object.entries(histogram)
    .map(([step, count]) => ({ step: Number(step), count }))
    .toSorted((a, b) => a.step - b.step);
  const copies = steps.reduce((sum, { count }) => sum + count, 0);
  if (copies === 0) return undefined;
  const percentile = (share: number): number => {
    let below = 0;
    const found = steps.find(({ count }) => {
      below += count;
      return below >= share * copies;
    });
    return Math.round(STEP ** (found?.step ?? 0));
  };
  return { p50: percentile(0.5), p95: percentile(0.95), copies };
}
