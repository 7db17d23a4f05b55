/** The RTP ports of a recorder: pairs of an even port for RTP and the next odd one for RTCP (RFC 3550 11). */

export interface PortRange {
  min: number;
  max: number;
}

/** Every pair of ports in the range is in use, here or by another program, or was until a moment ago. */
export class NoPortsError extends Error {
  readonly range: PortRange;

  constructor(range: PortRange) {
    super(`no free pair of RTP ports between ${range.min} and ${range.max}`);
    this.name = 'NoPortsError';
    this.range = range;
  }
}

/**
 * Free pairs, named by their even port. One that was in use rests before it is given out again: SRCs send on for a while
 * after a BYE, and one that has lost its dialog does so until it notices; that audio must not get into another call.
 * A range that is too small for the rest refuses calls, and another recorder takes them.
 */
export class PortPool {
  readonly #range: PortRange;
  readonly #restMs: number;
  readonly #now: () => number;
  /** Pairs in the range. */
  readonly size: number;
  /** In the order in which they are given out. */
  readonly #free: number[] = [];
  /** In the order in which they were given back. */
  readonly #resting: { port: number; until: number }[] = [];

  /**
   * @param restMs between two uses of a pair
   * @param now milliseconds, monotonic
   * @throws RangeError if the range is not one of ports or holds no pair
   */
  constructor(range: PortRange, restMs: number, now: () => number = () => performance.now()) {
    this.#range = range;
    this.#restMs = restMs;
    this.#now = now;
    const { min, max } = range;
    const isPort = (port: number) => Number.isInteger(port) && port >= 1 && port <= 65_535;
    if (isPort(min) && isPort(max))
      for (let port = min + (min % 2); port < max; port += 2) this.#free.push(port);
    this.size = this.#free.length;
    if (this.size === 0)
      throw new RangeError(
        `the RTP port range ${min} to ${max} holds no pair of an even and the next odd port`,
      );
  }

  /** Pairs that can be taken now. */
  get free(): number {
    this.#wake();
    return this.#free.length;
  }

  /** @throws NoPortsError */
  take(): number {
    this.#wake();
    const port = this.#free.shift();
    if (port === undefined) throw new NoPortsError(this.#range);
    return port;
  }

  /** Takes this pair, if it is one of the free ones; another may be had outside the range. */
  reserve(port: number): void {
    const index = this.#free.indexOf(port);
    if (index >= 0) this.#free.splice(index, 1);
  }

  /** After use. */
  giveBack(port: number): void {
    if (port < this.#range.min || port >= this.#range.max) return;
    this.#resting.push({ port, until: this.#now() + this.#restMs });
  }

  /** Nothing has been received there; the pair comes after all others. */
  giveBackUnused(port: number): void {
    this.#free.push(port);
  }

  #wake(): void {
    const now = this.#now();
    const awake = this.#resting.findIndex(({ until }) => until > now);
    const rested = this.#resting.splice(0, awake === -1 ? this.#resting.length : awake);
    for (const { port } of rested) this.#free.push(port);
  }
}
