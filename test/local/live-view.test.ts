import { changesBetween, type SlotView, statusLine } from '../../local/live-view.ts';

const slot = (facts: Partial<SlotView> = {}): SlotView => ({
  name: 'use1-1',
  weight: 100,
  recorder: { state: 'serving', reasons: [], activeRecordings: 3 },
  ...facts,
});

describe('changes of a slot', () => {
  it.each<[string, SlotView, SlotView, string[]]>([
    ['nothing', slot(), slot(), []],
    ['more calls', slot(), slot({ recorder: { state: 'serving', reasons: [], activeRecordings: 4 } }), []],
    ['its weight', slot(), slot({ weight: 40 }), ['use1-1: weight 100 -> 40']],
    [
      'its state',
      slot(),
      slot({ recorder: { state: 'unhealthy', reasons: ['full', 'disk-full'], activeRecordings: 3 } }),
      ['use1-1 is unhealthy (full, disk-full)'],
    ],
    ['death', slot(), { name: 'use1-1', weight: 100 }, ['use1-1 does not answer']],
    ['leaving DNS', { name: 'use1-1', weight: 100 }, { name: 'use1-1' }, ['use1-1 has left DNS']],
    ['coming back', { name: 'use1-1' }, slot(), ['use1-1 is serving', 'use1-1 is in DNS again, weight 100']],
  ])('%s', (_, before, after, expected) => {
    expect(changesBetween([before], [after])).toEqual(expected);
  });

  it('are not told of a slot that was not there', () => {
    expect(changesBetween([], [slot()])).toEqual([]);
  });
});

it('shows all slots in one line', () => {
  expect(statusLine([slot(), { name: 'use1-2' }])).toBe(
    'use1-1 3 calls, weight 100 | use1-2 no answer, not in DNS',
  );
});
