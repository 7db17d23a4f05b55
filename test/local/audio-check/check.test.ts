import { checkRecording } from '../../../local/audio-check/check.ts';
import { readWav } from '../../../local/audio-check/wav.ts';
import { noise, pcmWav, type Sound, silence, sum, tone } from './make-wav.ts';

const A = 440;
const B = 1_805;
const stereo = {
  expected: [
    { channel: 0, frequencyHz: A },
    { channel: 1, frequencyHz: B },
  ],
  durationMs: 2_000,
};
const mono = {
  expected: [
    { channel: 0, frequencyHz: A },
    { channel: 0, frequencyHz: B },
  ],
  durationMs: 2_000,
};

const check = (sounds: Sound[], expectation: typeof stereo = stereo, durationMs = 2_000) =>
  checkRecording(readWav(pcmWav(sounds, durationMs)), expectation);

describe('a good recording', () => {
  it('has no problems, and shows what was measured', () => {
    const result = check([tone(A), tone(B)]);
    expect(result).toMatchObject({ ok: true, problems: [], durationMs: 2_000 });
    expect(result.channels.map(({ frequencyHz }) => Math.round(frequencyHz))).toEqual([A, B]);
    expect(result.channels[0]?.purity).toBeGreaterThan(0.999);
    expect(result.channels[0]?.levelDbfs).toBeCloseTo(-15, 0);
    expect(result.channels[0]?.silentMs).toBe(0);
  });

  it('may be 60 ms longer or shorter, and as much silent', () => {
    expect(check([tone(A), tone(B)], stereo, 2_060).problems).toEqual([]);
    expect(check([tone(A), tone(B)], stereo, 1_940).problems).toEqual([]);
    const lateStart: Sound = (seconds) => (seconds < 0.06 ? 0 : tone(B)(seconds));
    expect(check([tone(A), lateStart]).problems).toEqual([]);
  });

  it('may have crosstalk at -50 dB', () => {
    expect(check([sum(tone(A), tone(B, -62)), tone(B)]).problems).toEqual([]);
  });

  it('may be a mix of both on one channel', () => {
    expect(check([sum(tone(A), tone(B))], mono)).toMatchObject({ ok: true, problems: [] });
  });
});

describe('problems, in words', () => {
  it.each<[string, Sound[], string[]]>([
    ['silence', [tone(A), silence], ['channel 2 is silent']],
    [
      'noise in place of a tone',
      [noise(-15), tone(B)],
      [
        expect.stringMatching(
          /^channel 1 lacks its tone of 440 Hz: it holds noise \(its strongest frequency has/,
        ),
      ],
    ],
    [
      'swapped channels',
      [tone(B), tone(A)],
      [
        'channel 1 lacks its tone of 440 Hz: it holds the tone of channel 2 (1805 Hz), as if swapped',
        'channel 2 lacks its tone of 1805 Hz: it holds the tone of channel 1 (440 Hz), as if swapped',
      ],
    ],
    [
      'crosstalk at -30 dB',
      [sum(tone(A), tone(B, -42)), tone(B)],
      ['channel 1 also holds the tone of channel 2 (1805 Hz) at -30 dB'],
    ],
    [
      'the tone of another call',
      [tone(A), tone(1_230)],
      ['channel 2 lacks its tone of 1805 Hz: it holds 1230.0 Hz (100.0 % of the energy)'],
    ],
    [
      'another tone beside its own',
      [tone(A), sum(tone(B), tone(1_230, -24))],
      ['channel 2 holds 5.9 % of other sound or noise'],
    ],
    [
      'both parties in both channels',
      [sum(tone(A), tone(B)), sum(tone(A), tone(B))],
      [
        'channel 1 also holds the tone of channel 2 (1805 Hz) at 0 dB',
        'channel 2 also holds the tone of channel 1 (440 Hz) at 0 dB',
      ],
    ],
    [
      'a tone that stops',
      [tone(A), (seconds) => (seconds > 1.5 ? 0 : tone(B)(seconds))],
      ['channel 2 is silent for 500 of 2000 ms'],
    ],
    ['one channel too few', [tone(A)], ['the recording has 1 channel(s), 2 expected']],
    [
      'one channel too many',
      [tone(A), tone(B), silence],
      ['the recording has 3 channel(s), 2 expected', 'channel 3 is silent'],
    ],
  ])('%s', (_, sounds, problems) => {
    const result = check(sounds);
    expect(result.ok).toBe(false);
    expect(result.problems).toEqual(problems);
  });

  it('a clipped recording', () => {
    expect(check([tone(A), tone(B)], stereo, 1_900).problems).toEqual([
      'the recording lasts 1900 ms, 100 ms too short (expected 2000 +- 60 ms)',
    ]);
    expect(check([tone(A), tone(B)], stereo, 2_100).problems).toEqual([
      'the recording lasts 2100 ms, 100 ms too long (expected 2000 +- 60 ms)',
    ]);
  });

  it('an empty recording', () => {
    expect(check([tone(A), tone(B)], stereo, 0).problems).toEqual([
      'the recording lasts 0 ms, 2000 ms too short (expected 2000 +- 60 ms)',
      'channel 1 is too short to measure (0 ms)',
      'channel 2 is too short to measure (0 ms)',
    ]);
  });

  it('a mix that lacks a party', () => {
    expect(check([tone(A)], mono).problems).toEqual([
      expect.stringContaining('channel 1 lacks its tone of 1805 Hz'),
    ]);
    expect(check([sum(tone(A), tone(B, -35))], mono).problems).toEqual([
      expect.stringContaining('channel 1 lacks its tone of 1805 Hz'),
    ]);
  });
});
