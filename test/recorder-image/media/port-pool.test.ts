import { NoPortsError, PortPool } from '../../../recorder-image/src/media/port-pool.ts';

describe('PortPool', () => {
  it('gives even ports whose odd neighbour is in the range too', () => {
    const pool = new PortPool({ min: 20_001, max: 20_006 }, 0);
    expect(pool.free).toBe(2);
    expect([pool.take(), pool.take()]).toEqual([20_002, 20_004]);
    expect(pool.free).toBe(0);
  });

  it('says that none is left, and of which range', () => {
    const range = { min: 20_000, max: 20_001 };
    const pool = new PortPool(range, 0);
    pool.take();
    expect(() => pool.take()).toThrow(NoPortsError);
    expect(() => pool.take()).toThrow('between 20000 and 20001');
  });

  it('uses a port again only after all others', () => {
    const pool = new PortPool({ min: 20_000, max: 20_005 }, 0);
    pool.giveBack(pool.take());
    expect([pool.take(), pool.take(), pool.take()]).toEqual([20_002, 20_004, 20_000]);
  });

  it('reserves a port of choice, and takes back none from outside its range', () => {
    const pool = new PortPool({ min: 20_000, max: 20_005 }, 0);
    pool.reserve(20_002);
    pool.reserve(30_000);
    expect([pool.take(), pool.take()]).toEqual([20_000, 20_004]);
    pool.giveBack(30_000);
    expect(pool.free).toBe(0);
    pool.giveBack(20_002);
    expect(pool.take()).toBe(20_002);
  });

  it('lets a pair rest after use, and only then', () => {
    let now = 1000;
    const range = { min: 20_000, max: 20_003 };
    const pool = new PortPool(range, 30_000, () => now);
    const [used, unused] = [pool.take(), pool.take()];
    pool.giveBack(used);
    expect(pool.free).toBe(0);
    expect(() => pool.take()).toThrow(NoPortsError);
    now += 10_000;
    pool.giveBackUnused(unused);
    expect(pool.free).toBe(1);
    expect(pool.take()).toBe(unused);
    pool.giveBack(unused);
    now += 19_999;
    expect(pool.free).toBe(0);
    now += 1;
    expect(pool.free).toBe(1);
    expect(pool.take()).toBe(used);
    expect(() => pool.take()).toThrow(NoPortsError);
    now += 10_000;
    expect(pool.take()).toBe(unused);
  });

  it.each([
    { min: 20_001, max: 20_002 },
    { min: 20_004, max: 20_000 },
    { min: 0, max: 100 },
    { min: 65_000, max: 65_536 },
    { min: 20_000.5, max: 20_010 },
  ])('refuses %j', (range) => {
    expect(() => new PortPool(range, 0)).toThrow(RangeError);
  });
});
