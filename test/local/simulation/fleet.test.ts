import { planFleet } from '../../../local/simulation/fleet.ts';

it("is the guide's example: three of 40/30/30 at the first priority, a backup in another region", () => {
  const { slots, names, regions, firstTierCapacity } = planFleet(4, 10_000);
  expect(
    slots.map(({ plan, staticWeight }) => [
      plan.region,
      plan.callCapacity,
      plan.srvRecords[0]?.priority,
      plan.srvRecords[0]?.weight,
      staticWeight,
    ]),
  ).toEqual([
    ['us-east-1', 4_000, 10, 4_000, 40],
    ['us-east-1', 3_000, 10, 3_000, 30],
    ['us-east-1', 3_000, 10, 3_000, 30],
    ['us-west-2', 10_000, 20, 10_000, 10],
  ]);
  expect(names).toEqual(['n0']);
  expect(regions).toEqual(['us-east-1', 'us-west-2']);
  expect(firstTierCapacity).toBe(10_000);
});

it('puts eight slots behind each SRV name', () => {
  const { slots, names } = planFleet(1_000, 700_000);
  expect(names).toHaveLength(125);
  expect([...Map.groupBy(slots, ({ name }) => name).values()].map(({ length }) => length)).toEqual(
    new Array(125).fill(8),
  );
  for (const { plan, name } of slots)
    expect(plan.srvRecords.map((record) => record.name)).toEqual([`_sip._udp.n${name}.rec.example.com`]);
});

it('makes a slot smaller in the plan, not in the weights of the guide', () => {
  const [first, second] = planFleet(4, 10_000, (slot) => (slot === 0 ? 0.5 : 1)).slots;
  expect([first?.plan.callCapacity, first?.staticWeight]).toEqual([2_000, 40]);
  expect(second?.plan.callCapacity).toBe(3_000);
});

it.each([
  [6, 10_000, '6 slots: the example has groups of 4, give a multiple'],
  [4, 20_000, 'a slot of the plan holds at most 10000'],
  [4, 10, 'fewer than 100 are noise'],
])('refuses %s slots for %s calls', (slots, capacity, message) => {
  expect(() => planFleet(slots, capacity)).toThrow(message);
});
