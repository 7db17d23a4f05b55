import { InvalidManifestError, parseManifest } from '../../core/manifest.ts';
import { makeManifest } from '../helpers/manifest.ts';

const KEY = 'rec/us-east-1/2026/11/23/01KAR7V0000000000000000000/manifest.json';

function refusal(text: string): InvalidManifestError {
  try {
    parseManifest(text, KEY);
  } catch (error) {
    if (error instanceof InvalidManifestError) return error;
    throw error;
  }
  throw new Error(`this manifest was accepted: ${text}`);
}

describe('parseManifest', () => {
  it('gives back what was written', () => {
    const manifest = makeManifest();
    expect(parseManifest(JSON.stringify(manifest), KEY)).toEqual(manifest);
  });

  it('takes a recording without audio, metadata or participants', () => {
    const manifest = makeManifest({
      status: 'partial',
      statusReasons: ['no-media'],
      audio: undefined,
      broadWorks: undefined,
      participants: [],
      streams: [],
      files: [],
    });
    expect(parseManifest(JSON.stringify(manifest), KEY).audio).toBeUndefined();
  });

  it.each(['', '{', 'manifest', '<xml/>'])('refuses %j, naming the key and the cause', (text) => {
    const error = refusal(text);
    expect(error).toMatchObject({ key: KEY, message: `manifest ${KEY} cannot be used: it is not JSON` });
    expect(error.cause).toBeInstanceOf(SyntaxError);
  });

  it.each([2, 0, '1', null, undefined])(
    'refuses version %j, naming the one that it reads',
    (manifestVersion) => {
      const error = refusal(JSON.stringify({ ...makeManifest(), manifestVersion }));
      expect(error.message).toBe(
        `manifest ${KEY} cannot be used: manifestVersion is ${JSON.stringify(manifestVersion)}, this version reads 1`,
      );
    },
  );

  it.each(['null', '[]', '5', '"text"'])('refuses %s, which has no version', (text) => {
    expect(refusal(text).message).toContain('manifestVersion is undefined');
  });

  it.each([
    ['recordingId', { recordingId: 'x' }],
    ['revision', { revision: 0 }],
    ['tenant', { tenant: '' }],
    ['status', { status: 'good' }],
    ['startedAt', { startedAt: '2026-11-23T10:00:00Z' }], // milliseconds make times comparable as text
    ['endedAt', { endedAt: '2026-11-23T10:00:00.000+01:00' }],
    ['files[0].name', { files: [{ ...makeManifest().files[0], name: '../audio.wav' }] }],
    ['files[0].sha256', { files: [{ ...makeManifest().files[0], sha256: 'A'.repeat(64) }] }],
    ['streams[0].channel', { streams: [{ ...makeManifest().streams[0], channel: -1 }] }],
    ['audio.encoding', { audio: { ...makeManifest().audio, encoding: 'mp3' } }],
  ])('names the field that is wrong: %s', (field, wrong) => {
    const error = refusal(JSON.stringify({ ...makeManifest(), ...wrong }));
    expect(error.message).toContain(KEY);
    expect(error.message).toContain(`at ${field}`);
  });
});
