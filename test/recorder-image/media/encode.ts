/** Tones in the codecs that ffmpeg encodes. */
import { spawnSync } from 'node:child_process';

export class FfmpegMissingError extends Error {
  constructor() {
    super('these tests need the program ffmpeg: install the Debian package ffmpeg');
    this.name = 'FfmpegMissingError';
  }
}

function ffmpeg(...args: string[]): Buffer {
  const { error, status, stdout, stderr } = spawnSync('ffmpeg', [
    '-nostdin',
    '-v',
    'error',
    ...args,
    'pipe:1',
  ]);
  if ((error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT') throw new FfmpegMissingError();
  if (error || status !== 0) throw new Error(`ffmpeg: ${error?.message ?? stderr.toString()}`);
  return stdout;
}

const sine = (frequencyHz: number, sampleRate: number, seconds: number): string =>
  `sine=frequency=${frequencyHz}:sample_rate=${sampleRate}:duration=${seconds}`;

/** 8000 bytes a second. */
export const g722Tone = (frequencyHz: number, seconds: number): Buffer =>
  ffmpeg('-f', 'lavfi', '-i', sine(frequencyHz, 16_000, seconds), '-c:a', 'g722', '-f', 'g722');

/** G.711 µ-law, 8000 bytes a second. */
export const pcmuTone = (frequencyHz: number, seconds: number): Buffer =>
  ffmpeg('-f', 'lavfi', '-i', sine(frequencyHz, 8000, seconds), '-f', 'mulaw');

/** Opus packets of 20 ms. With `rightHz` they are stereo, a tone on each side. */
export function opusTone(frequencyHz: number, seconds: number, rightHz?: number): Buffer[] {
  const left = ['-f', 'lavfi', '-i', sine(frequencyHz, 48_000, seconds)];
  const right =
    rightHz === undefined
      ? []
      : ['-f', 'lavfi', '-i', sine(rightHz, 48_000, seconds), '-filter_complex', 'amerge=inputs=2'];
  return oggPackets(
    ffmpeg(...left, ...right, '-c:a', 'libopus', '-b:a', '64k', '-vbr', 'off', '-f', 'ogg'),
  ).slice(2);
}

/** The packets of an Ogg file with one stream (RFC 3533): pages of segments; a packet ends with one under 255 bytes. */
function oggPackets(file: Buffer): Buffer[] {
  const packets: Buffer[] = [];
  let packet: Buffer[] = [];
  for (let page = 0; page < file.length; ) {
    const lengths = file.subarray(page + 27, page + 27 + (file[page + 26] as number));
    page += 27 + lengths.length;
    for (const length of lengths) {
      packet.push(file.subarray(page, page + length));
      page += length;
      if (length === 255) continue;
      packets.push(Buffer.concat(packet));
      packet = [];
    }
  }
  return packets;
}
