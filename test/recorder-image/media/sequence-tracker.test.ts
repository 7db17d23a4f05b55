import { SequenceTracker } from '../../../recorder-image/src/media/sequence-tracker.ts';

/** Feeds 20 ms packets and tells which were taken. */
function feed(tracker: SequenceTracker, sequences: readonly number[], firstSequence = sequences[0] ?? 0) {
  return sequences.map((sequence) => {
    const time = ((sequence - firstSequence) & 0xffff) * 160;
    return tracker.accept(sequence, time, time);
  });
}

describe('SequenceTracker', () => {
  it('counts across the wrap-around', () => {
    const tracker = new SequenceTracker();
    const extended = feed(tracker, [65_534, 65_535, 0, 1]) as number[];
    expect(extended.map((number) => number - (extended[0] as number))).toEqual([0, 1, 2, 3]);
    expect(tracker.lost).toBe(0);
  });

  it('counts what never came, across the wrap-around too', () => {
    const tracker = new SequenceTracker();
    feed(tracker, [65_533, 65_535, 2]);
    expect(tracker.lost).toBe(3);
  });

  it('takes late packets and no duplicates', () => {
    const tracker = new SequenceTracker();
    const extended = feed(tracker, [10, 12, 11, 12, 10, 13]);
    expect(extended.map((number) => number !== undefined)).toEqual([true, true, true, false, false, true]);
    expect(tracker.lost).toBe(0);
  });

  it('takes packets from before the first one', () => {
    const tracker = new SequenceTracker();
    feed(tracker, [1, 65_535, 0, 2], 65_535);
    expect(tracker.lost).toBe(0);
  });

  it('tells whether something is missing between two packets', () => {
    const tracker = new SequenceTracker();
    const [first, second, , fourth] = feed(tracker, [1, 3, 4, 5]) as number[];
    expect(tracker.isMissingBetween(first as number, second as number)).toBe(true);
    expect(tracker.isMissingBetween(second as number, fourth as number)).toBe(false);
  });

  it('believes in a long loss if the time for it has passed', () => {
    const tracker = new SequenceTracker();
    tracker.accept(1, 0, 0);
    tracker.accept(10_001, 1_600_000, 9_600_000);
    expect(tracker.lost).toBe(9999);
  });

  it('takes a jump in no time for a new beginning', () => {
    const tracker = new SequenceTracker();
    const last = tracker.accept(1, 0, 0) as number;
    const next = tracker.accept(10_001, 160, 160) as number;
    expect(tracker.lost).toBe(0);
    expect(tracker.isMissingBetween(last, next)).toBe(false);
    tracker.accept(10_003, 480, 480);
    expect(tracker.lost).toBe(1);
  });

  it('takes known numbers with other timestamps for a new beginning', () => {
    const tracker = new SequenceTracker();
    feed(tracker, [1, 2, 3]);
    expect(tracker.accept(1, 99_999, 480)).toBeDefined();
    expect(tracker.accept(2, 100_159, 640)).toBeDefined();
    expect(tracker.accept(2, 100_159, 640)).toBeUndefined();
    expect(tracker.lost).toBe(0);
  });
});
