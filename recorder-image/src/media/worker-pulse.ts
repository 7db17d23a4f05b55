/**
 * A media worker's signs of life, in memory that it shares with the main thread: that thread sees how the worker does
 * although it may be too busy, or held up by the disk, to answer.
 */

/** Nanoseconds of a clock that all threads share; 0 for never. The last two count. */
const FIELDS = { beatAt: 0, stalledAt: 1, droppedAt: 2, packets: 3, drops: 4 } as const;
const MS = 1_000_000n;

/** A stall and a drop are held against new calls for so long: one call less must not look like a cure. */
const REMEMBERED_MS = 10_000;

export type Pulse = BigInt64Array<SharedArrayBuffer>;

export const newPulse = (): Pulse => new BigInt64Array(new SharedArrayBuffer(8 * Object.keys(FIELDS).length));

const now = (): bigint => process.hrtime.bigint();

/** Worker side, in every turn of its event loop. */
export const beat = (pulse: Pulse): bigint => Atomics.store(pulse, FIELDS.beatAt, now());

/** @param packets taken in since the worker started */
export const showPackets = (pulse: Pulse, packets: number): bigint =>
  Atomics.store(pulse, FIELDS.packets, BigInt(packets));

/** Worker side: packets have waited for too long. */
export const noteStall = (pulse: Pulse): bigint => Atomics.store(pulse, FIELDS.stalledAt, now());

/** Worker side: the kernel has dropped packets. */
export function noteDrops(pulse: Pulse, packets: number): void {
  Atomics.add(pulse, FIELDS.drops, BigInt(packets));
  Atomics.store(pulse, FIELDS.droppedAt, now());
}

/** Packets that the worker has taken in since it started. */
export const packetsOf = (pulse: Pulse): number => Number(Atomics.load(pulse, FIELDS.packets));

/** Packets that the kernel has dropped since the worker started. */
export const dropsOf = (pulse: Pulse): number => Number(Atomics.load(pulse, FIELDS.drops));

/**
 * Whether a worker cannot keep up: it does not beat now, or has stalled or dropped packets not long ago.
 * @param maxStallMs how long packets may wait
 * @param at nanoseconds of `process.hrtime.bigint()`
 */
export function isOverloaded(pulse: Pulse, maxStallMs: number, at = now()): boolean {
  const isOlder = (field: number, ageMs: number): boolean =>
    at - Atomics.load(pulse, field) > BigInt(ageMs) * MS;
  const hasHappened = (field: number): boolean => Atomics.load(pulse, field) > 0n;
  return (
    (hasHappened(FIELDS.beatAt) && isOlder(FIELDS.beatAt, maxStallMs)) ||
    [FIELDS.stalledAt, FIELDS.droppedAt].some((field) => hasHappened(field) && !isOlder(field, REMEMBERED_MS))
  );
}
