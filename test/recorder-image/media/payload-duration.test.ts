import { payloadTicks } from '../../../recorder-image/src/media/payload-duration.ts';
import { TICKS_PER_MS } from '../../../recorder-image/src/media/ticks.ts';
import type { CodecName } from '../../../recorder-image/src/sdp/codecs.ts';

const ms = (codec: CodecName, payload: Uint8Array) => payloadTicks(codec, payload) / TICKS_PER_MS;
/** An Opus packet that begins with its configuration and frame code (RFC 6716 3.1). */
const opus = (config: number, code: number, ...rest: number[]) =>
  Uint8Array.of((config << 3) | code, ...rest);

describe('the audio in a payload', () => {
  it.each([
    ['PCMU', 160, 20],
    ['PCMA', 240, 30],
    ['G722', 160, 20],
    ['G729', 20, 20],
    ['G729', 12, 10],
    ['G729', 2, 0],
    ['G729', 9, 0],
  ] as const)('of %s with %i bytes lasts %i ms', (codec, bytes, duration) => {
    expect(ms(codec, new Uint8Array(bytes))).toBe(duration);
  });

  it.each([
    ['SILK, 60 ms', opus(3, 0), 60],
    ['SILK, 2 frames of 20 ms', opus(9, 1), 40],
    ['hybrid, 20 ms', opus(15, 0), 20],
    ['CELT, 2.5 ms', opus(16, 0), 2.5],
    ['CELT, 2 frames of 20 ms in different sizes', opus(31, 2), 40],
    ['CELT, 48 frames of 2.5 ms', opus(28, 3, 48), 120],
    ['more than 120 ms', opus(31, 3, 7), 0],
    ['no frame', opus(31, 3, 0), 0],
    ['a cut-off packet', opus(31, 3), 0],
  ])('of Opus is told by its first bytes: %s', (_, payload, duration) => {
    expect(ms('OPUS', payload)).toBe(duration);
  });
});
