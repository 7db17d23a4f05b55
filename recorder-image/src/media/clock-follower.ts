/** Placing packets while their sender's clock drifts against ours, without an audible correction. */
import type { ClockPeriod } from './clock-survey.ts';
import { TICKS_PER_MS } from './ticks.ts';

/** An error below is left alone: nobody hears it, and audio stays as it was sent. */
const DEAD_BAND = 20 * TICKS_PER_MS;
/** In a pause of this length the whole error can be made good at once: there is nothing to be heard. */
const PAUSE = 200 * TICKS_PER_MS;
/** An error so large is no drift: the sender's timestamps stood still for a while. Silence goes in at once. */
const JUMP = 200 * TICKS_PER_MS;

/** Late packets are among so many. */
const REMEMBERED_STEPS = 64;

/** The anchor up to a timestamp. */
interface Step {
  time: number;
  anchor: number;
}

/** Follows one period of a sender's clock: position = timestamp + anchor. All in ticks. */
export class ClockFollower {
  readonly clockRate: number;
  readonly #period: ClockPeriod;
  #anchor: number;
  #newest = Number.NEGATIVE_INFINITY;
  #window = 0;
  #isCorrecting = false;
  /** The last ones, in the order of time. */
  readonly #steps: Step[] = [];

  /** @param anchor to begin with, if it is not to be what the survey found */
  constructor(period: ClockPeriod, anchor?: number) {
    this.clockRate = period.clockRate;
    this.#period = period;
    this.#anchor = anchor ?? targetOf(period, 0);
  }

  get anchor(): number {
    return this.#anchor;
  }

  /** What follows `before`: an anchor that is near enough stays, so that a pause keeps its length. */
  static after(before: ClockFollower | undefined, period: ClockPeriod): ClockFollower {
    const isSame = before?.clockRate === period.clockRate;
    const isNear = isSame && Math.abs(before.anchor - targetOf(period, 0)) <= DEAD_BAND;
    return new ClockFollower(period, isNear ? before.anchor : undefined);
  }

  /**
   * The anchor of the next packet: corrected by at most one sample against the one before, but in a pause.
   * @param time its timestamp
   * @param sample length of one
   * @param pause between the newest audio and the packet
   */
  follow(time: number, arrival: number, sample: number, pause: number): number {
    if (time <= this.#newest) return this.#anchorAt(time);
    this.#newest = time;
    const { windows } = this.#period;
    while (this.#window + 1 < windows.length && arrival > (windows[this.#window]?.until ?? arrival))
      this.#window++;
    const error = targetOf(this.#period, this.#window) - this.#anchor;
    if (!this.#isCorrecting && Math.abs(error) <= DEAD_BAND) return this.#anchor;
    if (pause > PAUSE || error > JUMP) {
      this.#isCorrecting = false;
      this.#step(time, error);
    } else {
      this.#isCorrecting = Math.abs(error) >= sample;
      if (this.#isCorrecting) this.#step(time, Math.sign(error) * sample);
    }
    return this.#anchor;
  }

  #step(time: number, by: number): void {
    this.#steps.push({ time, anchor: this.#anchor });
    if (this.#steps.length > REMEMBERED_STEPS) this.#steps.shift();
    this.#anchor += by;
  }

  /** Of a late packet: as if it had come in its turn. */
  #anchorAt(time: number): number {
    return this.#steps.find((step) => step.time > time)?.anchor ?? this.#anchor;
  }
}

const targetOf = ({ windows }: ClockPeriod, window: number): number => windows[window]?.offset ?? 0;
