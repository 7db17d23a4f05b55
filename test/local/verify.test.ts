import type { RecordingSummary } from '../../core/index-entries.ts';
import { homeCopyItem } from '../../core/index-items.ts';
import type { CallResult } from '../../local/broadworks/simulator.ts';
import { type VerifiedCall, verifyCalls } from '../../local/verify.ts';
import { makeManifest } from '../helpers/manifest.ts';
import { pcmWav, tone } from './audio-check/make-wav.ts';
import { AUDIO, makeRecording, makeResult, sha256 } from './make-call.ts';
import { startTestApi, type TestApi } from './test-api.ts';

let api: TestApi | undefined;
afterEach(() => api?.close());

interface Setup {
  calls?: CallResult[];
  /** What the index holds at each question; the last for ever. */
  recordings?: RecordingSummary[][];
  audio?: Buffer;
  sha256?: string;
  audioStatus?: number;
  signal?: AbortSignal;
  /** Regions with a verified copy at each question; the last for ever. Copies are not asked for when absent. */
  copies?: string[][];
}

async function verify(setup: Setup = {}): Promise<VerifiedCall[]> {
  const { calls = [makeResult()], recordings = [[makeRecording()]], audio = AUDIO, copies = [] } = setup;
  api = await startTestApi((url, origin) => {
    if (url.pathname === '/audio.wav') return { status: setup.audioStatus ?? 200, body: audio };
    if (url.pathname.endsWith('/audio'))
      return {
        body: {
          url: `${origin}/audio.wav`,
          sha256: setup.sha256 ?? sha256(audio),
          bytes: audio.length,
          region: 'us-east-1',
        },
      };
    if (/\/recordings\/\w+$/.test(url.pathname)) {
      const regions = (copies.length > 1 ? copies.shift() : copies[0]) ?? [];
      const home = homeCopyItem(makeManifest(), 'bucket');
      return { body: { copies: regions.map((region) => ({ ...home, region })) } };
    }
    const items = recordings.length > 1 ? recordings.shift() : recordings[0];
    return { body: { items } };
  });
  const { signal = new AbortController().signal } = setup;
  const targetsOf = setup.copies && ((home: string) => (home === 'us-east-1' ? ['us-west-2'] : []));
  return verifyCalls(api.options, calls, {
    since: new Date(0),
    streams: 'dual',
    signal,
    ...(targetsOf && { targetsOf }),
  });
}

const problemsOf = async (setup: Setup) => (await verify(setup)).map(({ problems }) => problems);

describe('verifyCalls', () => {
  it('finds nothing wrong with a call that is recorded as it was', async () => {
    const [verified] = await verify();
    expect(verified).toMatchObject({ problems: [], audio: '440 Hz | 1805 Hz' });
    expect(verified?.recording?.sipCallId).toBe('BW1@127.0.0.1');
  });

  it('waits until the recording is in the index', async () => {
    expect(await problemsOf({ recordings: [[], [], [makeRecording()]] })).toEqual([[]]);
    expect(api?.requests.filter(({ url }) => url?.includes('/recordings?'))).toHaveLength(3);
  });

  it('waits until every region that must have one has a verified copy', async () => {
    const both = ['us-east-1', 'us-west-2'];
    const [verified] = await verify({ copies: [['us-east-1'], ['us-east-1'], both] });
    expect(verified).toMatchObject({ problems: [], copies: both });
    expect(api?.requests.filter(({ url }) => /\/recordings\/\w+$/.test(url ?? ''))).toHaveLength(3);
  });

  it('does not ask for copies of what was not recorded', async () => {
    const calls = [makeResult({ outcome: 'failed', reason: 'BYE: 481' })];
    expect(await verify({ calls, recordings: [[]], copies: [[]] })).toMatchObject([{ copies: [] }]);
    expect(api?.requests.filter(({ url }) => /\/recordings\/\w+$/.test(url ?? ''))).toEqual([]);
  });

  it.each<[string, Setup, RegExp[]]>([
    [
      'status',
      { recordings: [[makeRecording({ status: 'partial', statusReasons: ['gap'] })]] },
      [/^status partial: gap$/],
    ],
    ['slot', { recordings: [[makeRecording({ slot: 'usw2-1' })]] }, [/^recorded by usw2-1, sent to use1-1$/]],
    [
      'direction',
      { recordings: [[makeRecording({ direction: 'incoming' })]] },
      [/^direction incoming, was outgoing$/],
    ],
    [
      'parties',
      { recordings: [[makeRecording({ participants: [] })]] },
      [/^party \+12145550101 is not/, /^party \+12145550102 is not/],
    ],
    ['number', { recordings: [[makeRecording(), makeRecording()]] }, [/^found 2 times$/]],
    ['checksum', { sha256: '0'.repeat(64) }, [/not what the manifest says \(SHA-256\)$/]],
    ['channels', { audio: pcmWav([tone(1_805), tone(440)], 1_000) }, [/swapped/, /swapped/]],
    ['duration', { audio: pcmWav([tone(440), tone(1_805)], 500) }, [/lasts 500 ms, 500 ms too short/]],
    ['format', { audio: Buffer.from('no audio') }, [/^not a readable WAVE file/]],
    ['playback address', { audioStatus: 403 }, [/^the playback address answered 403$/]],
  ])('tells a wrong %s', async (_, setup, expected) => {
    const [problems] = (await problemsOf(setup)) as [string[]];
    expect(problems).toEqual(expected.map((pattern) => expect.stringMatching(pattern)));
  });

  it('tells of a call that nobody took, without waiting for it', async () => {
    const call = makeResult({ outcome: 'failed', reason: 'no response within 1000 ms' });
    delete call.recorder;
    expect(await problemsOf({ calls: [call], recordings: [[]] })).toEqual([
      ['no recorder took it: no response within 1000 ms'],
    ]);
  });

  it('tells of a call that went wrong, without waiting for it', async () => {
    const calls = [makeResult({ outcome: 'failed', reason: 'BYE: 481' })];
    expect(await problemsOf({ calls, recordings: [[]] })).toEqual([
      ['failed: BYE: 481', 'the API has no recording of it'],
    ]);
  });

  it('ends with its signal', async () => {
    const stop = new AbortController();
    const verifying = verify({ recordings: [[]], signal: stop.signal });
    setImmediate(() => stop.abort(new Error('enough')));
    await expect(verifying).rejects.toThrow('enough');
  });
});
