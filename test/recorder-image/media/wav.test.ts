import { existsSync, readFileSync } from 'node:fs';
import {
  assertWavFits,
  type WavFormat,
  WavTooLargeError,
  WavWriter,
} from '../../../recorder-image/src/media/wav.ts';
import { readWav, useTemporaryDirectory } from './support.ts';

const inDirectory = useTemporaryDirectory();

function writeWav(path: string, format: WavFormat, ...blocks: Uint8Array[]): void {
  const wav = new WavWriter(path, format);
  for (const block of blocks) wav.write(block);
  wav.finish();
  wav.close();
}

describe('WavWriter', () => {
  it('writes PCMU with its number of samples', () => {
    const path = inDirectory('u.wav');
    writeWav(
      path,
      { encoding: 'pcmu', channels: 2, sampleRate: 8000 },
      Buffer.from('aAbB'),
      Buffer.from('cC'),
    );
    expect(readWav(path)).toEqual({
      formatTag: 7,
      channels: 2,
      sampleRate: 8000,
      bitsPerSample: 8,
      factSamples: 3,
      data: Buffer.from('aAbBcC'),
    });
  });

  it('writes PCMA', () => {
    const path = inDirectory('a.wav');
    writeWav(path, { encoding: 'pcma', channels: 1, sampleRate: 8000 }, Buffer.from('abcd'));
    expect(readWav(path)).toMatchObject({ formatTag: 6, channels: 1, factSamples: 4 });
  });

  it('writes PCM with the header of 44 bytes that every player knows', () => {
    const path = inDirectory('pcm.wav');
    writeWav(path, { encoding: 'pcm16', channels: 2, sampleRate: 8000 }, Buffer.alloc(8, 1));
    expect(readWav(path)).toMatchObject({ formatTag: 1, bitsPerSample: 16, factSamples: undefined });
    const file = readFileSync(path);
    expect(file.length).toBe(44 + 8);
    expect([file.readUInt32LE(28), file.readUInt16LE(32)]).toEqual([32_000, 4]);
  });

  it('pads an odd length and does not count the padding', () => {
    const path = inDirectory('odd.wav');
    writeWav(path, { encoding: 'pcmu', channels: 1, sampleRate: 8000 }, Buffer.from('abc'));
    expect(readFileSync(path).length % 2).toBe(0);
    expect(readWav(path).data).toEqual(Buffer.from('abc'));
  });

  it('tells where a file cannot be created', () => {
    const path = inDirectory('missing/x.wav');
    expect(() => new WavWriter(path, { encoding: 'pcmu', channels: 1, sampleRate: 8000 })).toThrow('ENOENT');
    expect(existsSync(path)).toBe(false);
  });

  it('tells that the disk is full', () => {
    expect(() => new WavWriter('/dev/full', { encoding: 'pcmu', channels: 1, sampleRate: 8000 })).toThrow(
      'ENOSPC',
    );
  });
});

describe('assertWavFits', () => {
  const format: WavFormat = { encoding: 'pcmu', channels: 1, sampleRate: 8000 };
  const most = 0xffff_ffff - 50;

  it('accepts what the 32-bit lengths can tell, and not a byte more', () => {
    expect(() => assertWavFits(format, most - 1)).not.toThrow();
    expect(() => assertWavFits(format, most + 1)).toThrow(WavTooLargeError);
    expect(() => assertWavFits(format, most + 1)).toThrow('do not fit into a WAV file');
  });
});
