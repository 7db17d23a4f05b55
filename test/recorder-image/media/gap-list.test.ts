import { GapList, MAX_LISTED_GAPS } from '../../../recorder-image/src/media/gap-list.ts';

describe('GapList', () => {
  it('lists gaps as they were added, and joins those that touch each other and have one cause', () => {
    const gaps = new GapList();
    gaps.add({ from: 0, to: 10, cause: 'undecoded' });
    gaps.add({ from: 10, to: 30, cause: 'undecoded' });
    gaps.add({ from: 30, to: 40, cause: 'lost' });
    expect(gaps.listed).toEqual([
      { from: 0, to: 30, cause: 'undecoded' },
      { from: 30, to: 40, cause: 'lost' },
    ]);
    expect(gaps.unlisted).toEqual([]);
    expect(gaps.duration).toBe(40);
  });

  it('keeps the longest of very many, and of the others their number and sum by cause', () => {
    const gaps = new GapList();
    for (let index = 0; index < 700_000; index++) {
      const isLong = index % 1000 === 7;
      const from = index * 4000;
      gaps.add({ from, to: from + (isLong ? 2000 : 1000), cause: index % 2 === 0 ? 'not-sent' : 'lost' });
    }
    const { listed, unlisted } = gaps;
    expect(listed).toHaveLength(MAX_LISTED_GAPS);
    expect(listed.filter(({ from, to }) => to - from === 2000)).toHaveLength(700);
    expect(listed).toEqual(listed.toSorted((one, other) => one.from - other.from));
    expect(unlisted.reduce((sum, { count }) => sum + count, 0)).toBe(699_000);
    expect(unlisted.map(({ cause }) => cause).sort()).toEqual(['lost', 'not-sent']);
    expect(gaps.duration).toBe(700 * 2000 + 699_300 * 1000);
  });
});
