import { BatchWriteCommand } from '@aws-sdk/lib-dynamodb';
import type { TenantScope } from '../../../core/access.ts';
import { entryItems, entryKey, summaryOf } from '../../../core/index-entries.ts';
import { homeCopyItem, recordingItem } from '../../../core/index-items.ts';
import type { Manifest } from '../../../core/manifest.ts';
import {
  findCopies,
  findRecording,
  MAX_ENTRIES_READ,
  type RecordingQuery,
  searchRecordings,
} from '../../../functions/query-api/search.ts';
import type { IndexTable } from '../../../functions/shared/aws-clients.ts';
import { seededRandom } from '../../fixtures/mutate.ts';
import {
  createIndexTable,
  EMULATOR_START_TIMEOUT_MS,
  startTestEmulator,
  type TestEmulator,
} from '../../helpers/emulator.ts';
import { makeManifest, recordingIdAt } from '../../helpers/manifest.ts';

const REGION = 'us-east-1';
const FIRST = Date.parse('2026-11-21T00:00:00.000Z');
const DAY_MS = 24 * 60 * 60 * 1000;

const WHOLE = { from: new Date(FIRST), to: new Date(FIRST + 3 * DAY_MS) };

let emulator: TestEmulator;

beforeAll(async () => {
  emulator = await startTestEmulator();
}, EMULATOR_START_TIMEOUT_MS);
afterAll(() => emulator.stop());

async function indexOf(tableName: string, manifests: Manifest[]): Promise<IndexTable> {
  const index = { table: emulator.documents(REGION), tableName };
  await createIndexTable(emulator.dynamo(REGION), tableName);
  const items = manifests.flatMap((manifest) => [
    homeCopyItem(manifest, 'recordings'),
    ...entryItems(recordingItem(manifest)),
    recordingItem(manifest),
  ]);
  await putAll(index, items);
  return index;
}

async function putAll({ table, tableName }: IndexTable, items: object[]): Promise<void> {
  for (let at = 0; at < items.length; at += 25) {
    const RequestItems = { [tableName]: items.slice(at, at + 25).map((Item) => ({ PutRequest: { Item } })) };
    await table.send(new BatchWriteCommand({ RequestItems }));
  }
}

/** Recordings over three days; every fifth starts in the same millisecond as the one before it. */
function threeDays(count: number, random: () => number): Manifest[] {
  const manifests: Manifest[] = [];
  for (let index = 0; index < count; index += 1) {
    const startedAt =
      (index % 5 === 4 && manifests.at(-1)?.startedAt) ||
      new Date(FIRST + Math.floor(random() * 3 * DAY_MS)).toISOString();
    manifests.push(makeManifest({ startedAt, recordingId: recordingIdAt(startedAt, random) }));
  }
  return manifests;
}

/** Ids in the order that the API promises: newest first, the higher id first within a millisecond. */
const newestFirst = (manifests: Manifest[]): string[] =>
  manifests
    .map(({ startedAt, recordingId }) => ({ key: `${startedAt}#${recordingId}`, recordingId }))
    .toSorted((a, b) => (a.key < b.key ? 1 : -1))
    .map(({ recordingId }) => recordingId);

async function readAll(
  index: IndexTable,
  query: RecordingQuery,
  limit: () => number,
  scope: TenantScope = 'all',
) {
  const ids: string[] = [];
  let after: string | undefined;
  let pages = 0;
  do {
    const size = limit();
    const { items, last } = await searchRecordings(
      index,
      query,
      { limit: size, ...(after && { after }) },
      scope,
    );
    expect(items.length).toBeLessThanOrEqual(size);
    ids.push(...items.map(({ recordingId }) => recordingId));
    after = last;
    pages += 1;
  } while (after);
  return { ids, pages };
}

describe('searchRecordings', () => {
  it.each([11, 12])(
    'gives 300 recordings of 3 days once each, in order, in pages of any size (seed %i)',
    async (seed) => {
      const random = seededRandom(seed);
      const manifests = threeDays(300, random);
      const index = await indexOf(`index-${seed}`, manifests);
      const all = { from: new Date(FIRST), to: new Date(FIRST + 3 * DAY_MS) };
      const expected = newestFirst(manifests);
      expect((await readAll(index, all, () => 200)).ids).toEqual(expected);
      expect((await readAll(index, all, () => 7)).ids).toEqual(expected);
      expect((await readAll(index, all, () => 1 + Math.floor(random() * 40))).ids).toEqual(expected);

      for (let round = 0; round < 5; round += 1) {
        const from = new Date(FIRST + Math.floor(random() * 2 * DAY_MS));
        const to = new Date(from.getTime() + Math.floor(random() * DAY_MS) + 1);
        const inside = manifests.filter(
          ({ startedAt }) => +from <= Date.parse(startedAt) && Date.parse(startedAt) < +to,
        );
        const { ids } = await readAll(index, { from, to }, () => 3 + Math.floor(random() * 20));
        expect(ids).toEqual(newestFirst(inside));
      }
    },
    60_000,
  );

  it('takes `from` in and leaves `to` out', async () => {
    const times = [
      '2026-11-22T09:59:59.999Z',
      '2026-11-22T10:00:00.000Z',
      '2026-11-22T10:59:59.999Z',
      '2026-11-22T11:00:00.000Z',
    ];
    const index = await indexOf(
      'half-open',
      times.map((startedAt) => makeManifest({ startedAt })),
    );
    const range = { from: new Date('2026-11-22T10:00:00Z'), to: new Date('2026-11-22T11:00:00Z') };
    const { items, last } = await searchRecordings(index, range, { limit: 10 }, 'all');
    expect(items.map(({ startedAt }) => startedAt)).toEqual([times[2], times[1]]);
    expect(last).toBeUndefined();
  });

  it('says that there is more only when there is', async () => {
    const manifests = threeDays(8, seededRandom(14));
    const index = await indexOf('exact', manifests);
    const range = { from: new Date(FIRST), to: new Date(FIRST + 3 * DAY_MS) };
    expect((await searchRecordings(index, range, { limit: 8 }, 'all')).last).toBeUndefined();
    expect((await searchRecordings(index, range, { limit: 7 }, 'all')).last).toBeDefined();
    expect(await readAll(index, range, () => 4)).toMatchObject({ pages: 2 });
    expect(await searchRecordings(index, { ...range, to: new Date(FIRST + 1) }, { limit: 8 }, 'all')).toEqual(
      {
        items: [],
        entriesRead: 0,
      },
    );
  });

  it('gives a summary of the recording, without the keys of the table', async () => {
    const [manifest] = threeDays(1, seededRandom(15)) as [Manifest];
    const index = await indexOf('shape', [manifest]);
    const { items } = await searchRecordings(index, WHOLE, { limit: 1 }, 'all');
    expect(items).toEqual([summaryOf(recordingItem(manifest))]);
    expect(items[0]).not.toHaveProperty('pk');
  });

  describe('with conditions', () => {
    const random = seededRandom(17);
    const pick = <Value>(...values: [Value, ...Value[]]): Value =>
      values[Math.floor(random() * values.length)] as Value;
    const manifests = threeDays(240, random).map((manifest) => {
      const seconds = Math.floor(random() * 120);
      return {
        ...manifest,
        tenant: pick('acme', 'globex'),
        slot: pick('use1-1', 'use1-2'),
        direction: pick('incoming' as const, 'outgoing' as const),
        status: pick('complete' as const, 'complete' as const, 'partial' as const, 'recovered' as const),
        endedAt: new Date(Date.parse(manifest.startedAt) + seconds * 1000).toISOString(),
        broadWorks: { groupId: pick('Sales', 'Support'), userId: pick('Ann@example.com', 'bob@example.com') },
        participants: [pick('+12145550101', '+12145550102'), pick('+12145550103', '2145550104')].map(
          (number, at) => ({
            id: `p${at}`,
            aors: [`tel:${number}`],
            names: [pick('Zoë García', 'Zora Smith', 'Bob Garner')],
            number,
            streamLabels: [],
          }),
        ),
      };
    });
    const holds: Record<string, (manifest: (typeof manifests)[number]) => boolean> = {
      tenant: ({ tenant }) => tenant === 'acme',
      number: ({ participants }) => participants.some(({ number }) => number === '+12145550101'),
      user: ({ broadWorks }) => broadWorks.userId === 'Ann@example.com',
      group: ({ broadWorks }) => broadWorks.groupId === 'Sales',
      slot: ({ slot }) => slot === 'use1-2',
      status: ({ status }) => status === 'partial',
      direction: ({ direction }) => direction === 'incoming',
      minDurationMs: ({ startedAt, endedAt }) => Date.parse(endedAt) - Date.parse(startedAt) >= 60_000,
      // Words of any of the names.
      text: ({ participants }) => {
        const all = participants.flatMap(({ names }) => names).join(' ');
        return /Zora/.test(all);
      },
    };
    const asked: Omit<RecordingQuery, 'from' | 'to'> = {
      tenant: 'acme',
      number: entryKey('number', '+12145550101') as string,
      user: entryKey('user', 'ann@example.com') as string,
      group: entryKey('group', 'sales') as string,
      slot: 'use1-2',
      status: 'partial',
      direction: 'incoming',
      minDurationMs: 60_000,
      text: 'smi zora',
    };
    const names = Object.keys(holds);
    // Every condition alone, every two of them, and all.
    const combinations = [
      ...names.flatMap((one, at) => names.slice(at).map((other) => [...new Set([one, other])])),
      names,
    ];
    let index: IndexTable;
    beforeAll(async () => {
      index = await indexOf('conditions', manifests);
    });

    it.each(combinations.map((combination) => [combination.join(' and '), combination] as const))(
      'finds by %s what they say, once each and in order, in pages of any size',
      async (_, combination) => {
        const query = {
          ...WHOLE,
          ...Object.fromEntries(Object.entries(asked).filter(([name]) => combination.includes(name))),
        };
        const wanted = newestFirst(
          manifests.filter((manifest) => combination.every((name) => holds[name]?.(manifest))),
        );
        if (combination.length < 3) expect(wanted.length).toBeGreaterThan(10);
        for (const limit of [7, 200]) expect((await readAll(index, query, () => limit)).ids).toEqual(wanted);
      },
    );

    it.each([[['globex']], [['initech', 'globex', 'globex']], [['acme', 'globex']], [['initech']], [[]]])(
      'has nothing of other tenants than %j, whatever is asked for',
      async (scope) => {
        const visible = manifests.filter(({ tenant }) => scope.includes(tenant));
        for (const [name, holdsFor] of [['nothing', () => true] as const, ...Object.entries(holds)]) {
          const query = { ...WHOLE, ...(name in asked && { [name]: asked[name as keyof typeof asked] }) };
          const { ids } = await readAll(index, query, () => 37, scope);
          expect({ name, ids }).toEqual({ name, ids: newestFirst(visible.filter(holdsFor)) });
        }
      },
    );

    it('reads no more than half a page and the shards in vain, where a key says it all', async () => {
      for (const name of ['tenant', 'number', 'user', 'group', 'slot', 'status'] as const)
        for (const limit of [1, 2, 5, 10, 25, 50]) {
          const query = { ...WHOLE, [name]: asked[name] };
          const { items, entriesRead } = await searchRecordings(index, query, { limit }, 'all');
          expect(items).toHaveLength(limit);
          expect(entriesRead).toBeLessThanOrEqual(1.5 * limit + 4);
        }
    });
  });

  it('ends a page early where a condition leaves nearly everything out, and goes on from there', async () => {
    const random = seededRandom(18);
    const count = MAX_ENTRIES_READ + 600;
    const manifests = threeDays(count, random);
    const [oldest] = newestFirst(manifests).slice(-1) as [string];
    const rare = manifests.map((manifest) =>
      manifest.recordingId === oldest ? { ...manifest, direction: 'outgoing' as const } : manifest,
    );
    // Only what this question reads.
    const index = await indexOf('rare', []);
    await putAll(
      index,
      rare.map((manifest) => entryItems(recordingItem(manifest))[0] as object),
    );
    const query = { ...WHOLE, direction: 'outgoing' as const };
    const first = await searchRecordings(index, query, { limit: 10 }, 'all');
    expect(first).toMatchObject({ items: [], last: expect.any(String) });
    expect(first.entriesRead).toBeGreaterThanOrEqual(MAX_ENTRIES_READ);
    expect(first.entriesRead).toBeLessThan(MAX_ENTRIES_READ + 1000);
    const { ids, pages } = await readAll(index, query, () => 10);
    expect(ids).toEqual([oldest]);
    expect(pages).toBeLessThanOrEqual(3);
  });
});

describe('findRecording and findCopies', () => {
  it('find one recording and where it is', async () => {
    const manifests = threeDays(3, seededRandom(16));
    const [first] = manifests as [Manifest];
    const index = await indexOf('one', manifests);
    expect(await findRecording(index, first.recordingId)).toMatchObject({ recordingId: first.recordingId });
    const { pk, sk, ...copy } = homeCopyItem(first, 'recordings');
    expect(await findCopies(index, first.recordingId)).toEqual([copy]);
    expect(await findRecording(index, 'unknown')).toBeUndefined();
    expect(await findCopies(index, 'unknown')).toEqual([]);
  });
});
