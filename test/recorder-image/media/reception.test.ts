import { Reception } from '../../../recorder-image/src/media/reception.ts';
import { rtpPacket } from './support.ts';

interface Arrival {
  sequence: number;
  atMs?: number;
  timestamp?: number;
  ssrc?: number;
  clockRate?: number | undefined;
}

function received(arrivals: Arrival[], reception = new Reception()): Reception {
  for (const { atMs = 0, clockRate, ...fields } of arrivals)
    reception.receive(rtpPacket(fields), atMs, clockRate);
  return reception;
}

const run = (first: number, count: number): Arrival[] =>
  Array.from({ length: count }, (_, index) => ({ sequence: first + index }));

describe('loss', () => {
  it('is what is missing up to the highest number, also over the wrap-around', () => {
    const reception = received(run(65_530, 20).filter((_, index) => index !== 3 && index !== 12));
    expect(reception.lostPackets).toBe(2);
    expect(reception.reportBlocks(0)).toMatchObject([
      {
        ssrc: 0x1234,
        cumulativeLost: 2,
        fractionLost: Math.floor((2 * 256) / 20),
        extendedHighestSequence: 0x1_000d,
      },
    ]);
  });

  it('is told anew for each interval, and as a sum', () => {
    const reception = received([...run(1, 10), ...run(21, 10)]);
    expect(reception.reportBlocks(0)[0]).toMatchObject({ cumulativeLost: 10, fractionLost: 85 });
    received([...run(31, 9), ...run(41, 1)], reception);
    expect(reception.reportBlocks(0)[0]).toMatchObject({ cumulativeLost: 11, fractionLost: 23 });
  });

  it('is none with late packets, and less than none with duplicates', () => {
    const reception = received([1, 2, 4, 3, 5, 5].map((sequence) => ({ sequence })));
    expect(reception.lostPackets).toBe(0);
    expect(reception.reportBlocks(0)[0]).toMatchObject({ cumulativeLost: -1, fractionLost: 0 });
  });

  it('is not made of a stray number, nor of a sender that begins anew', () => {
    const reception = received([...run(1, 10), { sequence: 40_000 }, ...run(11, 9), ...run(50_000, 10)]);
    // Two strays; the second one's run goes on with the packet after it.
    expect(reception.lostPackets).toBe(0);
    expect(reception.reportBlocks(0)[0]?.extendedHighestSequence).toBe(50_009);
  });
});

describe('jitter', () => {
  const steady = (count: number, clockRate: number, delayMs: (index: number) => number): Arrival[] =>
    Array.from({ length: count }, (_, index) => ({
      sequence: index,
      timestamp: 0xffff_ff00 + index * clockRate * 0.02,
      atMs: 1_767_614_400_000 + 20 * index + delayMs(index),
      clockRate,
    }));

  it.each([8000, 48_000])('is none at a steady pace with a clock of %i Hz', (clockRate) => {
    expect(received(steady(50, clockRate, () => 0)).jitterMs).toBe(0);
  });

  it.each([8000, 48_000])('comes near to the mean change of the delay, at %i Hz', (clockRate) => {
    const reception = received(steady(400, clockRate, (index) => (index % 2) * 5));
    expect(reception.jitterMs).toBeCloseTo(5, 3);
    expect(reception.reportBlocks(0)[0]?.jitter).toBe(Math.floor((reception.jitterMs * clockRate) / 1000));
  });

  it('follows RFC 3550 A.8 step by step', () => {
    const delays = [0, 16, 0];
    const reception = received(steady(3, 8000, (index) => delays[index] as number));
    expect(reception.jitterMs).toBe(1 + (16 - 1) / 16);
  });

  it('is not measured of events', () => {
    const voice = steady(20, 8000, () => 0);
    const events = Array.from({ length: 10 }, (_, index) => ({
      sequence: 20 + index,
      timestamp: 5,
      atMs: 1_767_614_400_400 + 20 * index,
    }));
    expect(received([...voice, ...events]).jitterMs).toBe(0);
  });
});

describe('a report', () => {
  it('tells of the sources heard since the last one, and of their sender reports', () => {
    const reception = received([
      { sequence: 1, ssrc: 1 },
      { sequence: 1, ssrc: 2 },
    ]);
    reception.senderReport(2, 0xabcd_1234, 1000);
    reception.senderReport(3, 0xabcd_1234, 1000);
    expect(reception.reportBlocks(3500)).toMatchObject([
      { ssrc: 1, lastSenderReport: 0, delaySinceLastSenderReport: 0 },
      { ssrc: 2, lastSenderReport: 0xabcd_1234, delaySinceLastSenderReport: 2.5 * 65_536 },
    ]);
    expect(reception.reportBlocks(3600)).toEqual([]);
    received([{ sequence: 2, ssrc: 1 }], reception);
    expect(reception.reportBlocks(3700).map(({ ssrc }) => ssrc)).toEqual([1]);
  });

  it('tells no more of a source that has said BYE, whose loss still counts', () => {
    const reception = received([{ sequence: 1 }, { sequence: 3 }]);
    reception.bye(0x1234);
    expect(reception.has(0x1234)).toBe(false);
    expect(reception.reportBlocks(0)).toEqual([]);
    expect(reception.lostPackets).toBe(1);
  });

  it('has room for the latest 31 sources', () => {
    const reception = received(Array.from({ length: 100 }, (_, ssrc) => ({ sequence: 1, ssrc })));
    expect(reception.reportBlocks(0).map(({ ssrc }) => ssrc)).toEqual(
      Array.from({ length: 31 }, (_, index) => 69 + index),
    );
  });
});
