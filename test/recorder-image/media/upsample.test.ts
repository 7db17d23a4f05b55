import { upsampler } from '../../../recorder-image/src/media/upsample.ts';

const sine = (frequencyHz: number, sampleRate: number, samples: number, firstSample = 0): Int16Array =>
  Int16Array.from({ length: samples }, (_, index) =>
    Math.round(20_000 * Math.sin((2 * Math.PI * frequencyHz * (firstSample + index)) / sampleRate)),
  );

/** Root mean square of the difference to the same sine at the high rate, in dB below the sine itself. */
function errorDb(frequencyHz: number, lowRate: number, factor: number): number {
  const { lead, samples } = upsampler(factor)(sine(frequencyHz, lowRate, 2000));
  const [from, to] = [lead + 100 * factor, lead + 1900 * factor];
  let error = 0;
  for (let index = from; index < to; index++) {
    const ideal = 20_000 * Math.sin((2 * Math.PI * frequencyHz * (index - lead)) / (lowRate * factor));
    error += ((samples[index] as number) - ideal) ** 2;
  }
  return 10 * Math.log10(error / (to - from) / (20_000 ** 2 / 2));
}

describe('upsampler', () => {
  it.each([
    [300, 8000, 6],
    [1000, 8000, 2],
    [3400, 8000, 6],
    [3400, 8000, 2],
    [6800, 16_000, 3],
  ])('keeps a tone of %i Hz at %i Hz, times %i: level, phase and no mirror image', (hz, rate, factor) => {
    expect(errorDb(hz, rate, factor)).toBeLessThan(-60);
  });

  it('keeps the samples themselves, and a constant', () => {
    const input = sine(700, 8000, 500);
    const { lead, samples } = upsampler(6)(input);
    expect(
      [...input].every((sample, index) => Math.abs((samples[lead + 6 * index] as number) - sample) < 0.01),
    ).toBe(true);
    const constant = upsampler(3)(new Int16Array(200).fill(1000));
    const middle = constant.samples.subarray(constant.lead + 150, constant.lead + 450);
    expect(middle.every((sample) => Math.abs(sample - 1000) < 0.01)).toBe(true);
  });

  it('gives the same in one piece and in several that are added', () => {
    const upsample = upsampler(6);
    const whole = upsample(sine(1234, 8000, 480));
    const sum = new Float32Array(whole.samples.length);
    for (let piece = 0; piece < 3; piece++) {
      const { lead, samples } = upsample(sine(1234, 8000, 160, 160 * piece));
      expect(lead).toBe(whole.lead);
      for (const [index, sample] of samples.entries())
        sum[160 * 6 * piece + index] = (sum[160 * 6 * piece + index] as number) + sample;
    }
    expect(sum.every((sample, index) => Math.abs(sample - (whole.samples[index] as number)) < 0.01)).toBe(
      true,
    );
  });

  it('leaves alone what has the rate already', () => {
    const input = sine(700, 8000, 100);
    expect(upsampler(1)(input)).toEqual({ lead: 0, samples: Float32Array.from(input) });
  });
});
