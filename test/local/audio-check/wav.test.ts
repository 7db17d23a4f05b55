import { readWav, WavError } from '../../../local/audio-check/wav.ts';
import { chunk, format, g711Wav, pcmWav, riff, silence, tone } from './make-wav.ts';

it('reads PCM with several channels', () => {
  const wav = readWav(pcmWav([tone(440), silence, () => 0.5], 250));
  expect(wav).toMatchObject({ encoding: 'pcm16', sampleRate: 8_000, durationMs: 250 });
  expect(wav.channels.map(({ length }) => length)).toEqual([2_000, 2_000, 2_000]);
  expect(wav.channels[0]?.[5]).toBeCloseTo(10 ** (-12 / 20) * Math.sin((2 * Math.PI * 440 * 5) / 8_000), 4);
  expect(wav.channels[1]?.every((sample) => sample === 0)).toBe(true);
  expect(wav.channels[2]?.[1_999]).toBeCloseTo(0.5, 4);
});

it('decodes mu-law and A-law by the tables of G.711', () => {
  const mu = readWav(g711Wav(7, [Buffer.from([0x00, 0x80, 0xff, 0x7f, 0xc7])]));
  expect(Array.from(mu.channels[0] ?? [], (sample) => sample * 32_768)).toEqual([
    -32_124, 32_124, 0, -0, 1_436,
  ]);
  const a = readWav(g711Wav(6, [Buffer.from([0xaa, 0x2a, 0xd5, 0x55, 0xc5])]));
  expect(Array.from(a.channels[0] ?? [], (sample) => sample * 32_768)).toEqual([32_256, -32_256, 8, -8, 264]);
});

it('reads the extensible format and steps over unknown chunks of odd length', () => {
  const guid = Buffer.from('0100000000001000800000aa00389b71', 'hex');
  const extension = Buffer.concat([Buffer.from('160010000300000000'.slice(0, 16), 'hex'), guid]);
  const file = riff(
    chunk('LIST', Buffer.from('odd')),
    chunk('fmt ', format(0xfffe, 2, 16, extension)),
    chunk('data', Buffer.alloc(400)),
  );
  expect(readWav(file)).toMatchObject({ encoding: 'pcm16', durationMs: 12.5 });
});

const good = pcmWav([tone(440)], 100);

it.each([
  ['no RIFF', Buffer.from('hello, this is text'), 'does not begin as RIFF/WAVE'],
  ['an empty file', Buffer.alloc(0), '0 bytes'],
  ['a file cut short', good.subarray(0, 1_000), 'announces 1644 bytes, the file has 1000'],
  ['no data', riff(chunk('fmt ', format(1, 1, 16))), 'no "data" chunk'],
  ['no format', riff(chunk('data', Buffer.alloc(4))), 'no "fmt " chunk'],
  ['a short format', riff(chunk('fmt ', Buffer.alloc(4)), chunk('data', Buffer.alloc(4))), '4 bytes'],
  ['another codec', riff(chunk('fmt ', format(85, 1, 16)), chunk('data', Buffer.alloc(4))), 'format 85'],
  ['24 bits', riff(chunk('fmt ', format(1, 1, 24)), chunk('data', Buffer.alloc(6))), '24 bits'],
  ['no channels', riff(chunk('fmt ', format(1, 0, 16)), chunk('data', Buffer.alloc(4))), '0 channels'],
  ['half a frame', riff(chunk('fmt ', format(1, 2, 16)), chunk('data', Buffer.alloc(6))), 'no whole number'],
  [
    'a chunk past the end',
    riff(Buffer.concat([Buffer.from('data'), Buffer.from([9, 0, 0, 0])])),
    'ends at byte',
  ],
])('says what is wrong: %s', (_, file, why) => {
  expect(() => readWav(file)).toThrow(WavError);
  expect(() => readWav(file)).toThrow(why);
});
