/** ITU-T G.711 compression of 16-bit linear samples. */

export type Codec = 'pcmu' | 'pcma';

/** Static payload types and names (RFC 3551 table 4). */
export const CODECS = {
  pcmu: { payloadType: 0, rtpmap: 'PCMU/8000', encode: encodeMuLaw },
  pcma: { payloadType: 8, rtpmap: 'PCMA/8000', encode: encodeALaw },
} as const satisfies Record<Codec, object>;

/** Added before taking the segment, so that segments begin at powers of two. */
const MU_LAW_BIAS = 0x84;
const MU_LAW_MAX = 0x7fff - MU_LAW_BIAS;

/** @param sample -32768 to 32767 */
export function encodeMuLaw(sample: number): number {
  const biased = Math.min(Math.abs(sample), MU_LAW_MAX) + MU_LAW_BIAS;
  const segment = 24 - Math.clz32(biased);
  const step = (biased >> (segment + 3)) & 0x0f;
  return ~((sample < 0 ? 0x80 : 0) | (segment << 4) | step) & 0xff;
}

/** @param sample -32768 to 32767 */
export function encodeALaw(sample: number): number {
  // A-law has 13 bits; negative values count from -1, so that the two halves mirror each other.
  const magnitude = (sample < 0 ? ~sample : sample) >> 4;
  const segment = Math.max(0, 28 - Math.clz32(magnitude));
  const step = (segment <= 1 ? magnitude : magnitude >> (segment - 1)) & 0x0f;
  return ((sample < 0 ? 0 : 0x80) | (segment << 4) | step) ^ 0x55;
}
