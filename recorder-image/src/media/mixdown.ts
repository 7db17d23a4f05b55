/** Puts the pieces of all channels into one WAV file, a second at a time. */
import { frameBytes, type WavFormat, WavWriter } from './wav.ts';

/** Some samples in the encoding of the file. */
export interface Piece {
  /** Place of the first sample in the file. What lies before the file's first or after its last is left out. */
  at: number;
  /** Bytes of G.711, or linear samples in the scale of 16 bits. */
  samples: Uint8Array | Float32Array;
}

/** A source of a channel; its pieces come in the order of their places. */
export interface Track {
  channel: number;
  pieces: AsyncIterator<Piece, void, void>;
}

interface OpenTrack extends Track {
  next: Piece | undefined;
  /** Pieces that have begun, and may reach into the next block. */
  begun: Piece[];
}

/** One second of the file. */
interface Block {
  /** Puts the samples from `first` to `last` into a channel, from the interleaved place `at` on. */
  put(samples: Piece['samples'], first: number, last: number, at: number): void;
  /** The bytes as they go into the file; then the block is empty. */
  take(): Uint8Array;
}

/**
 * Writes the file. Linear samples that meet in one place are added: those of several tracks in one channel, and
 * where pieces overlap. Bytes of G.711 cannot be: there the later one stays.
 * @param length in samples
 * @param silence byte of G.711; linear silence is 0
 * @throws NodeJS.ErrnoException, and what the tracks throw
 */
export async function writeAudio(
  path: string,
  format: WavFormat,
  length: number,
  silence: number,
  tracks: readonly Track[],
): Promise<void> {
  const { channels, sampleRate } = format;
  const blockSamples = sampleRate * channels;
  const block =
    format.encoding === 'pcm16'
      ? linearBlock(blockSamples, channels)
      : g711Block(blockSamples, channels, silence);
  const open: OpenTrack[] = tracks.map((track) => ({ ...track, next: undefined, begun: [] }));
  const wav = new WavWriter(path, format, length * frameBytes(format));
  try {
    for (const track of open) await advance(track);
    for (let from = 0; from < length; from += sampleRate) {
      const to = Math.min(from + sampleRate, length);
      for (const track of open) {
        while (track.next !== undefined && track.next.at < to) await advance(track);
        for (const { at, samples } of track.begun) {
          const first = Math.max(0, from - at);
          const last = Math.min(samples.length, to - at);
          block.put(samples, first, last, (at + first - from) * channels + track.channel);
        }
        track.begun = track.begun.filter(({ at, samples }) => at + samples.length > to);
      }
      wav.write(block.take().subarray(0, (to - from) * frameBytes(format)));
    }
    wav.finish();
  } finally {
    wav.close();
    for (const { pieces } of open) await pieces.return?.();
  }
}

async function advance(track: OpenTrack): Promise<void> {
  if (track.next !== undefined) track.begun.push(track.next);
  track.next = (await track.pieces.next()).value ?? undefined;
}

function linearBlock(size: number, channels: number): Block {
  const mix = new Float32Array(size);
  // In the byte order of the machine, which is little-endian wherever Node.js runs on AWS, as is WAV.
  const output = new Int16Array(size);
  return {
    put(samples, first, last, at) {
      for (let index = first; index < last; index++, at += channels)
        mix[at] = (mix[at] as number) + (samples[index] as number);
    },
    take() {
      for (let index = 0; index < size; index++)
        output[index] = Math.max(-32_768, Math.min(32_767, Math.round(mix[index] as number)));
      mix.fill(0);
      return new Uint8Array(output.buffer);
    },
  };
}

function g711Block(size: number, channels: number, fill: number): Block {
  const bytes = new Uint8Array(size).fill(fill);
  return {
    put(samples, first, last, at) {
      for (let index = first; index < last; index++, at += channels) bytes[at] = samples[index] as number;
    },
    take() {
      const taken = bytes.slice();
      bytes.fill(fill);
      return taken;
    },
  };
}
