import {
  dayPartitions,
  daysNewestFirst,
  homeCopyItem,
  indexedRecordingSchema,
  isCopyKey,
  recordingCopySchema,
  recordingItem,
  recordingKey,
  recordingPartition,
  replicaCopyItem,
  TIME_SHARDS,
} from '../../core/index-items.ts';
import { seededRandom } from '../fixtures/mutate.ts';
import { makeManifest, recordingIdAt } from '../helpers/manifest.ts';

const startedAt = '2026-11-23T10:00:00.000Z';

describe('recordingItem', () => {
  it('has the keys of the recording, and of its place in time', () => {
    const manifest = makeManifest({ recordingId: '01KAR7V0000000000000000000' });
    expect(recordingItem(manifest)).toMatchObject({
      pk: 'REC#01KAR7V0000000000000000000',
      sk: 'META',
      timePk: 'D#2026-11-23#0',
      timeSk: '2026-11-23T10:00:00.000Z#01KAR7V0000000000000000000',
    });
    expect(recordingItem(manifest)).toMatchObject(recordingKey(manifest.recordingId));
  });

  it('carries what the index says of a recording, and no more than that', () => {
    const manifest = makeManifest();
    const { pk, sk, timePk, timeSk, ...rest } = recordingItem(manifest);
    expect([pk, sk, timePk, timeSk].every((key) => key.length > 0)).toBe(true);
    expect(indexedRecordingSchema.parse(rest)).toEqual(rest);
    expect(rest).toMatchObject({
      recordingId: manifest.recordingId,
      durationMs: 60_000,
      callId: '11111111',
      sipCallId: 'BW100000@198.51.100.10',
      source: 'broadworks-east',
      participants: manifest.participants,
      files: manifest.files,
    });
  });

  it('adds up the gaps of a stream', () => {
    const [stream] = makeManifest().streams;
    const gaps = [
      { fromMs: 0, toMs: 500, cause: 'not-sent' as const },
      { fromMs: 2000, toMs: 2250, cause: 'lost' as const },
    ];
    const item = recordingItem(makeManifest({ streams: stream && [{ ...stream, gaps }] }));
    expect(item.streams).toEqual([
      { label: '1', channel: 0, codec: 'PCMU', packets: 3000, lostPackets: 0, gapMs: 750 },
    ]);
  });

  it('leaves out audio where there is none', () => {
    expect(recordingItem(makeManifest({ audio: undefined })).audio).toBeUndefined();
  });

  it('sorts as text in the order of time', () => {
    const random = seededRandom(3);
    const times = Array.from({ length: 300 }, () =>
      new Date(1.7e12 + Math.floor(random() * 1e11)).toISOString(),
    );
    const items = times.map((time) =>
      recordingItem(makeManifest({ startedAt: time, recordingId: recordingIdAt(time, random) })),
    );
    const byKey = items.toSorted((a, b) => (a.timeSk < b.timeSk ? -1 : 1)).map((item) => item.startedAt);
    expect(byKey).toEqual(times.toSorted());
  });

  it('spreads a day over all its partitions, about evenly', () => {
    const random = seededRandom(4);
    const counts = new Map(dayPartitions('2026-11-23').map((partition) => [partition, 0]));
    expect(counts.size).toBe(TIME_SHARDS);
    for (let index = 0; index < 4000; index += 1) {
      const { timePk } = recordingItem(
        makeManifest({ startedAt, recordingId: recordingIdAt(startedAt, random) }),
      );
      expect(counts.has(timePk)).toBe(true);
      counts.set(timePk, (counts.get(timePk) ?? 0) + 1);
    }
    // 32 characters in 4 shards: 7 to 9 of them each.
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(200);
  });
});

describe('homeCopyItem', () => {
  it('lies beside its recording and says where all its files are', () => {
    const manifest = makeManifest();
    const item = homeCopyItem(manifest, 'siprec-recordings-111122223333-us-east-1');
    expect(item).toEqual({
      pk: recordingPartition(manifest.recordingId),
      sk: 'COPY#us-east-1',
      recordingId: manifest.recordingId,
      revision: manifest.revision,
      region: 'us-east-1',
      bucket: 'siprec-recordings-111122223333-us-east-1',
      prefix: `rec/us-east-1/2026/11/23/${manifest.recordingId}/`,
      bytes: 960_058 + 2048,
      role: 'home',
      state: 'verified',
    });
    expect(recordingCopySchema.safeParse(item).success).toBe(true);
    expect(item.pk).toBe(recordingKey(manifest.recordingId).pk);
    expect(isCopyKey(item)).toBe(true);
    expect(isCopyKey(recordingKey(manifest.recordingId))).toBe(false);
  });
});

describe('replicaCopyItem', () => {
  it('lies beside the others, under the prefix that the home region gave', () => {
    const manifest = makeManifest();
    const verified = { verifiedAt: '2026-11-23T10:01:07.000Z', manifestSha256: 'c'.repeat(64) };
    const item = replicaCopyItem(manifest, { region: 'us-west-2', bucket: 'west', ...verified });
    expect(item).toEqual({
      ...homeCopyItem(manifest, 'west'),
      sk: 'COPY#us-west-2',
      region: 'us-west-2',
      role: 'replica',
      ...verified,
    });
    expect(recordingCopySchema.safeParse(item).success).toBe(true);
  });
});

describe('recordingCopySchema', () => {
  it('reads an item from before copies had a state', () => {
    const { state: _, ...old } = homeCopyItem(makeManifest(), 'bucket');
    expect(recordingCopySchema.parse(old).state).toBe('verified');
  });
});

describe('daysNewestFirst', () => {
  it.each([
    ['2026-11-23T00:00:00Z', '2026-11-24T00:00:00Z', ['2026-11-23']],
    ['2026-11-23T00:00:00Z', '2026-11-24T00:00:00.001Z', ['2026-11-24', '2026-11-23']],
    ['2026-11-22T23:59:59.999Z', '2026-11-23T00:00:00.001Z', ['2026-11-23', '2026-11-22']],
    ['2026-02-28T12:00:00Z', '2026-03-01T12:00:00Z', ['2026-03-01', '2026-02-28']],
    ['2027-12-31T12:00:00Z', '2028-01-01T01:00:00+02:00', ['2027-12-31']],
  ])('from %s to %s', (from, to, days) => {
    expect(daysNewestFirst(new Date(from), new Date(to))).toEqual(days);
  });

  it('covers every instant of any interval', () => {
    const random = seededRandom(5);
    for (let round = 0; round < 200; round += 1) {
      const from = new Date(1.7e12 + Math.floor(random() * 1e11));
      const to = new Date(from.getTime() + 1 + Math.floor(random() * 1e9));
      const days = daysNewestFirst(from, to);
      expect(days).toEqual(days.toSorted().reverse());
      expect(days.at(-1)).toBe(from.toISOString().slice(0, 10));
      expect(days[0]).toBe(new Date(to.getTime() - 1).toISOString().slice(0, 10));
      expect(new Set(days).size).toBe(days.length);
      expect(days.length).toBe(
        Math.floor((to.getTime() - 1) / 864e5) - Math.floor(from.getTime() / 864e5) + 1,
      );
    }
  });
});
