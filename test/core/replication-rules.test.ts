import {
  dueAt,
  filteredManifest,
  isOpen,
  isWanted,
  type ReplicationFilters,
  replicationRuleSchema,
  rulesOf,
  unconditionalTargets,
} from '../../core/replication-rules.ts';
import { makeManifest } from '../helpers/manifest.ts';

const rule = (given: object = {}) =>
  replicationRuleSchema.parse({ to: 'us-west-2', mode: 'onCompletion', ...given });
const NIGHT = { mode: 'window', window: { timeZone: 'America/Chicago', from: '22:00', to: '06:00' } };

/** One minute, incoming, of tenant acme. */
const recording = filteredManifest(
  makeManifest({
    participants: [{ id: 'p1', aors: ['sip:Carol@example.com'], names: [], streamLabels: ['1'] }],
    broadWorks: {
      serviceProviderId: 'Acme-SP',
      groupId: 'Sales',
      userId: 'Alice@example.com',
      acd: { userId: 'agent7@example.com' },
    },
  }),
);

describe('filters', () => {
  const FITTING: ReplicationFilters[] = [
    {},
    { tenants: ['other', 'acme'] },
    { serviceProviders: ['acme-sp'] },
    { groups: ['SALES'] },
    { users: ['alice@example.com'] },
    { users: ['agent7@example.com'] },
    { users: ['sip:carol@example.com;user=phone'] },
    { directions: ['incoming', 'outgoing'] },
    { minDurationMs: 60_000 },
    { tenants: ['acme'], groups: ['sales'], minDurationMs: 1 },
  ];
  const OTHERS: ReplicationFilters[] = [
    { tenants: ['Acme'] }, // a tenant's name is exact
    { serviceProviders: ['acme'] },
    { groups: ['support'] },
    { users: ['bob@example.com', '+12145550101'] },
    { directions: ['outgoing', 'unknown'] },
    { minDurationMs: 60_001 },
    { tenants: ['acme'], groups: ['support'] },
  ];

  it.each(FITTING)('%j fits', (filters) => {
    expect(isWanted(rule({ filters }), recording)).toBe(true);
  });

  it.each(OTHERS)('%j does not fit', (filters) => {
    expect(isWanted(rule({ filters }), recording)).toBe(false);
  });

  it('leave out what says nothing of itself, rather than take it in', () => {
    const bare = filteredManifest(makeManifest({ broadWorks: undefined, participants: [] }));
    for (const filters of [{ serviceProviders: ['a'] }, { groups: ['a'] }, { users: ['a'] }])
      expect(isWanted(rule({ filters }), bare)).toBe(false);
    expect(isWanted(rule({ filters: { tenants: ['acme'] } }), bare)).toBe(true);
    expect(isWanted(rule(), bare)).toBe(true);
  });
});

describe('a copy is due', () => {
  it('at the end of the recording, where it is made on completion', () => {
    const endedAt = new Date('2026-11-25T18:00:00.000Z');
    expect(dueAt(rule(), endedAt)).toEqual(endedAt);
    expect(isOpen(rule(), endedAt)).toBe(true);
  });

  it('at the opening of the window after it, or at once within one', () => {
    const noon = new Date('2026-11-25T18:00:00.000Z');
    expect(isOpen(rule(NIGHT), noon)).toBe(false);
    expect(dueAt(rule(NIGHT), noon)).toEqual(new Date('2026-11-26T04:00:00.000Z'));
    const night = new Date('2026-11-26T05:00:00.000Z');
    expect(isOpen(rule(NIGHT), night)).toBe(true);
    expect(dueAt(rule(NIGHT), night)).toEqual(night);
  });
});

it('only a target without window and filters gets every recording at once', () => {
  const replication = [
    { from: 'a', ...rule({ to: 'b', ...NIGHT }) },
    { from: 'a', ...rule({ to: 'c' }) },
    { from: 'a', ...rule({ to: 'd', filters: { tenants: ['acme'] } }) },
    { from: 'b', ...rule({ to: 'e' }) },
  ];
  expect(unconditionalTargets({ replication }, 'a')).toEqual(['c']);
});

it('rules of a region come by priority, those of the same in the order of the file', () => {
  const replication = [
    { from: 'a', ...rule({ to: 'b' }) },
    { from: 'x', ...rule({ to: 'y', priority: 0 }) },
    { from: 'a', ...rule({ to: 'c', priority: 51 }) },
    { from: 'a', ...rule({ to: 'd', priority: 1 }) },
    { from: 'a', ...rule({ to: 'e' }) },
  ];
  expect(rulesOf({ replication }, 'a').map(({ to }) => to)).toEqual(['d', 'b', 'e', 'c']);
  expect(rulesOf({ replication }, 'a')[0]).toEqual({ to: 'd', mode: 'onCompletion', priority: 1 });
  expect(rulesOf({ replication }, 'b')).toEqual([]);
});
