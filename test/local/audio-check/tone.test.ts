import {
  powerSpectrum,
  SignalTooShortError,
  shareAt,
  strongestTones,
} from '../../../local/audio-check/tone.ts';
import { noise, RATE, type Sound, silence, sum, tone } from './make-wav.ts';

function samples(sound: Sound, durationMs: number): Float32Array {
  return Float32Array.from({ length: (durationMs * RATE) / 1000 }, (_, i) => sound(i / RATE));
}

it.each([300, 301.3, 440, 999.5, 1_000.25, 1_777.7, 3_000])('measures %d Hz within 0.1 Hz', (frequencyHz) => {
  const [strongest] = strongestTones(powerSpectrum(samples(tone(frequencyHz), 2_000), RATE), 1);
  expect(Math.abs((strongest?.frequencyHz ?? 0) - frequencyHz)).toBeLessThan(0.1);
  expect(strongest?.share).toBeGreaterThan(0.9999);
});

it('measures within 2 Hz over a quarter of a second', () => {
  const [strongest] = strongestTones(powerSpectrum(samples(tone(437), 250), RATE), 1);
  expect(Math.abs((strongest?.frequencyHz ?? 0) - 437)).toBeLessThan(2);
});

it('tells tones 10 Hz apart, with their shares', () => {
  const tones = strongestTones(
    powerSpectrum(samples(sum(tone(1_000, -12), tone(1_010, -18)), 3_000), RATE),
    2,
  );
  expect(tones.map(({ frequencyHz }) => Math.round(frequencyHz))).toEqual([1_000, 1_010]);
  // 6 dB less is a quarter of the power.
  expect(tones[0]?.share).toBeCloseTo(0.8, 2);
  expect(tones[1]?.share).toBeCloseTo(0.2, 2);
});

it('gives the energy at any other frequency', () => {
  const spectrum = powerSpectrum(samples(sum(tone(700), tone(1_900, -42)), 3_000), RATE);
  expect(10 * Math.log10(shareAt(spectrum, 1_900))).toBeCloseTo(-30, 0);
  expect(10 * Math.log10(shareAt(spectrum, 2_500))).toBeLessThan(-100);
});

it('finds no tone in noise, and none in silence', () => {
  const [strongest] = strongestTones(powerSpectrum(samples(noise(-12), 3_000), RATE), 1);
  expect(strongest?.share).toBeLessThan(0.02);
  expect(strongestTones(powerSpectrum(samples(silence, 1_000), RATE), 1)).toEqual([]);
});

it('sees a tone that sounds only in the last half second', () => {
  const late: Sound = (seconds) => (seconds > 2.5 ? tone(1_500)(seconds) : tone(500)(seconds));
  expect(shareAt(powerSpectrum(samples(late, 3_000), RATE), 1_500)).toBeGreaterThan(0.05);
});

it('refuses a signal that is too short', () => {
  expect(() => powerSpectrum(new Float32Array(100), RATE)).toThrow(SignalTooShortError);
});
