import { BatchWriteCommand } from '@aws-sdk/lib-dynamodb';
import { homeCopyItem, recordingItem } from '../../../core/index-items.ts';
import type { Manifest } from '../../../core/manifest.ts';
import {
  findCopies,
  findRecording,
  type IndexTable,
  searchByTime,
  type TimeRange,
} from '../../../functions/query-api/search.ts';
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

let emulator: TestEmulator;

beforeAll(async () => {
  emulator = await startTestEmulator();
}, EMULATOR_START_TIMEOUT_MS);
afterAll(() => emulator.stop());

async function indexOf(tableName: string, manifests: Manifest[]): Promise<IndexTable> {
  const table = emulator.documents(REGION);
  await createIndexTable(emulator.dynamo(REGION), tableName);
  const items = manifests.flatMap((manifest) => [
    recordingItem(manifest),
    homeCopyItem(manifest, 'recordings'),
  ]);
  for (let at = 0; at < items.length; at += 25) {
    const RequestItems = { [tableName]: items.slice(at, at + 25).map((Item) => ({ PutRequest: { Item } })) };
    await table.send(new BatchWriteCommand({ RequestItems }));
  }
  return { table, tableName };
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

async function readAll(index: IndexTable, range: TimeRange, limit: () => number) {
  const ids: string[] = [];
  let after: string | undefined;
  let pages = 0;
  do {
    const size = limit();
    const { items, last } = await searchByTime(index, { ...range, limit: size, ...(after && { after }) });
    expect(items.length).toBeLessThanOrEqual(size);
    if (last) expect(items).toHaveLength(size);
    ids.push(...items.map(({ recordingId }) => recordingId));
    after = last;
    pages += 1;
  } while (after);
  return { ids, pages };
}

describe('searchByTime', () => {
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
    const { items, last } = await searchByTime(index, {
      from: new Date('2026-11-22T10:00:00Z'),
      to: new Date('2026-11-22T11:00:00Z'),
      limit: 10,
    });
    expect(items.map(({ startedAt }) => startedAt)).toEqual([times[2], times[1]]);
    expect(last).toBeUndefined();
  });

  it('says that there is more only when there is', async () => {
    const manifests = threeDays(8, seededRandom(14));
    const index = await indexOf('exact', manifests);
    const range = { from: new Date(FIRST), to: new Date(FIRST + 3 * DAY_MS) };
    expect((await searchByTime(index, { ...range, limit: 8 })).last).toBeUndefined();
    expect((await searchByTime(index, { ...range, limit: 7 })).last).toBeDefined();
    expect(await readAll(index, range, () => 4)).toMatchObject({ pages: 2 });
    expect(await searchByTime(index, { ...range, to: new Date(FIRST + 1), limit: 8 })).toEqual({ items: [] });
  });

  it('gives the recording without the keys of the table', async () => {
    const [manifest] = threeDays(1, seededRandom(15)) as [Manifest];
    const index = await indexOf('shape', [manifest]);
    const { items } = await searchByTime(index, {
      from: new Date(FIRST),
      to: new Date(FIRST + 3 * DAY_MS),
      limit: 1,
    });
    const { pk, sk, timePk, timeSk, ...recording } = recordingItem(manifest);
    expect(items).toEqual([recording]);
    expect(items[0]).not.toHaveProperty('pk');
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
