import { SpoolSpace, spoolFill } from '../../../recorder-image/src/health/spool-space.ts';

describe('the room of a spool', () => {
  it('is told, with its fill', async () => {
    const space = new SpoolSpace({ space: async () => ({ freeBytes: 600, totalBytes: 1000 }) }, 200);
    expect(await space.look()).toEqual({ freeSpoolBytes: 600 });
    expect(space.fill(600)).toBe(0.5);
    expect([space.isFilling, space.secondsUntilFull]).toEqual([false, undefined]);
  });

  it('is not waited for when the disk does not answer', async () => {
    const space = new SpoolSpace({ space: () => new Promise(() => {}) }, 200, {}, 20);
    expect(await space.look()).toEqual({ diskError: 'the disk of the spool does not answer' });
    expect(await space.look()).toEqual({ diskError: 'the disk of the spool does not answer' });
  });

  it('is not known when the disk refuses', async () => {
    const space = new SpoolSpace({ space: () => Promise.reject(new Error('EIO: i/o error')) }, 200);
    expect(await space.look()).toEqual({ diskError: 'EIO: i/o error' });
  });
});

describe('the fill of a spool', () => {
  it.each([
    [1000, 1000, 200, 0],
    [600, 1000, 200, 0.5],
    [200, 1000, 200, 1],
    [100, 1000, 200, 1], // the reserve is in use
    [1000, 1000, 0, 0],
    [100, 100, 200, 1], // a disk smaller than its reserve
    [0, 0, 0, 1], // nothing is known of the disk
  ])('%d bytes free of %d, %d in reserve: %d', (free, total, reserve, fill) => {
    expect(spoolFill(free, total, reserve)).toBe(fill);
  });
});
