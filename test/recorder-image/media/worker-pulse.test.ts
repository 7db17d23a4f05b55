import {
  beat,
  dropsOf,
  isOverloaded,
  newPulse,
  noteDrops,
  noteStall,
  type Pulse,
  packetsOf,
  showPackets,
} from '../../../recorder-image/src/media/worker-pulse.ts';

const MAX_STALL_MS = 500;
/** So long from now, on the clock of the pulse. */
const inMs = (ms: number): bigint => process.hrtime.bigint() + BigInt(ms) * 1_000_000n;

describe('a pulse', () => {
  it('says nothing before its worker does', () => {
    expect(isOverloaded(newPulse(), MAX_STALL_MS, inMs(60_000))).toBe(false);
    expect(packetsOf(newPulse())).toBe(0);
    expect(dropsOf(newPulse())).toBe(0);
  });

  it('counts what the kernel dropped', () => {
    const pulse = newPulse();
    for (const packets of [3, 4]) noteDrops(pulse, packets);
    expect(dropsOf(pulse)).toBe(7);
  });

  it('that stops is overload, until it goes on', () => {
    const pulse = newPulse();
    showPackets(pulse, 7);
    beat(pulse);
    expect(packetsOf(pulse)).toBe(7);
    expect(isOverloaded(pulse, MAX_STALL_MS, inMs(0))).toBe(false);
    const later = inMs(MAX_STALL_MS + 1);
    expect(isOverloaded(pulse, MAX_STALL_MS, later)).toBe(true);
    expect(isOverloaded(pulse, 60_000, later)).toBe(false);
  });

  it.each([
    ['a stall', noteStall],
    ['a drop', (pulse: Pulse) => noteDrops(pulse, 1)],
  ])('remembers %s for ten seconds', (_, note) => {
    const pulse = newPulse();
    beat(pulse);
    note(pulse);
    expect(isOverloaded(pulse, 60_000, inMs(0))).toBe(true);
    expect(isOverloaded(pulse, 60_000, inMs(9_000))).toBe(true);
    expect(isOverloaded(pulse, 60_000, inMs(10_001))).toBe(false);
  });
});
