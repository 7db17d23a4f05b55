/** What tones a signal is made of, by the averaged power spectrum of the whole signal (Welch's method). */

/** About 1 s at 8 kHz: bins of 1 Hz, so that tones 6 Hz apart are told apart. */
const MAX_SEGMENT = 8192;
const MIN_SEGMENT = 256;
/** Bins either side of a tone that hold its energy under a Hann window (main lobe: 2). */
const TONE_HALF_WIDTH = 3;

export interface Spectrum {
  sampleRate: number;
  /** Power per bin, without the constant part; bin i is i * binHz. */
  power: Float64Array;
  binHz: number;
  totalPower: number;
}

export interface Tone {
  /** Interpolated between bins; within 0.1 Hz for a steady tone of 1 s and more. */
  frequencyHz: number;
  /** Of the signal's energy, 0 to 1. */
  share: number;
}

/** The signal is too short to tell tones apart. */
export class SignalTooShortError extends Error {
  readonly samples: number;

  constructor(samples: number) {
    super(`${samples} samples are too few to measure a frequency, at least ${MIN_SEGMENT} are needed`);
    this.name = 'SignalTooShortError';
    this.samples = samples;
  }
}

/**
 * Averages the power over Hann-windowed segments that overlap by half.
 * @throws SignalTooShortError
 */
export function powerSpectrum(samples: Float32Array, sampleRate: number): Spectrum {
  if (samples.length < MIN_SEGMENT) throw new SignalTooShortError(samples.length);
  const size = Math.min(MAX_SEGMENT, 2 ** Math.floor(Math.log2(samples.length)));
  const window = Float64Array.from(
    { length: size },
    (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / size),
  );
  const power = new Float64Array(size / 2);
  const hop = size / 2;
  const segments = Math.ceil((samples.length - size) / hop) + 1;
  for (let segment = 0; segment < segments; segment++) {
    // The last segment ends with the signal; only the window's own edges count for less.
    const start = Math.min(segment * hop, samples.length - size);
    const real = Float64Array.from(window, (weight, i) => weight * (samples[start + i] as number));
    const imaginary = new Float64Array(size);
    fft(real, imaginary);
    for (let bin = 0; bin < hop; bin++) {
      power[bin] = (power[bin] as number) + (real[bin] as number) ** 2 + (imaginary[bin] as number) ** 2;
    }
  }
  // The window spreads the constant part, which is not sound, over two bins.
  power.fill(0, 0, 2);
  return {
    sampleRate,
    power,
    binHz: sampleRate / size,
    totalPower: power.reduce((sum, bin) => sum + bin, 0),
  };
}

/** The strongest tones, strongest first; fewer when the signal has no more energy. */
export function strongestTones(spectrum: Spectrum, count: number): Tone[] {
  const remaining = Float64Array.from(spectrum.power);
  const tones: Tone[] = [];
  while (tones.length < count) {
    const peak = remaining.reduce(
      (best, power, bin) => (power > (remaining[best] as number) ? bin : best),
      0,
    );
    if (remaining[peak] === 0) break;
    const frequencyHz = interpolatePeak(spectrum.power, peak) * spectrum.binHz;
    tones.push({ frequencyHz, share: shareAt(spectrum, frequencyHz) });
    remaining.fill(0, Math.max(0, peak - 2 * TONE_HALF_WIDTH), peak + 2 * TONE_HALF_WIDTH + 1);
  }
  return tones;
}

/** Share of the signal's energy, 0 to 1, that lies at a frequency (within 3 bins, about 3 Hz). */
export function shareAt({ power, binHz, totalPower }: Spectrum, frequencyHz: number): number {
  if (totalPower === 0) return 0;
  const centre = Math.round(frequencyHz / binHz);
  const band = power.subarray(Math.max(0, centre - TONE_HALF_WIDTH), centre + TONE_HALF_WIDTH + 1);
  return band.reduce((sum, bin) => sum + bin, 0) / totalPower;
}

/** Fits a parabola through the logarithms of a peak and its neighbours; returns a fractional bin. */
function interpolatePeak(power: Float64Array, peak: number): number {
  const [left, centre, right] = [peak - 1, peak, peak + 1].map((bin) => Math.log((power[bin] ?? 0) + 1e-30));
  const curvature = (left as number) - 2 * (centre as number) + (right as number);
  return curvature === 0 ? peak : peak + (0.5 * ((left as number) - (right as number))) / curvature;
}

/** In-place radix-2 transform (Cooley and Tukey); the length must be a power of two. */
function fft(real: Float64Array, imaginary: Float64Array): void {
  const size = real.length;
  for (let i = 1, reversed = 0; i < size; i++) {
    let bit = size >> 1;
    for (; reversed & bit; bit >>= 1) reversed ^= bit;
    reversed ^= bit;
    if (i < reversed) {
      [real[i], real[reversed]] = [real[reversed] as number, real[i] as number];
      [imaginary[i], imaginary[reversed]] = [imaginary[reversed] as number, imaginary[i] as number];
    }
  }
  for (let length = 2; length <= size; length *= 2) {
    const half = length / 2;
    for (let k = 0; k < half; k++) {
      const cos = Math.cos((-2 * Math.PI * k) / length);
      const sin = Math.sin((-2 * Math.PI * k) / length);
      for (let even = k; even < size; even += length) {
        const odd = even + half;
        const re = (real[odd] as number) * cos - (imaginary[odd] as number) * sin;
        const im = (real[odd] as number) * sin + (imaginary[odd] as number) * cos;
        real[odd] = (real[even] as number) - re;
        imaginary[odd] = (imaginary[even] as number) - im;
        real[even] = (real[even] as number) + re;
        imaginary[even] = (imaginary[even] as number) + im;
      }
    }
  }
}
