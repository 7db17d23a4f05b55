/** From the payloads of one stream in one codec to its samples: one decoder per codec. */
import type { CodecName } from '../sdp/codecs.ts';
import { decodeWithFfmpeg } from './decode-ffmpeg.ts';
import { decodeOpus } from './decode-opus.ts';
import { G711_DECODE, G711_SAMPLE_RATE, type G711Codec } from './g711.ts';
import { samplesOfTicks } from './ticks.ts';
import type { PlacedAudio } from './timeline.ts';

/** Mono, 16 bits, at the sample rate of the codec. */
export interface DecodedAudio {
  /** Of the first sample, in ticks. */
  position: number;
  samples: Int16Array;
}

export interface DecodeOptions {
  /** Name or path of the program that decodes G.722 and G.729. */
  ffmpeg: string;
  /** Called for what gives no samples: the reason is for people. Decoding goes on with what can be decoded. */
  onUndecoded: (audio: PlacedAudio, reason: string) => void;
}

/**
 * Decodes audio in its order. Nothing is in memory but what is on its way.
 * @throws whatever reading `audio` throws, and nothing else
 */
export type Decoder = (
  audio: Iterable<PlacedAudio, void, void>,
  options: DecodeOptions,
) => Iterable<DecodedAudio> | AsyncIterable<DecodedAudio>;

const g711Decoder = (codec: G711Codec): Decoder =>
  function* decodeG711(audio) {
    const table = G711_DECODE[codec];
    for (const { position, skip, payload } of audio) {
      const skipped = samplesOfTicks(skip, G711_SAMPLE_RATE);
      const samples = new Int16Array(payload.length - skipped);
      for (let index = 0; index < samples.length; index++)
        samples[index] = table[payload[skipped + index] as number] as number;
      yield { position, samples };
    }
  };

export const DECODERS: Readonly<Record<CodecName, Decoder>> = {
  PCMU: g711Decoder('PCMU'),
  PCMA: g711Decoder('PCMA'),
  G722: (audio, options) => decodeWithFfmpeg('G722', audio, options),
  G729: (audio, options) => decodeWithFfmpeg('G729', audio, options),
  OPUS: decodeOpus,
};
