import { addDrops, type Drops } from '../../../recorder-image/src/media/drop-log.ts';

const logOf = (...drops: Drops[]): Drops[] => {
  const list: Drops[] = [];
  for (const one of drops) addDrops(list, one);
  return list;
};

describe('addDrops', () => {
  it('keeps periods apart that are so', () => {
    const [one, other] = [
      { fromMs: 1000, toMs: 1500, packets: 3 },
      { fromMs: 2501, toMs: 2600, packets: 4 },
    ];
    expect(logOf(one, other)).toEqual([one, other]);
  });

  it('makes one of those that lie within a second, or one in the other', () => {
    expect(
      logOf(
        { fromMs: 1000, toMs: 1500, packets: 3 },
        { fromMs: 2500, toMs: 2600, packets: 4 },
        { fromMs: 900, toMs: 1200, packets: 5 },
      ),
    ).toEqual([{ fromMs: 900, toMs: 2600, packets: 12 }]);
  });

  it('stays short, and counts all', () => {
    const many = Array.from({ length: 1000 }, (_, index) => ({
      fromMs: 10_000 * index,
      toMs: 10_000 * index + 1,
      packets: 2,
    }));
    const list = logOf(...many);
    expect(list).toHaveLength(100);
    expect(list.reduce((sum, { packets }) => sum + packets, 0)).toBe(2000);
    expect(list.at(-1)).toMatchObject({ fromMs: 990_000, toMs: 9_990_001 });
  });

  it('does not keep what it is given', () => {
    const given = { fromMs: 1, toMs: 2, packets: 1 };
    const list = logOf(given);
    addDrops(list, { fromMs: 2, toMs: 3, packets: 1 });
    expect(given).toEqual({ fromMs: 1, toMs: 2, packets: 1 });
  });
});
