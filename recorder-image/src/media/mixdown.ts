/** Puts the pieces of all channels into one WAV file, a second at a time. */
import { frameBytes, type WavFormat, WavWriter } from './wav.ts';

/** Some samples in the encoding of the file. */
export interface Piece {
  /** Place of the first sample in the file. What lies before the file's first or after its last is left out. */
  at: number;
  /** Bytes of G.711, or linear samples in the scale of 16 bits. */
  samples: Uint8Array | Float32Array;
}

/**
 * A source of a channel; its pieces come in the order of their places. The samples of one are valid until the next is
 * asked for.
 */
export interface Track {
  channel: number;
  pieces: Iterator<Piece, void, void> | AsyncIterator<Piece, void, void>;
}

interface OpenTrack extends Track {
  next: Piece | undefined;
  /** Pieces that have begun, and reach into the next block. */
  begun: Piece[];
}

/** One second of the file. */
interface Block {
  /** Puts the samples from `first` to `last` into a channel, from the interleaved place `at` on. */
  put(samples: Piece['samples'], first: number, last: number, at: number): void;
  /** The bytes as they go into the file. */
  bytes(): Uint8Array;
  /** Makes it silent, for the next second. */
  clear(): void;
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
      const put = ({ at, samples }: Piece, channel: number): void => {
        const first = Math.max(0, from - at);
        const last = Math.min(samples.length, to - at);
        block.put(samples, first, last, (at + first - from) * channels + channel);
      };
      const reachesOn = ({ at, samples }: Piece): boolean => at + samples.length > to;
      for (const track of open) {
        for (const piece of track.begun) put(piece, track.channel);
        track.begun = track.begun.filter(reachesOn);
        for (let { next } = track; next !== undefined && next.at < to; next = track.next) {
          put(next, track.channel);
          if (reachesOn(next)) track.begun.push({ at: next.at, samples: copyOf(next.samples) });
          const waiting = advance(track);
          if (waiting !== undefined) await waiting;
        }
      }
      wav.write(block.bytes().subarray(0, (to - from) * frameBytes(format)));
      block.clear();
    }
    wav.finish();
  } finally {
    wav.close();
    for (const { pieces } of open) await pieces.return?.();
  }
}

/** Not by `slice`: that of a Buffer copies nothing, and the memory is about to be used again. */
const copyOf = (samples: Piece['samples']): Piece['samples'] =>
  samples instanceof Float32Array ? new Float32Array(samples) : new Uint8Array(samples);

/** Waits only for those who have to wait: a promise for every piece takes as long as all the rest. */
function advance(track: OpenTrack): Promise<void> | undefined {
  const take = ({ value }: IteratorResult<Piece, void>): void => {
    track.next = value ?? undefined;
  };
  const result = track.pieces.next();
  if (result instanceof Promise) return result.then(take);
  take(result as IteratorResult<Piece, void>);
  return undefined;
}

function linearBlock(size: number, channels: number): Block {
  const mix = new Float32Array(size);
  // In the byte order of the machine, which is little-endian wherever Node.js runs on AWS, as is WAV.
  const output = new Int16Array(size);
  const bytes = new Uint8Array(output.buffer);
  return {
    put(samples, first, last, at) {
      for (let index = first; index < last; index++, at += channels)
        mix[at] = (mix[at] as number) + (samples[index] as number);
    },
    bytes() {
      for (let index = 0; index < size; index++)
        output[index] = Math.max(-32_768, Math.min(32_767, Math.round(mix[index] as number)));
      return bytes;
    },
    clear: () => mix.fill(0),
  };
}

function g711Block(size: number, channels: number, fill: number): Block {
  const bytes = new Uint8Array(size).fill(fill);
  return {
    put(samples, first, last, at) {
      for (let index = first; index < last; index++, at += channels) bytes[at] = samples[index] as number;
    },
    bytes: () => bytes,
    clear: () => bytes.fill(fill),
  };
}
