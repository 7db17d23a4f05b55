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
  it('is what the loop was held up, and forgotten when it was asked for', async () => {
    const delay = new LoopDelay();
    await pause(50); // it measures from its second turn on
    const until = performance.now() + 300;
    while (performance.now() < until);
    await pause(20);
    await turn();
    const heldUp = delay.takeMs();
    expect(heldUp).toBeGreaterThan(250);
    expect(delay.takeMs()).toBe(0);
    delay.stop();
  });
});
