/**
 * The sources (SSRCs) of one stream: which are new, and, where a stream goes on after a crash, whether what comes is still
 * what it was: until a source that the dead recorder knew is heard again, packets of others stay out.
 */

/** A stream of more sources than this is not told of each. */
const MAX_TOLD = 31;

/** Who sends, as its first packet tells. */
export interface StreamSource {
  ssrc: number;
  address: string;
  port: number;
}

export class SourceGate {
  readonly #onNew: (source: StreamSource) => void;
  readonly #told = new Set<number>();
  /** Empty as soon as one of them has come, or if none was known. */
  #awaited: ReadonlySet<number>;
  #latest: number | undefined;

  /**
   * @param known SSRCs of which one must come first; none if any may
   * @param onNew a source is heard for the first time; of the first 31
   */
  constructor(known: readonly number[], onNew: (source: StreamSource) => void) {
    this.#awaited = new Set(known);
    this.#onNew = onNew;
  }

  /** Runs for every packet: whether one of this source belongs to the stream. */
  admits(ssrc: number, address: string, port: number): boolean {
    if (ssrc === this.#latest) return true;
    if (this.#awaited.size > 0) {
      if (!this.#awaited.has(ssrc)) return false;
      this.#awaited = new Set();
    }
    this.#latest = ssrc;
    if (!this.#told.has(ssrc) && this.#told.size < MAX_TOLD) {
      this.#told.add(ssrc);
      this.#onNew({ ssrc, address, port });
    }
    return true;
  }
}
