import { rememberedFreeSpace } from '../../../recorder-image/src/health/free-space.ts';

describe('rememberedFreeSpace', () => {
  let now = 0;
  let looks: PromiseWithResolvers<number>[] = [];
  const look = () => {
    const next = Promise.withResolvers<number>();
    looks.push(next);
    return next.promise;
  };
  beforeEach(() => {
    now = 0;
    looks = [];
  });

  const seenOnce = async () => {
    const freeSpace = rememberedFreeSpace(look, () => now);
    const first = freeSpace();
    looks[0]?.resolve(100);
    expect(await first).toBe(100);
    return freeSpace;
  };

  it('looks once a second, and waits for it only the first time', async () => {
    const freeSpace = await seenOnce();
    now = 999;
    expect(await freeSpace()).toBe(100);
    expect(looks).toHaveLength(1);
    now = 1_500;
    expect(await freeSpace()).toBe(100); // while the disk thinks about it
    expect(await freeSpace()).toBe(100);
    expect(looks).toHaveLength(2);
    looks[1]?.resolve(50);
    await looks[1]?.promise;
    expect(await freeSpace()).toBe(50);
  });

  it('waits for a disk that has not answered for five seconds', async () => {
    const freeSpace = await seenOnce();
    now = 4_000;
    expect(await freeSpace()).toBe(100);
    now = 5_001;
    const waiting = freeSpace();
    expect(looks).toHaveLength(2);
    looks[1]?.resolve(7);
    expect(await waiting).toBe(7);
  });

  it('tells that the disk cannot be looked at, and looks again', async () => {
    const freeSpace = await seenOnce();
    now = 2_000;
    expect(await freeSpace()).toBe(100);
    looks[1]?.reject(new Error('gone'));
    await expect(looks[1]?.promise).rejects.toThrow('gone');
    const next = freeSpace();
    looks[2]?.reject(new Error('still gone'));
    await expect(next).rejects.toThrow('still gone');
    const back = freeSpace();
    looks[3]?.resolve(9);
    expect(await back).toBe(9);
  });
});
