/**
 * When a socket that is read by turns is read next: as soon as its next packet must have come, which seldom finds none. Every
 * now and then all is read that is there, which shows how fast packets come now. Times are those of `performance.now()`.
 */

const READ_ALL_EVERY_MS = 320;
/** Of what was seen last in what is expected: the number of packets between two looks differs by one from look to look. */
const WEIGHT = 1 / 4;

export class ReadingPace {
  #intervalMs = 0;
  #dueAt = 0;
  /** Nothing was left then. */
  #emptyAt = 0;
  #packetsSince = 0;

  /**
   * @param now nothing is left
   * @param intervalMs between two packets
   */
  constructor(now: number, intervalMs: number) {
    this.#begin(now, intervalMs);
  }

  #begin(now: number, intervalMs: number): void {
    this.#intervalMs = intervalMs;
    this.#dueAt = now + intervalMs;
    this.#emptyAt = now;
    this.#packetsSince = 0;
  }

  isDue(now: number): boolean {
    return this.#dueAt <= now;
  }

  isAllDue(now: number): boolean {
    return now - this.#emptyAt >= READ_ALL_EVERY_MS;
  }

  notePacket(): void {
    this.#packetsSince++;
    this.#dueAt += this.#intervalMs;
  }

  /** It is late: it will be looked for again then. */
  noteNone(againAt: number): void {
    this.#dueAt = againAt;
  }

  /** @returns whether anything had come since the last time */
  noteEmpty(now: number): boolean {
    if (this.#packetsSince === 0) return false;
    const seenMs = (now - this.#emptyAt) / this.#packetsSince;
    this.#begin(now, this.#intervalMs + WEIGHT * (seenMs - this.#intervalMs));
    return true;
  }
}
