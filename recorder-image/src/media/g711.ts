/** G.711 companding (ITU-T G.711): one byte per sample at 8000 Hz, to and from 16-bit linear PCM. */

/** By the names of RFC 3551 4.5.14: PCMU is µ-law, PCMA is A-law. */
export type G711Codec = 'PCMU' | 'PCMA';

export const G711_SAMPLE_RATE = 8000;

/** The byte of each law whose value is nearest to zero, from the positive side. */
export const G711_SILENCE: Readonly<Record<G711Codec, number>> = { PCMU: 0xff, PCMA: 0xd5 };

/** µ-law adds this to a magnitude, so that every segment begins at a power of two. */
const ULAW_BIAS = 0x84;
const ULAW_MAX = 0x7fff - ULAW_BIAS;
/** A-law is sent with its even bits inverted. */
const ALAW_INVERSION = 0x55;

function decodeUlaw(byte: number): number {
  const code = ~byte & 0xff;
  const magnitude = ((((code & 0x0f) << 3) + ULAW_BIAS) << ((code >> 4) & 7)) - ULAW_BIAS;
  return code & 0x80 ? -magnitude : magnitude;
}

function decodeAlaw(byte: number): number {
  const code = byte ^ ALAW_INVERSION;
  const segment = (code >> 4) & 7;
  const mantissa = ((code & 0x0f) << 4) + 8;
  const magnitude = segment === 0 ? mantissa : (mantissa + 0x100) << (segment - 1);
  return code & 0x80 ? magnitude : -magnitude;
}

const decodeTable = (decode: (byte: number) => number): Int16Array =>
  Int16Array.from({ length: 256 }, (_, byte) => decode(byte));

/** Linear sample of each byte. */
export const G711_DECODE: Readonly<Record<G711Codec, Int16Array>> = {
  PCMU: decodeTable(decodeUlaw),
  PCMA: decodeTable(decodeAlaw),
};

function encodeUlaw(sample: number): number {
  const biased = Math.min(Math.abs(sample), ULAW_MAX) + ULAW_BIAS;
  const segment = 24 - Math.clz32(biased);
  const code = (segment << 4) | ((biased >> (segment + 3)) & 0x0f);
  return ~(sample < 0 ? code | 0x80 : code) & 0xff;
}

function encodeAlaw(sample: number): number {
  // One's complement: A-law has no zero, -1 is the mirror of 0.
  const magnitude = sample < 0 ? ~sample : sample;
  const segment = Math.max(0, 24 - Math.clz32(magnitude));
  const code = (segment << 4) | ((magnitude >> (segment === 0 ? 4 : segment + 3)) & 0x0f);
  return (sample < 0 ? code : code | 0x80) ^ ALAW_INVERSION;
}

/** Byte of one linear sample, -32768 to 32767; louder than the law can tell becomes its loudest. */
export const encodeG711: Readonly<Record<G711Codec, (sample: number) => number>> = {
  PCMU: encodeUlaw,
  PCMA: encodeAlaw,
};
