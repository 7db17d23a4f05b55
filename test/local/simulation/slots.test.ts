import { type FullRule, REFUSED, SILENCE, Slots, SWALLOWED, TAKEN } from '../../../local/simulation/slots.ts';

/** One slot of `capacity` calls, of which it has `active`. */
function slotWith(active: number, { capacity = 100, full = 0 as FullRule } = {}): Slots {
  const slots = new Slots([capacity], full);
  for (let call = 0; call < active; call++) slots.invite(0);
  slots.noticeFull(0);
  return slots;
}

it.each<[string, number, (slots: Slots) => void, number]>([
  ['takes a call', 0, () => {}, TAKEN],
  ['takes the last call', 99, () => {}, TAKEN],
  ['refuses at capacity', 100, () => {}, REFUSED],
  ['refuses when it drains', 5, (slots) => slots.drain(0), REFUSED],
  ['says nothing when it is dead', 5, (slots) => slots.fail(0, 'dead'), SILENCE],
  ['says nothing when it hangs', 5, (slots) => slots.fail(0, 'hangs'), SILENCE],
  ['swallows the call when only its SIP server is alive', 5, (slots) => slots.fail(0, 'stalls'), SWALLOWED],
])('%s', (_, active, change, outcome) => {
  const slots = slotWith(active);
  change(slots);
  expect(slots.invite(0)).toBe(outcome);
});

it('loses its calls when it dies; their ends mean nothing to its next life', () => {
  const slots = slotWith(40);
  const life = slots.life[0] as number;
  expect(slots.fail(0, 'dead')).toBe(40);
  slots.restore(0);
  expect(slots.invite(0)).toBe(TAKEN);
  slots.end(0, life);
  expect(slots.active[0]).toBe(1);
  slots.end(0, life + 1);
  expect(slots.active[0]).toBe(0);
});

it('keeps its calls when it drains', () => {
  const slots = slotWith(40);
  slots.drain(0);
  slots.end(0, 0);
  expect(slots.active[0]).toBe(39);
  expect(slots.state(0)).toBe('draining');
  expect(slots.isHealthy(0)).toBe(false);
});

it.each<[FullRule, boolean[]]>([
  // Of 100 calls, as they end: 100, 99, 96, 95.
  [0, [false, true, true, true]],
  [0.05, [false, false, false, true]],
  ['never', [true, true, true, true]],
])('with the rule %s for full slots it is healthy so at 100, 99, 96 and 95 %%', (full, expected) => {
  const slots = slotWith(100, { full });
  const healthyAt = (active: number): boolean => {
    while ((slots.active[0] as number) > active) slots.end(0, 0);
    slots.noticeFull(0);
    return slots.isHealthy(0);
  };
  expect([100, 99, 96, 95].map(healthyAt)).toEqual(expected);
});

it('reports when it is full', () => {
  expect(slotWith(100).state(0)).toBe('unhealthy');
  expect(slotWith(99).state(0)).toBe('serving');
});
