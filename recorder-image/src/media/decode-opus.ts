/** Opus (RFC 6716) by libopus in WebAssembly. Stereo becomes mono. */
import { OpusDecoder } from 'opus-decoder';
import { CODECS } from '../sdp/codecs.ts';
import type { DecodedAudio, DecodeOptions } from './decode.ts';
import { samplesOfTicks } from './ticks.ts';
import type { PlacedAudio } from './timeline.ts';

const { sampleRate } = CODECS.OPUS;

/** From samples between -1 and 1. A loop: `Int16Array.from` with a function takes ten times as long. */
function toInt16(samples: Float32Array, from: number): Int16Array {
  const converted = new Int16Array(samples.length - from);
  for (let index = 0; index < converted.length; index++) {
    const sample = Math.round((samples[from + index] as number) * 32_768);
    converted[index] = Math.max(-32_768, Math.min(32_767, sample));
  }
  return converted;
}

/** A `Decoder`. A pause of discontinuous transmission stays silent, but for the noise frames that were sent. */
export async function* decodeOpus(
  audio: Iterable<PlacedAudio, void, void>,
  { onUndecoded }: Pick<DecodeOptions, 'onUndecoded'>,
): AsyncGenerator<DecodedAudio, void, void> {
  // One channel: libopus itself mixes stereo down.
  const decoder = new OpusDecoder({ channels: 1 });
  await decoder.ready;
  try {
    for (const placed of audio) {
      const decoded = decodeFrame(decoder, placed.payload);
      if (typeof decoded === 'string') {
        onUndecoded(placed, `Opus: ${decoded}`);
        continue;
      }
      const samples = toInt16(decoded, samplesOfTicks(placed.skip, sampleRate));
      yield { position: placed.position, samples };
    }
  } finally {
    decoder.free();
  }
}

/** Samples between -1 and 1, or the reason why there are none. */
function decodeFrame(decoder: OpusDecoder, payload: Uint8Array): Float32Array | string {
  try {
    const { channelData, errors } = decoder.decodeFrame(payload);
    const [error] = errors;
    return error?.message ?? (channelData[0] as Float32Array);
  } catch (error) {
    // The library's buffer holds 3840 bytes, 120 ms at 256 kbit/s; it throws at longer ones.
    return `a packet of ${payload.length} bytes: ${(error as Error).message}`;
  }
}
