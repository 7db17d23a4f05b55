/**
 * The unit of time of a recording's assembly. A sample of every sample rate in use, and a step of every RTP clock
 * (8, 16 and 48 kHz), is a whole number of ticks. Since the epoch they stay below 2^53 for 5900 years.
 */
export const TICK_RATE = 48_000;
export const TICKS_PER_MS = TICK_RATE / 1000;

/** Samples at `sampleRate` Hz in a stretch of ticks; rounded where codecs of different rates meet. */
export const samplesOfTicks = (ticks: number, sampleRate: number): number =>
  Math.round((ticks * sampleRate) / TICK_RATE);
