import { encodeG711, G711_DECODE, G711_SILENCE } from '../../../recorder-image/src/media/g711.ts';

const bytes = Array.from({ length: 256 }, (_, byte) => byte);
const LAWS = ['PCMU', 'PCMA'] as const;

describe('G.711', () => {
  it('decodes the ends and the middle of the µ-law scale', () => {
    expect([0x00, 0x80, 0x7f, 0xff, 0xfe].map((byte) => G711_DECODE.PCMU[byte])).toEqual([
      -32_124, 32_124, 0, 0, 8,
    ]);
  });

  it('decodes the ends and the middle of the A-law scale', () => {
    expect([0x2a, 0xaa, 0x55, 0xd5, 0xd4].map((byte) => G711_DECODE.PCMA[byte])).toEqual([
      -32_256, 32_256, -8, 8, 24,
    ]);
  });

  it.each(LAWS)('%s: encoding gives back every byte that was decoded', (law) => {
    // µ-law has two zeros; the negative one is not given back.
    const expected = bytes.map((byte) => (law === 'PCMU' && byte === 0x7f ? 0xff : byte));
    expect(bytes.map((byte) => encodeG711[law](G711_DECODE[law][byte] as number))).toEqual(expected);
  });

  it.each(LAWS)('%s: keeps every sample within half a step of its segment, up to clipping', (law) => {
    for (let sample = -32_000; sample <= 32_000; sample++) {
      const error = Math.abs((G711_DECODE[law][encodeG711[law](sample)] as number) - sample);
      // A segment begins at 16 steps, and the finest step is 16 (A-law) or less.
      const halfStep = Math.max(8, (Math.abs(sample) + 0x84) / 32);
      if (error > halfStep) throw new Error(`${sample} comes back with an error of ${error}`);
    }
    const loudest = [-32_768, 32_767].map((sample) => G711_DECODE[law][encodeG711[law](sample)]);
    expect(loudest).toEqual(law === 'PCMU' ? [-32_124, 32_124] : [-32_256, 32_256]);
  });

  it.each(LAWS)('%s: silence is the least of all values', (law) => {
    const magnitude = Math.abs(G711_DECODE[law][G711_SILENCE[law]] as number);
    expect(magnitude).toBe(Math.min(...[...G711_DECODE[law]].map(Math.abs)));
  });
});
