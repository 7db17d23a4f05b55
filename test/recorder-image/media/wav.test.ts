import { execFileSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, readSync, statSync, truncateSync } from 'node:fs';
import { type WavFormat, WavWriter } from '../../../recorder-image/src/media/wav.ts';
import { readWav, useTemporaryDirectory } from './support.ts';

const inDirectory = useTemporaryDirectory();

function writeWav(path: string, format: WavFormat, ...blocks: Uint8Array[]): void {
  const dataBytes = blocks.reduce((sum, { length }) => sum + length, 0);
  const wav = new WavWriter(path, format, dataBytes);
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

  it('does not finish a file that is not what its header tells', () => {
    const wav = new WavWriter(
      inDirectory('short.wav'),
      { encoding: 'pcmu', channels: 1, sampleRate: 8000 },
      4,
    );
    wav.write(Buffer.from('abc'));
    expect(() => wav.finish()).toThrow('3 bytes of audio were written, 4 are in the header');
    wav.close();
  });

  it('tells where a file cannot be created', () => {
    const path = inDirectory('missing/x.wav');
    expect(() => new WavWriter(path, { encoding: 'pcmu', channels: 1, sampleRate: 8000 }, 2)).toThrow(
      'ENOENT',
    );
    expect(existsSync(path)).toBe(false);
  });

  it('tells that the disk is full', () => {
    expect(() => new WavWriter('/dev/full', { encoding: 'pcmu', channels: 1, sampleRate: 8000 }, 2)).toThrow(
      'ENOSPC',
    );
  });
});

describe('a file of more than 4 GiB', () => {
  /** As the writer begins it; the audio is a hole. */
  function sparseWav(format: WavFormat, dataBytes: number): string {
    const path = inDirectory('long.wav');
    new WavWriter(path, format, dataBytes).close();
    truncateSync(path, statSync(path).size + dataBytes);
    return path;
  }

  const probed = (path: string) =>
    JSON.parse(
      execFileSync('ffprobe', [
        ...['-v', 'error', '-of', 'json', '-show_entries'],
        ...['stream=codec_name,channels,sample_rate,duration_ts:format=format_name', path],
      ]).toString(),
    );

  it.each<[WavFormat, string]>([
    [{ encoding: 'pcmu', channels: 2, sampleRate: 8000 }, 'pcm_mulaw'],
    [{ encoding: 'pcma', channels: 1, sampleRate: 8000 }, 'pcm_alaw'],
    [{ encoding: 'pcm16', channels: 2, sampleRate: 48_000 }, 'pcm_s16le'],
  ])('is RF64, which ffmpeg reads: %j', (format, codec_name) => {
    const { channels, sampleRate } = format;
    const bytesPerSample = format.encoding === 'pcm16' ? 2 : 1;
    const frames = 6_000_000_000 / (channels * bytesPerSample);
    const path = sparseWav(format, frames * channels * bytesPerSample);
    expect(probed(path)).toMatchObject({
      streams: [{ codec_name, channels, sample_rate: String(sampleRate), duration_ts: frames }],
    });
    const start = Buffer.alloc(48);
    const file = openSync(path, 'r');
    readSync(file, start);
    closeSync(file);
    expect([start.toString('latin1', 0, 4), start.toString('latin1', 8, 16)]).toEqual(['RF64', 'WAVEds64']);
    expect(start.readBigUInt64LE(20)).toBe(BigInt(statSync(path).size - 8));
    expect(start.readBigUInt64LE(28)).toBe(6_000_000_000n);
    expect(start.readBigUInt64LE(36)).toBe(BigInt(frames));
  });

  it('begins where the 32-bit lengths end', () => {
    const format: WavFormat = { encoding: 'pcmu', channels: 1, sampleRate: 8000 };
    const most = 0xffff_ffff - 50 - 1;
    const magics = [most, most + 1].map((dataBytes) => {
      const file = openSync(sparseWav(format, dataBytes), 'r');
      const magic = Buffer.alloc(4);
      readSync(file, magic);
      closeSync(file);
      return magic.toString('latin1');
    });
    expect(magics).toEqual(['RIFF', 'RF64']);
  });
});
