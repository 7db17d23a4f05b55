import { ReadingPace } from '../../../../recorder-image/src/media/receivers/reading-pace.ts';
import { SteadyFlow } from '../../../../recorder-image/src/media/receivers/steady-flow.ts';
import { rtpPacket } from '../support.ts';

const TURN_MS = 10;

/** Reads packets that arrive at these times, turn by turn. @returns how often nothing was there, and the longest wait in ms */
function read(arrivals: readonly number[], intervalMs: number) {
  const pace = new ReadingPace(0, intervalMs);
  let [next, missed, longestMs] = [0, 0, 0];
  const take = (now: number): boolean => {
    const arrival = arrivals[next];
    if (arrival === undefined || arrival > now) return false;
    longestMs = Math.max(longestMs, now - arrival);
    next++;
    pace.notePacket();
    return true;
  };
  const end = (arrivals.at(-1) as number) + 1000;
  for (let now = TURN_MS; now <= end; now += TURN_MS) {
    if (pace.isAllDue(now)) {
      while (take(now));
      if (!pace.noteEmpty(now)) return { taken: next, missed, longestMs, endedAt: now };
      continue;
    }
    while (pace.isDue(now)) {
      if (take(now)) continue;
      missed++;
      pace.noteNone(now + TURN_MS);
    }
  }
  throw new Error('it does not end');
}

const every = (ms: number, count: number, jitter = (_: number) => 0) =>
  Array.from({ length: count }, (_, index) => 3 + index * ms + jitter(index));

describe('the pace of reading', () => {
  it.each([
    ['20 ms', every(20, 1000), 20, 50],
    ['30 ms, taken for 20', every(30, 1000), 20, 65],
    ['10 ms, taken for 60', every(10, 1000), 60, 60],
    ['20 ms, jittering by 8', every(20, 1000, (index) => (index * 5) % 9), 20, 50],
    ['20.3 ms, of another clock', every(20.3, 1000), 20, 50],
  ])('finds all packets of every %s, and seldom looks for nothing', (_, arrivals, intervalMs, mostMissed) => {
    const { taken, missed } = read(arrivals, intervalMs);
    expect(taken).toBe(1000);
    expect(missed).toBeLessThanOrEqual(mostMissed);
  });

  it('lets no packet wait for longer than a packet and a turn, once it knows how fast they come', () => {
    expect(read(every(20, 1000), 20).longestMs).toBeLessThanOrEqual(30);
    expect(read(every(30, 1000), 30).longestMs).toBeLessThanOrEqual(40);
  });

  it('ends when nothing comes', () => {
    const { endedAt } = read(every(20, 50), 20);
    expect(endedAt - 1000).toBeLessThanOrEqual(2 * 320 + TURN_MS);
  });
});

describe('a flow', () => {
  const remote = { address: '192.0.2.1', port: 5004 };
  const packet = (ssrc: number) => rtpPacket({ ssrc, payload: Buffer.alloc(160) });
  const noted = (flow: SteadyFlow, count: number, { ssrc = 7, from = remote, at = 0, everyMs = 20 } = {}) =>
    Array.from({ length: count }, (_, index) =>
      flow.note(packet(ssrc), packet(ssrc).length, at + index * everyMs, from),
    ).lastIndexOf(true) >= 0;

  it('is steady after 16 packets of one source, and knows their interval', () => {
    const flow = new SteadyFlow();
    expect(noted(flow, 15)).toBe(false);
    expect(noted(flow, 1, { at: 300 })).toBe(true);
    expect(flow.intervalMs).toBe(20);
  });

  it.each([
    ['of another SSRC', { ssrc: 8 }],
    ['from another port', { from: { address: '192.0.2.1', port: 5006 } }],
    ['from another address', { from: { address: '192.0.2.2', port: 5004 } }],
    ['after a pause', { at: 15 * 20 + 100 }],
  ])('is not with a packet %s', (_, changed) => {
    const flow = new SteadyFlow();
    expect(noted(flow, 15)).toBe(false);
    expect(noted(flow, 15, { at: 300, ...changed })).toBe(false);
    expect(flow.isOf(packet('ssrc' in changed ? changed.ssrc : 7), 172)).toBe(true);
  });

  it('is not where packets are too short to say whose they are, nor where they are rare', () => {
    const flow = new SteadyFlow();
    for (let index = 0; index < 30; index++)
      expect(flow.note(Buffer.alloc(8), 8, index * 20, remote)).toBe(false);
    expect(noted(flow, 30, { everyMs: 101 })).toBe(false);
  });
});
