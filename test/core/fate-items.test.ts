import {
  activeHoldObjects,
  activeHolds,
  dueItem,
  factsOf,
  fateOf,
  type HoldFact,
  type HoldSubject,
  holdFactItem,
  holdIdSchema,
  holdObjectKey,
  subjectPartition,
} from '../../core/fate-items.ts';

const RECORDING: HoldSubject = { kind: 'recording', recordingId: '01KAR7V0000000000000000000' };
const fact = (given: Partial<HoldFact>): HoldFact => ({
  fact: 'set',
  holdId: 'a',
  by: 'officer',
  at: '2026-11-23T10:00:00.000Z',
  reason: 'litigation',
  region: 'us-east-1',
  ...given,
});

it('holds as long as there is a hold without its release, in whatever order facts arrive', () => {
  const items = [
    fact({ fact: 'released', holdId: 'a' }),
    fact({ holdId: 'b' }),
    fact({ holdId: 'a' }),
    fact({ fact: 'released', holdId: 'c' }), // its hold has not arrived
  ].map((one) => holdFactItem(RECORDING, one));
  const { holds } = fateOf(items);
  expect(holds.map(({ holdId, released }) => [holdId, Boolean(released)])).toEqual([
    ['b', false],
    ['a', true],
  ]);
  expect(activeHolds(holds).map(({ holdId }) => holdId)).toEqual(['b']);
  expect(holds.flatMap(factsOf)).toHaveLength(3);
});

it('takes facts for facts by their keys: a hold whose id looks like another key changes nothing', () => {
  expect(holdIdSchema.safeParse('a#RELEASED').success).toBe(false);
  expect(holdIdSchema.safeParse('a/../b').success).toBe(false);
  expect(holdIdSchema.safeParse('matter-1_2.b').success).toBe(true);
});

it('knows from the keys of objects what holds', () => {
  const call: HoldSubject = { kind: 'call', tenant: 'a/b', callId: 'x@example.com/1' };
  const keys = [
    holdObjectKey(RECORDING, fact({ holdId: 'a' })),
    holdObjectKey(RECORDING, fact({ holdId: 'a', fact: 'released' })),
    holdObjectKey(RECORDING, fact({ holdId: 'b' })),
    holdObjectKey(call, fact({ holdId: 'a' })),
    holdObjectKey(call, fact({ holdId: 'c', fact: 'released' })),
  ];
  expect(keys[3]).toBe('holds/calls/a%2Fb/x%40example.com%2F1/a.set.json');
  expect(activeHoldObjects(keys)).toEqual(['b', 'a']);
});

it('keeps tenants apart, and work in order of time', () => {
  const call = (tenant: string, callId: string) => subjectPartition({ kind: 'call', tenant, callId });
  expect(call('a#b', 'c')).not.toBe(call('a', 'b#c'));
  const [one, other] = [new Date(1_000), new Date(2_000)].map((at) => dueItem('us-east-1', RECORDING, at));
  expect([other?.sk, one?.sk].sort()).toEqual([one?.sk, other?.sk]);
});
