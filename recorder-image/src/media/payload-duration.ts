/** How much audio a payload holds, told without decoding it. */
import { CODECS, type CodecName } from '../sdp/codecs.ts';
import { TICK_RATE, TICKS_PER_MS } from './ticks.ts';

/** RFC 3551 4.5.6: 10 ms; what remains of a payload is a SID frame of 2 bytes (annex B), which has no audio. */
export const G729_FRAME_BYTES = 10;
const G729_FRAME_SAMPLES = 80;

/** RFC 6716 3.2.5. */
const MAX_OPUS_TICKS = 120 * TICKS_PER_MS;

const SILK_FRAME_MS = [10, 20, 40, 60];
const HYBRID_FRAME_MS = [10, 20];
const CELT_FRAME_MS = [2.5, 5, 10, 20];

/** RFC 6716 3.1, table 2. */
function opusFrameMs(config: number): number {
  if (config < 12) return SILK_FRAME_MS[config & 3] as number;
  if (config < 16) return HYBRID_FRAME_MS[config & 1] as number;
  return CELT_FRAME_MS[config & 3] as number;
}

/** RFC 6716 3.2: frames in a packet by the last bits of its first byte; 0 if the packet is malformed. */
function opusFrames(payload: Uint8Array): number {
  const code = (payload[0] as number) & 3;
  if (code === 0) return 1;
  return code === 3 ? (payload[1] ?? 0) & 0x3f : 2;
}

function opusTicks(payload: Uint8Array): number {
  const ticks = opusFrames(payload) * opusFrameMs((payload[0] as number) >> 3) * TICKS_PER_MS;
  return ticks <= MAX_OPUS_TICKS ? ticks : 0;
}

const ticksOfSamples = (codec: CodecName, samples: number): number =>
  samples * (TICK_RATE / CODECS[codec].sampleRate);

const DURATIONS: Readonly<Record<CodecName, (payload: Uint8Array) => number>> = {
  PCMU: ({ length }) => ticksOfSamples('PCMU', length),
  PCMA: ({ length }) => ticksOfSamples('PCMA', length),
  G722: ({ length }) => ticksOfSamples('G722', 2 * length),
  G729: ({ length }) => ticksOfSamples('G729', Math.floor(length / G729_FRAME_BYTES) * G729_FRAME_SAMPLES),
  OPUS: opusTicks,
};

/** Ticks of audio in a payload that is not empty; 0 if there is none: silence descriptors, malformed Opus. */
export const payloadTicks = (codec: CodecName, payload: Uint8Array): number => DURATIONS[codec](payload);
