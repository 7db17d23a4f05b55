import { fileKey, manifestKey, parseManifestKey, recordingPrefix, regionPrefix } from '../../core/keys.ts';
import { seededRandom } from '../fixtures/mutate.ts';
import { recordingIdAt } from '../helpers/manifest.ts';

const recordingId = '01KAR7V0000000000000000000';
const location = { homeRegion: 'us-east-1', recordingId, startedAt: new Date('2026-01-02T23:59:59.999Z') };
const MANIFEST = `rec/us-east-1/2026/01/02/${recordingId}/manifest.json`;

describe('keys', () => {
  it('lie below home region, UTC day and id', () => {
    expect(regionPrefix('us-east-1')).toBe('rec/us-east-1/');
    expect(recordingPrefix(location)).toBe(`rec/us-east-1/2026/01/02/${recordingId}/`);
    expect(fileKey(location, 'audio.wav')).toBe(`rec/us-east-1/2026/01/02/${recordingId}/audio.wav`);
    expect(manifestKey(location)).toBe(MANIFEST);
  });

  it('take the day from UTC', () => {
    const prefixOf = (time: string) => recordingPrefix({ ...location, startedAt: new Date(time) });
    expect(prefixOf('2026-01-02T23:30:00-05:00')).toContain('/2026/01/03/');
    expect(prefixOf('2026-01-03T00:00:00.000Z')).toContain('/2026/01/03/');
  });

  it('give back region and id of any manifest', () => {
    const random = seededRandom(2);
    for (let round = 0; round < 200; round += 1) {
      const startedAt = new Date(Math.floor(random() * 4e12));
      const homeRegion = ['us-east-1', 'ap-southeast-2', 'us-gov-west-1'][Math.floor(random() * 3)] as string;
      const id = recordingIdAt(startedAt.toISOString(), random);
      expect(parseManifestKey(manifestKey({ homeRegion, recordingId: id, startedAt }))).toEqual({
        homeRegion,
        recordingId: id,
      });
    }
  });

  it.each([
    '',
    'manifest.json',
    MANIFEST.replace('manifest.json', 'audio.wav'),
    MANIFEST.replace('manifest.json', 'manifestXjson'),
    MANIFEST.replace('rec/', 'other/'),
    MANIFEST.replace('/02/', '/2/'),
    MANIFEST.replace(recordingId, recordingId.toLowerCase()),
    MANIFEST.replace(recordingId, recordingId.slice(1)),
    MANIFEST.replace(recordingId, recordingId.replace('K', 'I')), // not a letter of base 32
    `/${MANIFEST}`,
    `${MANIFEST}.bak`,
    `${MANIFEST}\n`,
    `backup/${MANIFEST}`,
  ])('does not take %j for a manifest', (key) => {
    expect(parseManifestKey(key)).toBeUndefined();
  });
});
