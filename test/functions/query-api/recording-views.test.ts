/** A recording as it is shown: timeline, details of its media, vCon. */
import { recordingItem } from '../../../core/index-items.ts';
import type { Manifest } from '../../../core/manifest.ts';
import { vconSchema } from '../../../functions/query-api/answers.ts';
import { mediaDetail } from '../../../functions/query-api/stored-manifest.ts';
import { timelineOf } from '../../../functions/query-api/timeline.ts';
import { toVcon } from '../../../functions/query-api/vcon.ts';
import { makeManifest } from '../../helpers/manifest.ts';

const at = (seconds: number) =>
  new Date(Date.parse('2026-11-23T10:00:00.000Z') + seconds * 1000).toISOString();
const person = (id: string, given: Partial<Manifest['participants'][0]> = {}) => ({
  id,
  aors: [`sip:${id}@example.com`],
  names: [`Name ${id}`, 'second'],
  streamLabels: [],
  ...given,
});
/** Sample 0 is two seconds after the start; 50 s of audio. */
const manifest = makeManifest({
  audio: {
    file: 'audio.wav',
    startedAt: at(2),
    durationMs: 50_000,
    sampleRate: 8000,
    channels: 3,
    encoding: 'pcmu',
  },
  participants: [
    person('there', { streamLabels: ['1'], joinedAt: at(0) }),
    person('came', {
      streamLabels: ['2'],
      joinedAt: at(10),
      stays: [{ joinedAt: at(10), leftAt: at(20) }, { joinedAt: at(30) }],
    }),
    person('left', { streamLabels: ['2'], number: '+12145550103', leftAt: at(9) }),
    person('silent', { aors: ['tel:+12145550104'], names: [] }),
  ],
  holds: [{ streamLabel: '1', startedAt: at(12), endedAt: at(15), cause: 'inactive' }],
  transfers: [{ at: at(22), to: '+12145550103' }],
});
const recording = recordingItem(manifest);
const now = new Date('2026-11-24T00:00:00.000Z');

describe('timelineOf', () => {
  it('has every stay, in milliseconds into the audio', () => {
    expect(timelineOf(recording)).toEqual([
      { participantId: 'left', fromMs: 0, toMs: 7_000 },
      { participantId: 'there', fromMs: 0, toMs: 50_000 },
      { participantId: 'silent', fromMs: 0, toMs: 50_000 },
      { participantId: 'came', fromMs: 8_000, toMs: 18_000 },
      { participantId: 'came', fromMs: 28_000, toMs: 50_000 },
    ]);
  });

  it('counts from the start where there is no audio', () => {
    const { audio: _, ...without } = recording;
    expect(timelineOf(without)[3]).toEqual({ participantId: 'came', fromMs: 10_000, toMs: 20_000 });
  });
});

describe('mediaDetail', () => {
  it('has gaps and holds of every stream, in milliseconds into the audio', () => {
    const gap = { fromMs: 100, toMs: 200, cause: 'lost' as const };
    const [first, second] = manifest.streams as [Manifest['streams'][0], Manifest['streams'][0]];
    const unlisted = { cause: 'lost' as const, count: 3, totalMs: 90 };
    const streams = [first, { ...second, gaps: [gap], unlistedGaps: [unlisted] }];
    expect(mediaDetail(recording, { ...manifest, streams }, 'us-west-2')).toEqual({
      region: 'us-west-2',
      endedBy: 'bye',
      gaps: [{ streamLabel: '2', ...gap }],
      unlistedGaps: [{ streamLabel: '2', ...unlisted }],
      holds: [{ streamLabel: '1', fromMs: 10_000, toMs: 13_000, cause: 'inactive' }],
      transfers: [{ at: at(22), to: '+12145550103', atMs: 20_000 }],
    });
  });
});

describe('toVcon', () => {
  const playback = {
    url: 'https://bucket.example.com/audio.wav?signed',
    expiresAt: now.toISOString(),
    contentType: 'audio/wav',
    sha256: 'ab'.repeat(32),
    bytes: 1000,
    region: 'us-east-1',
  };

  it('has the parties, who is heard on which channel, and the audio by reference with its hash', () => {
    const vcon = toVcon(recording, playback, now);
    expect(vconSchema.parse(vcon)).toEqual(vcon);
    expect(vcon).toMatchObject({
      vcon: '0.4.0',
      created_at: now.toISOString(),
      parties: [
        { sip: 'sip:there@example.com', name: 'Name there' },
        { sip: 'sip:came@example.com', name: 'Name came' },
        { tel: '+12145550103', sip: 'sip:left@example.com', name: 'Name left' },
        { tel: '+12145550104' },
      ],
      dialog: [
        {
          type: 'recording',
          start: at(2),
          duration: 50,
          parties: [0, [1, 2], null],
          mediatype: 'audio/wav',
          url: playback.url,
          content_hash: `sha256-${Buffer.alloc(32, 0xab).toString('base64url')}`,
        },
      ],
    });
    expect(vcon.dialog[0]?.party_history.filter(({ party }) => party === 1)).toEqual([
      { party: 1, time: at(10), event: 'join' },
      { party: 1, time: at(20), event: 'drop' },
      { party: 1, time: at(30), event: 'join' },
    ]);
  });

  it('has a UUID of version 8 that sorts by time, another for each export', () => {
    const { uuid } = toVcon(recording, playback, now);
    expect(uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(toVcon(recording, playback, now).uuid).toBe(uuid);
    expect(toVcon(recording, playback, new Date(now.getTime() + 1)).uuid > uuid).toBe(true);
  });

  it('is an incomplete dialog without audio', () => {
    const { audio: _, ...without } = recording;
    const { dialog } = toVcon(without, undefined, now);
    expect(dialog).toMatchObject([{ type: 'incomplete', disposition: 'failed', parties: [0, 1, 2, 3] }]);
    expect(dialog[0]).not.toHaveProperty('url');
  });
});
