import {
  homeCopyItem,
  indexedRecordingSchema,
  isCopyKey,
  recordingCopySchema,
  recordingItem,
  recordingKey,
  recordingPartition,
  replicaCopyItem,
} from '../../core/index-items.ts';
import { makeManifest } from '../helpers/manifest.ts';

describe('recordingItem', () => {
  it('has the keys of the recording', () => {
    const manifest = makeManifest({ recordingId: '01KAR7V0000000000000000000' });
    expect(recordingItem(manifest)).toMatchObject({ pk: 'REC#01KAR7V0000000000000000000', sk: 'META' });
    expect(recordingItem(manifest)).toMatchObject(recordingKey(manifest.recordingId));
  });

  it('carries what the index says of a recording, and no more than that', () => {
    const manifest = makeManifest();
    const { pk, sk, ...rest } = recordingItem(manifest);
    expect([pk, sk].every((key) => key.length > 0)).toBe(true);
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
