/** The room on the spool's disk: how much there is, how full it is, and when it will be. */
import type { Spool } from '../storage/spool.ts';
import { within } from '../within.ts';
import { FillForecast, type ForecastTerms } from './fill-forecast.ts';
import { rememberedFreeSpace } from './free-space.ts';

/** A disk that does not say in this time how much is free has trouble. Route 53 waits for 2 s. */
const LIMIT_MS = 500;

/** What can be said of the disk in time. */
export type DiskFacts = { freeSpoolBytes: number } | { diskError: string };

export class SpoolSpace {
  /** What is to stay free for the recordings that run to end and be finished. */
  readonly reserveBytes: number;
  readonly #forecast: FillForecast;
  readonly #limitMs: number;
  #totalBytes = 0;
  /** As of at most 5 s ago. Rejects if the disk refuses; may take as long as the disk does. */
  readonly freeBytes: () => Promise<number>;

  constructor(
    spool: Pick<Spool, 'space'>,
    reserveBytes: number,
    terms?: Partial<ForecastTerms>,
    limitMs: number = LIMIT_MS,
  ) {
    this.reserveBytes = reserveBytes;
    this.#forecast = new FillForecast(terms);
    this.#limitMs = limitMs;
    this.freeBytes = rememberedFreeSpace(async () => {
      const { freeBytes, totalBytes } = await spool.space();
      this.#totalBytes = totalBytes;
      this.#forecast.add(freeBytes - reserveBytes, performance.now());
      return freeBytes;
    });
  }

  /** Within half a second, whether or not the disk answers. Never rejects. */
  async look(): Promise<DiskFacts> {
    try {
      const free = within(this.#limitMs, this.freeBytes(), 'the disk of the spool does not answer');
      return { freeSpoolBytes: await free };
    } catch (error) {
      return { diskError: (error as Error).message };
    }
  }

  /** There is little time left until only the reserve is. */
  get isFilling(): boolean {
    return this.#forecast.isFilling;
  }

  /** Until only the reserve is left; undefined if it is not getting less. */
  get secondsUntilFull(): number | undefined {
    return this.#forecast.secondsLeft;
  }

  /** Of the room that recordings may take, the part that is taken: 0 to 1. By whom is not known. */
  fill(freeBytes: number): number {
    return spoolFill(freeBytes, this.#totalBytes, this.reserveBytes);
  }
}

export function spoolFill(freeBytes: number, totalBytes: number, reserveBytes: number): number {
  const room = totalBytes - reserveBytes;
  return room > 0 ? Math.min(Math.max(1 - (freeBytes - reserveBytes) / room, 0), 1) : 1;
}
