/**
 * When the spool's disk will be full, by how its free space has fallen: so that the recorder turns unhealthy with time to
 * spare, and calls go elsewhere while those that run can still end by themselves.
 */

export interface ForecastTerms {
  /** How far back free space is compared. Long enough that a large file that comes and goes is no trend. */
  windowMs: number;
  /** Nothing is said before so much time was seen, */
  minSpanMs: number;
  /** nor of less than so many bytes within it: logs and other programs write too. */
  minFallBytes: number;
  /** The alarm begins when the time left falls below it, */
  alarmSeconds: number;
  /** and ends above this. In between, it stays as it is. */
  calmSeconds: number;
}

const TERMS: ForecastTerms = {
  windowMs: 5 * 60_000,
  minSpanMs: 60_000,
  minFallBytes: 8 * 1024 * 1024,
  alarmSeconds: 15 * 60,
  calmSeconds: 22.5 * 60,
};

interface Sample {
  atMs: number;
  bytes: number;
}

export class FillForecast {
  readonly #terms: ForecastTerms;
  #samples: Sample[] = [];
  #isFilling = false;

  constructor(terms: Partial<ForecastTerms> = {}) {
    this.#terms = { ...TERMS, ...terms };
  }

  /**
   * @param bytes that recordings may still take; none left if negative
   * @param atMs on a clock that never jumps, later than the last
   */
  add(bytes: number, atMs: number): void {
    const since = atMs - this.#terms.windowMs;
    this.#samples = [...this.#samples.filter((sample) => sample.atMs >= since), { atMs, bytes }];
    const left = this.secondsLeft;
    if (left === undefined || left > this.#terms.calmSeconds) this.#isFilling = false;
    else if (left < this.#terms.alarmSeconds) this.#isFilling = true;
  }

  /** Until nothing is left, if it goes on as it did; undefined if it is not getting less. */
  get secondsLeft(): number | undefined {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (!first || !last) return undefined;
    const spanMs = last.atMs - first.atMs;
    const fallPerMs = -slope(this.#samples);
    if (spanMs < this.#terms.minSpanMs || fallPerMs * spanMs < this.#terms.minFallBytes) return undefined;
    return Math.max(0, last.bytes) / fallPerMs / 1000;
  }

  /** There is little time left. */
  get isFilling(): boolean {
    return this.#isFilling;
  }
}

/** Bytes per millisecond of the line that fits the samples best (least squares); 0 for one sample. */
function slope(samples: readonly Sample[]): number {
  const meanAt = samples.reduce((sum, { atMs }) => sum + atMs, 0) / samples.length;
  const meanBytes = samples.reduce((sum, { bytes }) => sum + bytes, 0) / samples.length;
  let covariance = 0;
  let variance = 0;
  for (const { atMs, bytes } of samples) {
    covariance += (atMs - meanAt) * (bytes - meanBytes);
    variance += (atMs - meanAt) ** 2;
  }
  return variance === 0 ? 0 : covariance / variance;
}
