/** Whether a recording holds what the simulator sent: each party's tone in its channel, no other, all of it. */
import { powerSpectrum, shareAt, strongestTones, type Tone } from './tone.ts';
import type { WavAudio } from './wav.ts';

const FREQUENCY_TOLERANCE_HZ = 2;
/** Below this a channel counts as silent; G.711's own idle code lies at -72 dBFS. */
const SILENCE_DBFS = -60;
/** Of the energy, beside the expected tones: noise at -17 dB. G.711 alone measured 0.03 %. */
const MAX_OTHER_SHARE = 0.02;
/** A foreign tone is reported from here on. G.711 itself puts no more than -69 dB there (measured). */
const CROSSTALK_DB = -36;
/** Of the energy, for a tone to count as there; two parties mixed have half each. */
const MIN_SHARE = 0.1;
const FRAME_MS = 20;
/** Less than this cannot be analysed; such a recording is wrong by its duration anyway. */
const MIN_MEASURABLE_MS = 100;

export interface ExpectedTone {
  channel: number;
  frequencyHz: number;
}

export interface Expectation {
  /** One per party; a mixed recording has several on one channel. */
  expected: ExpectedTone[];
  durationMs: number;
  /** Of the duration, and of silence within a channel. Default 60. */
  toleranceMs?: number;
}

export interface ChannelMeasurement {
  /** Of the strongest tone; NaN when the channel is silent. */
  frequencyHz: number;
  /** Share of the energy, 0 to 1, in the tones that are expected here. */
  purity: number;
  /** The strongest, strongest first, as many as parties are expected in the whole recording. */
  tones: Tone[];
  /** Mean level over the whole channel; -Infinity for digital silence. */
  levelDbfs: number;
  /** Sum of the 20 ms frames below -60 dBFS. */
  silentMs: number;
}

export interface RecordingCheck {
  ok: boolean;
  durationMs: number;
  channels: ChannelMeasurement[];
  /** What is wrong, in words for people; empty when all is well. Channels are counted from 1. */
  problems: string[];
}

/** Checks a recording against what was sent. */
export function checkRecording(wav: WavAudio, expectation: Expectation): RecordingCheck {
  const { expected, durationMs, toleranceMs = 60 } = expectation;
  const wantedChannels = Math.max(...expected.map(({ channel }) => channel)) + 1;
  const perChannel = wav.channels.map((samples, channel) =>
    checkChannel({ samples, sampleRate: wav.sampleRate, channel, expected, toleranceMs }),
  );
  const problems = [
    ...durationProblems(wav.durationMs, durationMs, toleranceMs),
    ...(wav.channels.length === wantedChannels
      ? []
      : [`the recording has ${wav.channels.length} channel(s), ${wantedChannels} expected`]),
    ...perChannel.flatMap((channel) => channel.problems),
  ];
  return {
    ok: problems.length === 0,
    durationMs: wav.durationMs,
    channels: perChannel.map(({ measurement }) => measurement),
    problems,
  };
}

function durationProblems(actualMs: number, expectedMs: number, toleranceMs: number): string[] {
  const difference = Math.round(actualMs - expectedMs);
  if (Math.abs(difference) <= toleranceMs) return [];
  const which = difference < 0 ? 'too short' : 'too long';
  return [
    `the recording lasts ${Math.round(actualMs)} ms, ${Math.abs(difference)} ms ${which} (expected ${Math.round(expectedMs)} +- ${toleranceMs} ms)`,
  ];
}

interface ChannelInput {
  samples: Float32Array;
  sampleRate: number;
  channel: number;
  expected: ExpectedTone[];
  toleranceMs: number;
}

function checkChannel(input: ChannelInput): { measurement: ChannelMeasurement; problems: string[] } {
  const { samples, sampleRate, channel, expected, toleranceMs } = input;
  const label = `channel ${channel + 1}`;
  const lengthMs = (samples.length / sampleRate) * 1000;
  const levelDbfs = level(samples);
  const silentMs = measureSilence(samples, sampleRate);
  const silent = { frequencyHz: Number.NaN, purity: 0, tones: [], levelDbfs, silentMs };
  if (lengthMs < MIN_MEASURABLE_MS) {
    return {
      measurement: silent,
      problems: [`${label} is too short to measure (${Math.round(lengthMs)} ms)`],
    };
  }
  if (levelDbfs < SILENCE_DBFS) return { measurement: silent, problems: [`${label} is silent`] };

  const own = expected.filter((tone) => tone.channel === channel).map(({ frequencyHz }) => frequencyHz);
  const foreign = expected.filter((tone) => tone.channel !== channel);
  const spectrum = powerSpectrum(samples, sampleRate);
  const tones = strongestTones(spectrum, expected.length);
  const purity = own.reduce((sum, frequencyHz) => sum + shareAt(spectrum, frequencyHz), 0);
  const measurement = {
    frequencyHz: tones[0]?.frequencyHz ?? Number.NaN,
    purity,
    tones,
    levelDbfs,
    silentMs,
  };

  const problems = own
    .filter((frequencyHz) => !isHeard(tones, frequencyHz))
    .map(
      (frequencyHz) => `${label} lacks its tone of ${frequencyHz} Hz${explainMissing(tones, own, foreign)}`,
    );
  if (problems.length === 0) {
    const crosstalk = foreign
      .map((tone) => ({ ...tone, share: shareAt(spectrum, tone.frequencyHz) }))
      .filter(({ share }) => decibels(share / purity) >= CROSSTALK_DB);
    problems.push(
      ...crosstalk.map(
        ({ channel: owner, frequencyHz, share }) =>
          `${label} also holds the tone of channel ${owner + 1} (${frequencyHz} Hz) at ${Math.round(decibels(share / purity))} dB`,
      ),
    );
    const other = crosstalk.reduce((rest, { share }) => rest - share, 1 - purity);
    if (other > MAX_OTHER_SHARE) problems.push(`${label} holds ${percent(other)} of other sound or noise`);
  }
  if (silentMs > toleranceMs) {
    problems.push(`${label} is silent for ${Math.round(silentMs)} of ${Math.round(lengthMs)} ms`);
  }
  return { measurement, problems };
}

/** What was found in place of a missing tone. */
function explainMissing(tones: Tone[], own: number[], foreign: ExpectedTone[]): string {
  const heard = tones.filter(({ share }) => share >= MIN_SHARE);
  if (heard.length === 0) {
    return `: it holds noise (its strongest frequency has ${percent(tones[0]?.share ?? 0)} of the energy)`;
  }
  const stray = heard.find((tone) => !own.some((frequencyHz) => isAt(tone, frequencyHz)));
  if (!stray) return '';
  const owner = foreign.find(({ frequencyHz }) => isAt(stray, frequencyHz));
  return owner
    ? `: it holds the tone of channel ${owner.channel + 1} (${owner.frequencyHz} Hz), as if swapped`
    : `: it holds ${stray.frequencyHz.toFixed(1)} Hz (${percent(stray.share)} of the energy)`;
}

function isHeard(tones: Tone[], frequencyHz: number): boolean {
  return tones.some((tone) => tone.share >= MIN_SHARE && isAt(tone, frequencyHz));
}

function decibels(powerRatio: number): number {
  return 10 * Math.log10(powerRatio);
}

function isAt(tone: Tone, frequencyHz: number): boolean {
  return Math.abs(tone.frequencyHz - frequencyHz) <= FREQUENCY_TOLERANCE_HZ;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

function level(samples: Float32Array): number {
  const energy = samples.reduce((sum, sample) => sum + sample * sample, 0);
  return decibels(energy / samples.length);
}

function measureSilence(samples: Float32Array, sampleRate: number): number {
  const frame = Math.round((sampleRate * FRAME_MS) / 1000);
  let silentMs = 0;
  for (let start = 0; start + frame <= samples.length; start += frame) {
    if (level(samples.subarray(start, start + frame)) < SILENCE_DBFS) silentMs += FRAME_MS;
  }
  return silentMs;
}
