/** The RTP ports of a recorder: pairs of an even port for RTP and the next odd one for RTCP (RFC 3550 11). */

export interface PortRange {
  min: number;
  max: number;
}

/** Every pair of ports in the range is in use, here or by another program. */
export class NoPortsError extends Error {
  readonly range: PortRange;

  constructor(range: PortRange) {
    super(`no free pair of RTP ports between ${range.min} and ${range.max}`);
    this.name = 'NoPortsError';
    this.range = range;
  }
}

/**
 * Free pairs, named by their even port. The pair that was given back longest ago is taken first, so that late
 * packets of a finished call don't meet a new one.
 */
export class PortPool {
  readonly #range: PortRange;
  readonly #free: number[] = [];

  /** @throws RangeError if the range is not one of ports or holds no pair */
  constructor(range: PortRange) {
    this.#range = range;
    const { min, max } = range;
    const isPort = (port: number) => Number.isInteger(port) && port >= 1 && port <= 65_535;
    if (isPort(min) && isPort(max))
      for (let port = min + (min % 2); port < max; port += 2) this.#free.push(port);
    if (this.#free.length === 0)
      throw new RangeError(
        `the RTP port range ${min} to ${max} holds no pair of an even and the next odd port`,
      );
  }

  /** Pairs left. */
  get free(): number {
    return this.#free.length;
  }

  /** @throws NoPortsError */
  take(): number {
    const port = this.#free.shift();
    if (port === undefined) throw new NoPortsError(this.#range);
    return port;
  }

  /** Takes this pair, if it is one of the free ones; another may be had outside the range. */
  reserve(port: number): void {
    const index = this.#free.indexOf(port);
    if (index >= 0) this.#free.splice(index, 1);
  }

  giveBack(port: number): void {
    if (port >= this.#range.min && port < this.#range.max) this.#free.push(port);
  }
}
