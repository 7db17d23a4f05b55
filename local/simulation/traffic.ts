/** Calls: when they come, and how long they last. Pure, but for the generator that is handed in. */
import { exponential, normal, type Random } from './random.ts';

export const MEAN_CALL_SECONDS = 180;

/**
 * Lognormal: the usual fit of telephone calls, many short ones and few very long ones. With this sigma half of the calls are
 * shorter than 88 s, while those of more than 10 minutes make up a third of all minutes.
 */
const SIGMA = 1.2;
const MU = Math.log(MEAN_CALL_SECONDS) - SIGMA ** 2 / 2;
/** Nobody talks longer. So little is cut off that the mean stays (0.03 s less). */
const MAX_CALL_SECONDS = 4 * 3_600;

/** Length of a new call, in seconds. */
export const callSeconds = (random: Random): number =>
  Math.min(Math.exp(MU + SIGMA * normal(random)), MAX_CALL_SECONDS);

/**
 * What is left of a call that is found running: long calls are found more often (by their length, which for a lognormal is a
 * shift of mu by sigma squared), at a moment that is anywhere in them. So a run begins in the middle of the day.
 */
export const remainingCallSeconds = (random: Random): number =>
  random() * Math.min(Math.exp(MU + SIGMA ** 2 + SIGMA * normal(random)), MAX_CALL_SECONDS);

/** Load over time: straight lines between points [minute, share of the first tier's capacity]. */
export type LoadShape = readonly (readonly [minute: number, share: number])[];

export function loadAt(shape: LoadShape, seconds: number): number {
  // Asked for every call.
  if (shape.length === 1) return (shape[0] as LoadShape[number])[1];
  const minute = seconds / 60;
  const after = shape.findIndex(([at]) => at > minute);
  const [fromMinute, fromShare] = shape[after === -1 ? shape.length - 1 : Math.max(after - 1, 0)] ?? [0, 0];
  const [toMinute, toShare] = shape[after] ?? [fromMinute, fromShare];
  if (toMinute === fromMinute) return fromShare;
  return fromShare + ((toShare - fromShare) * Math.max(minute - fromMinute, 0)) / (toMinute - fromMinute);
}

/**
 * Next call of a Poisson stream whose rate follows the shape, by thinning: candidates come at the highest rate, and are calls by
 * chance.
 * @param concurrentCalls that the share 1 of the shape stands for
 */
export function nextCallAt(
  afterSeconds: number,
  shape: LoadShape,
  concurrentCalls: number,
  random: Random,
): number {
  const highest = shape.reduce((most, [, share]) => Math.max(most, share), 0);
  // Little's law: so many calls are running on average when they come at this rate.
  const highestRate = (highest * concurrentCalls) / MEAN_CALL_SECONDS;
  if (highestRate === 0) return Number.POSITIVE_INFINITY;
  let at = afterSeconds;
  do at += exponential(random) / highestRate;
  while (random() * highest >= loadAt(shape, at));
  return at;
}
