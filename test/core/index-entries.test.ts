import {
  ENTRY_SHARDS,
  type EntryKind,
  entryItems,
  entryKey,
  entryPartitions,
  type IndexEntryItem,
  indexEntrySchema,
  isEntryKey,
} from '../../core/index-entries.ts';
import { recordingItem, recordingKey, recordingPartition } from '../../core/index-items.ts';
import type { BroadWorksData, Manifest } from '../../core/manifest.ts';
import { seededRandom } from '../fixtures/mutate.ts';
import { makeManifest, recordingIdAt } from '../helpers/manifest.ts';

const entriesOf = (given: Partial<Manifest> = {}): IndexEntryItem[] =>
  entryItems(recordingItem(makeManifest(given)));

/** Values of a kind, as its sort keys have them. */
const valuesOf = (kind: EntryKind, entries: IndexEntryItem[]): string[] =>
  entries.flatMap(({ sk }) => {
    const prefix = `ENTRY#${kind}#`;
    return sk.startsWith(prefix) ? [decodeURIComponent(sk.slice(prefix.length))] : [];
  });

const broadWorks: BroadWorksData = {
  extTrackingId: '11111111',
  serviceProviderId: 'acme',
  groupId: 'Sales',
  userId: 'Alice@Example.com',
  callingPartyNumber: '+12145550102',
  calledPartyNumber: '+12145550101',
  dialedDigits: '5550101',
  redirect: { origCalledNumber: '+12145550103', lastRedirectNumber: 'unavailable' },
  acd: { userId: 'queue@example.com', number: '2145550104', countryCode: '1' },
};

/** As DynamoDB counts ("Item sizes and formats"): names and values, 3 bytes for a list or map and 1 for each of its elements. */
function itemBytes(value: unknown): number {
  if (value === undefined) return 0;
  if (typeof value === 'string') return Buffer.byteLength(value);
  if (typeof value !== 'object' || value === null) return 8;
  return Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .reduce((sum, [name, member]) => {
      const nameBytes = Array.isArray(value) ? 0 : Buffer.byteLength(name);
      return sum + nameBytes + itemBytes(member) + 1;
    }, 3);
}

describe('entryItems', () => {
  it('has one for each key by which somebody asks', () => {
    const entries = entriesOf({ broadWorks });
    const kinds = Object.keys(ENTRY_SHARDS) as EntryKind[];
    expect(Object.fromEntries(kinds.map((kind) => [kind, valuesOf(kind, entries).sort()]))).toEqual({
      time: [''],
      number: ['12145550101', '12145550102', '12145550103', '12145550104', '2145550104', '5550101'],
      user: ['alice@example.com', 'queue@example.com'],
      group: ['sales'],
      call: ['11111111', 'BW100000@198.51.100.10'],
      slot: ['use1-1'],
      status: ['complete'],
      name: ['ali'],
    });
    expect(new Set(entries.map(({ sk }) => sk)).size).toBe(entries.length);
  });

  it('lies with its recording, and sorts by time in both indexes', () => {
    const manifest = makeManifest();
    for (const entry of entryItems(recordingItem(manifest))) {
      expect(entry.pk).toBe(recordingPartition(manifest.recordingId));
      expect(entry.timeSk).toBe(`${manifest.startedAt}#${manifest.recordingId}`);
      expect(entry.tenantPk).toBe(`acme#${entry.timePk}`);
      expect(isEntryKey(entry)).toBe(true);
      expect(indexEntrySchema.parse(entry).summary.recordingId).toBe(manifest.recordingId);
    }
    expect(isEntryKey(recordingKey(manifest.recordingId))).toBe(false);
  });

  it('lies in a partition that a question for its value reads', () => {
    const random = seededRandom(4);
    for (let round = 0; round < 200; round += 1) {
      const startedAt = '2026-11-23T10:00:00.000Z';
      const recordingId = recordingIdAt(startedAt, random);
      const entries = entriesOf({ startedAt, recordingId, broadWorks });
      const asked: [EntryKind, string][] = [
        ['time', ''],
        ['number', '+1 214 555-0101'],
        ['number', '5550101'],
        ['user', 'sip:alice@example.com'],
        ['group', 'SALES'],
        ['call', '11111111'],
        ['slot', 'use1-1'],
        ['status', 'complete'],
      ];
      for (const [kind, value] of asked) {
        const key = entryKey(kind, value) as string;
        const all = entryPartitions(kind, key);
        const ofTenant = entryPartitions(kind, key, 'acme');
        expect(entries.filter(({ timePk }) => all.includes(timePk))).toHaveLength(1);
        expect(entries.filter(({ tenantPk }) => ofTenant.includes(tenantPk))).toHaveLength(1);
        expect(all).toHaveLength(ENTRY_SHARDS[kind]);
      }
    }
  });

  it('spreads what all recordings share over all its shards, about evenly', () => {
    const random = seededRandom(4);
    const startedAt = '2026-11-23T10:00:00.000Z';
    const counts = new Map(entryPartitions('time', '').map((partition) => [partition, 0]));
    for (let index = 0; index < 2000; index += 1) {
      const [entry] = entriesOf({ startedAt, recordingId: recordingIdAt(startedAt, random) }) as [
        IndexEntryItem,
      ];
      expect(counts.has(entry.timePk)).toBe(true);
      counts.set(entry.timePk, (counts.get(entry.timePk) ?? 0) + 1);
    }
    for (const count of counts.values()) expect(Math.abs(count - 500)).toBeLessThan(100);
  });

  it('keeps tenants apart, whatever their names', () => {
    const names = ['a', 'a#time', 'a%23time', 'a#time##0', '', '#', 'é', 'A', '\ud800'];
    const partitions = names.flatMap((tenant) => entryPartitions('time', '', tenant));
    expect(new Set(partitions).size).toBe(partitions.length);
    const users = ['1#0', '1', '1#0#0'].flatMap((value) => entryPartitions('user', value, 'a'));
    expect(new Set(users).size).toBe(users.length);
  });

  it('keys a value of any length', () => {
    const long = 'x'.repeat(5000);
    const [entry] = entriesOf({ call: { callId: long, correlationIds: [long, `${long}y`] } }).filter(
      ({ sk }) => sk.startsWith('ENTRY#call#'),
    ) as [IndexEntryItem];
    expect(entry.sk.length).toBeLessThan(300); // of 1,024 bytes
    expect(entryPartitions('call', long)).toEqual([entry.timePk]);
    expect(entryPartitions('call', `${long}y`)).not.toEqual([entry.timePk]);
  });

  it('costs one write unit for a usual call, and stays small for a large conference', () => {
    for (const entry of entriesOf({ broadWorks })) expect(itemBytes(entry)).toBeLessThan(1024);
    const participants = Array.from({ length: 500 }, (_, index) => ({
      id: `p${index}`,
      aors: [`sip:+1214555${String(index).padStart(4, '0')}@example.com`],
      names: [`Participant ${index}`],
      number: `+1214555${String(index).padStart(4, '0')}`,
      streamLabels: [],
    }));
    const entries = entriesOf({ participants });
    expect(valuesOf('number', entries)).toHaveLength(500);
    expect(entries[0]?.summary.participants).toHaveLength(20);
    expect(entries[0]?.summary.participantCount).toBe(500);
    for (const entry of entries) expect(itemBytes(entry)).toBeLessThan(4096);
  });
});

describe('entryKey', () => {
  it('is undefined for what no recording can have', () => {
    expect(entryKey('number', 'alice')).toBeUndefined();
    expect(entryKey('user', ' ')).toBeUndefined();
    expect(entryKey('group', ' ')).toBeUndefined();
  });

  it('takes a number whose + became a space', () => {
    expect(entryKey('number', ' 12145550101')).toBe(entryKey('number', '+12145550101'));
  });

  it('knows a user whose name is a number', () => {
    const entries = entriesOf({ broadWorks: { userId: '2145550101@Example.com' } });
    expect(valuesOf('user', entries)).toEqual([entryKey('user', '2145550101@example.com')]);
  });
});
