import { setTimeout as pause, setImmediate as turn } from 'node:timers/promises';
import { busyShare, CpuShare, LoopDelay } from '../../../recorder-image/src/health/host-load.ts';

const processor = (idle: number, user: number, sys = 0, nice = 0, irq = 0) => ({
  times: { idle, user, sys, nice, irq },
});

describe('the share of the processors', () => {
  it.each([
    ['nothing done', [processor(0, 0)], [processor(10, 0)], 0],
    ['half of it', [processor(5, 5)], [processor(15, 10, 5)], 0.5],
    ['all kinds of work', [processor(0, 0)], [processor(60, 10, 10, 10, 10)], 0.4],
    ['one of two', [processor(0, 0), processor(0, 0)], [processor(10, 0), processor(0, 10)], 0.5],
    ['no time', [processor(5, 5)], [processor(5, 5)], 0],
    ['clocks that step back', [processor(50, 50)], [processor(5, 5)], 0],
    ['idle time that steps back', [processor(50, 50)], [processor(45, 100)], 1],
    ['a processor that is gone', [processor(50, 50), processor(9, 9)], [processor(55, 55)], 0],
  ])('%s', (_, before, after, share) => {
    expect(busyShare(before, after)).toBe(share);
  });

  it('is seen on this host', async () => {
    const share = new CpuShare();
    expect(share.take()).toBe(0); // no time has passed
    const until = performance.now() + 600;
    while (performance.now() < until);
    const busy = share.take();
    expect(busy).toBeGreaterThan(0);
    expect(busy).toBeLessThanOrEqual(1);
    expect(share.take()).toBe(busy);
  });
});

describe('the delay of the event loop', () => {
  const holdUp = (ms: number) => {
    const until = performance.now() + ms;
    while (performance.now() < until);
  };

  it('is what the loop was held up, and forgotten when it was asked for', async () => {
    const delay = new LoopDelay();
    holdUp(300);
    await pause(20);
    await turn();
    expect(delay.takeMs()).toBeGreaterThan(250);
    expect(delay.takeMs()).toBe(0);
    delay.stop();
  });

  it('is seen although the loop is held up from each look to the next', async () => {
    const delay = new LoopDelay();
    for (let look = 0; look < 3; look++) {
      holdUp(100);
      await turn(); // after the timers
      expect(delay.takeMs()).toBeGreaterThan(80);
    }
    delay.stop();
  });

  it('is little while nothing holds it up', async () => {
    const delay = new LoopDelay();
    const takes: number[] = [];
    while (takes.length < 50 && !takes.some((ms) => ms < 5)) {
      await pause(20); // on a busy machine not each time
      takes.push(delay.takeMs());
    }
    expect(Math.min(...takes)).toBeLessThan(5);
    delay.stop();
  });
});
