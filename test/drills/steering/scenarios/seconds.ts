/** Seconds between two times in milliseconds, to a tenth. */
export const seconds = (fromMs: number, toMs: number): number => Math.round((toMs - fromMs) / 100) / 10;
