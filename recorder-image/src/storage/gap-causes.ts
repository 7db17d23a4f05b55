/** What assembly cannot see in the journals of a gap: whether the kernel dropped its packets, or the stream was on hold. */
import type { Gap, Hold } from '../../../core/manifest.ts';
import type { AssembledStream } from '../media/assemble.ts';
import type { ClosedStreamCounters } from './session-record.ts';

export type DropPeriod = NonNullable<ClosedStreamCounters['drops']>[number];

/** The place of audio is that of its least delay; a packet may reach the kernel so much later. */
const DELAY_MS = 200;
/** Media stop and go on this much before or after the offer that says so. */
const SIGNALLING_MS = 1000;
/** A gap that lies to this part in holds is one. */
const MOSTLY = 0.9;

interface Period {
  fromMs: number;
  toMs: number;
}

/**
 * The gaps of a stream with their causes in full.
 * @param startedAtMs of the audio's sample 0, milliseconds since the epoch
 * @param endedAtMs of the recording: of a hold that nobody ended
 */
export function explainGaps(
  gaps: readonly Gap[],
  startedAtMs: number,
  endedAtMs: number,
  { drops, holds }: { drops: readonly DropPeriod[]; holds: readonly Hold[] },
): Gap[] {
  const dropped = drops.map(({ fromMs, toMs }) => ({
    fromMs: fromMs - DELAY_MS - startedAtMs,
    toMs: toMs - startedAtMs,
  }));
  const held = holds.map(({ startedAt, endedAt }) => ({
    fromMs: Date.parse(startedAt) - SIGNALLING_MS - startedAtMs,
    toMs: (endedAt === undefined ? endedAtMs : Date.parse(endedAt)) + SIGNALLING_MS - startedAtMs,
  }));
  return gaps.map((gap) => {
    if (gap.cause === 'lost' && dropped.some((period) => touches(gap, period)))
      return { ...gap, cause: 'dropped' };
    const mayBeHold = gap.cause === 'not-sent' || gap.cause === 'crash';
    return mayBeHold && covered(gap, held) >= MOSTLY * (gap.toMs - gap.fromMs)
      ? { ...gap, cause: 'hold' }
      : gap;
  });
}

const touches = (one: Period, other: Period): boolean => one.fromMs <= other.toMs && other.fromMs <= one.toMs;

/** Milliseconds of a gap in the periods, which are in the order of time and may touch each other. */
function covered({ fromMs, toMs }: Period, periods: readonly Period[]): number {
  let at = fromMs;
  let sum = 0;
  for (const period of periods) {
    const [begin, end] = [Math.max(at, period.fromMs), Math.min(toMs, period.toMs)];
    if (begin >= end) continue;
    sum += end - begin;
    at = end;
  }
  return sum;
}

/** Packets that the kernel dropped: what did not belong to the stream may be among what it counted. */
export const droppedPackets = (lostPackets: number, drops: readonly DropPeriod[]): number =>
  Math.min(
    lostPackets,
    drops.reduce((sum, { packets }) => sum + packets, 0),
  );

/** Milliseconds without audio, by cause, in the gaps over 20 ms. */
export function missingMs({ gaps, unlistedGaps = [] }: Pick<AssembledStream, 'gaps' | 'unlistedGaps'>) {
  const sums: Partial<Record<Gap['cause'], number>> = {};
  const all = [
    ...gaps.map(({ cause, fromMs, toMs }) => ({ cause, totalMs: toMs - fromMs })),
    ...unlistedGaps,
  ];
  for (const { cause, totalMs } of all) sums[cause] = (sums[cause] ?? 0) + totalMs;
  return sums;
}
