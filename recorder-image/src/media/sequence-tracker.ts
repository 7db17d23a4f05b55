/** What the sequence numbers of one SSRC tell: order, duplicates and loss (after RFC 3550 A.1 and A.3). */
import { TICKS_PER_MS } from './ticks.ts';

/** Packets that are remembered, to tell a duplicate from a late one. 20 s at 20 ms. */
const REMEMBERED = 1024;
/** How far behind a packet may come and still belong to the same run; less than what is remembered. */
const MAX_MISORDER = 1000;
/** A jump of so many packets is loss. A longer one must be borne out by the time that has passed. */
const MAX_PLAIN_JUMP = 100;
/** The shortest packets in use hold 5 ms. */
const SHORTEST_PACKET = 5 * TICKS_PER_MS;
/** Doubt in how much time has passed. */
const TIME_DOUBT = 2000 * TICKS_PER_MS;
/** Distance between the extended numbers of two runs. */
const RUN_STRIDE = 2 ** 32;

/**
 * Unwraps sequence numbers into extended ones that only grow. A sender that begins anew somewhere else with its
 * numbers begins a new *run*; what lies between two runs is not loss.
 */
export class SequenceTracker {
  readonly #seen = new Float64Array(REMEMBERED).fill(-1);
  readonly #seenTimestamps = new Float64Array(REMEMBERED);
  #run = 0;
  #first = 0;
  #highest: number | undefined;
  #highestPosition = 0;
  #received = 0;
  #lostInEarlierRuns = 0;

  /**
   * Takes the next packet in the order of arrival.
   * @param sequence as sent, 16 bits
   * @param timestamp as sent
   * @param position the packet's time, in ticks
   * @returns its extended sequence number, or undefined if it has been taken before
   */
  accept(sequence: number, timestamp: number, position: number): number | undefined {
    let extended = this.#extend(sequence, position);
    const slot = extended % REMEMBERED;
    if (this.#seen[slot] === extended) {
      if (this.#seenTimestamps[slot] === timestamp) return undefined;
      extended = this.#beginRun(sequence);
    }
    this.#remember(extended, timestamp);
    this.#received++;
    this.#first = Math.min(this.#first, extended);
    if (this.#highest === undefined || extended > this.#highest) {
      this.#highest = extended;
      this.#highestPosition = position;
    }
    return extended;
  }

  /** Whether a packet between these two, of the same run, has not come so far. */
  isMissingBetween(earlier: number, later: number): boolean {
    if (Math.floor(earlier / RUN_STRIDE) !== Math.floor(later / RUN_STRIDE)) return false;
    for (let extended = earlier + 1; extended < later; extended++)
      if (this.#seen[extended % REMEMBERED] !== extended) return true;
    return false;
  }

  /** Packets that never came, in all runs. */
  get lost(): number {
    return this.#lostInEarlierRuns + this.#lostInRun();
  }

  #extend(sequence: number, position: number): number {
    if (this.#highest === undefined) return this.#beginRun(sequence);
    const forward = (sequence - this.#highest) & 0xffff;
    if (forward >= 0x1_0000 - MAX_MISORDER) return this.#highest + forward - 0x1_0000;
    const isBorneOut = forward * SHORTEST_PACKET <= position - this.#highestPosition + TIME_DOUBT;
    return forward <= MAX_PLAIN_JUMP || isBorneOut ? this.#highest + forward : this.#beginRun(sequence);
  }

  #beginRun(sequence: number): number {
    this.#lostInEarlierRuns += this.#lostInRun();
    this.#run++;
    this.#received = 0;
    this.#highest = undefined;
    this.#first = this.#run * RUN_STRIDE + 0x1_0000 + sequence;
    return this.#first;
  }

  #remember(extended: number, timestamp: number): void {
    this.#seen[extended % REMEMBERED] = extended;
    this.#seenTimestamps[extended % REMEMBERED] = timestamp;
  }

  #lostInRun(): number {
    return this.#highest === undefined ? 0 : this.#highest - this.#first + 1 - this.#received;
  }
}
