/** Uniform in [0, 1), 32 bits of it. */
export type Random = () => number;

/**
 * Random numbers that are the same for the same seed (sfc32, period at least 2^64: a large run draws some 10^8).
 * @param stream tells the generators of one seed apart, so that what one part draws does not shift what another gets
 */
export function randomOf(seed: number, stream: number): Random {
  let [a, b, c, counter] = [seed | 0, stream | 0, 0x9e37_79b9 | 0, 1];
  const next = (): number => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + sum) | 0;
    return (sum >>> 0) / 2 ** 32;
  };
  // Neighbouring seeds begin alike.
  for (let round = 0; round < 16; round++) next();
  return next;
}

/** Standard normal (Box-Muller). */
export const normal = (random: Random): number =>
  Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

/** Exponential with mean 1. */
export const exponential = (random: Random): number => -Math.log(1 - random());
