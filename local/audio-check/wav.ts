/**
 * Reads RIFF/WAVE files, written from the format's description and not from the recorder that it checks.
 *
 * Format: Microsoft, "Multimedia Programming Interface and Data Specifications 1.0" and WAVEFORMATEXTENSIBLE.
 */
export interface WavAudio {
  encoding: WavEncoding;
  sampleRate: number;
  /** One array per channel, full scale = 1. */
  channels: Float32Array[];
  durationMs: number;
}

export type WavEncoding = 'pcm16' | 'alaw' | 'mulaw';

/** The bytes are not a WAVE file that can be read whole. */
export class WavError extends Error {
  constructor(why: string) {
    super(`not a readable WAVE file: ${why}`);
    this.name = 'WavError';
  }
}

interface Encoding {
  name: WavEncoding;
  bytes: 1 | 2;
  decode: (data: Buffer, offset: number) => number;
}

/** By format tag (RFC 2361). */
const ENCODINGS = new Map<number, Encoding>([
  [1, { name: 'pcm16', bytes: 2, decode: (data, offset) => data.readInt16LE(offset) / 32_768 }],
  [6, { name: 'alaw', bytes: 1, decode: (data, offset) => decodeALaw(data.readUInt8(offset)) }],
  [7, { name: 'mulaw', bytes: 1, decode: (data, offset) => decodeMuLaw(data.readUInt8(offset)) }],
]);
const EXTENSIBLE = 0xfffe;
/** The part of a sub-format GUID after its format tag. */
const SUBFORMAT_GUID = Buffer.from('000000001000800000aa00389b71', 'hex');

/** @throws WavError */
export function readWav(file: Buffer): WavAudio {
  if (file.toString('latin1', 0, 4) !== 'RIFF' || file.toString('latin1', 8, 12) !== 'WAVE') {
    throw new WavError(`it does not begin as RIFF/WAVE (${file.length} bytes)`);
  }
  const riffEnd = 8 + file.readUInt32LE(4);
  if (riffEnd > file.length) {
    throw new WavError(`its RIFF header announces ${riffEnd} bytes, the file has ${file.length}`);
  }
  const chunks = readChunks(file.subarray(0, riffEnd));
  const format = readFormat(requiredChunk(chunks, 'fmt '));
  const data = requiredChunk(chunks, 'data');
  const { encoding, channelCount, sampleRate } = format;
  const frameBytes = encoding.bytes * channelCount;
  if (data.length % frameBytes !== 0) {
    throw new WavError(`its ${data.length} data bytes are no whole number of ${frameBytes}-byte frames`);
  }
  const frames = data.length / frameBytes;
  const channels = Array.from({ length: channelCount }, (_, channel) =>
    Float32Array.from({ length: frames }, (_, frame) =>
      encoding.decode(data, frame * frameBytes + channel * encoding.bytes),
    ),
  );
  return { encoding: encoding.name, sampleRate, channels, durationMs: (frames / sampleRate) * 1000 };
}

function readChunks(riff: Buffer): Map<string, Buffer> {
  const chunks = new Map<string, Buffer>();
  for (let offset = 12; offset + 8 <= riff.length; ) {
    const id = riff.toString('latin1', offset, offset + 4);
    const start = offset + 8;
    const end = start + riff.readUInt32LE(offset + 4);
    if (end > riff.length) {
      throw new WavError(`its chunk "${id}" ends at byte ${end}, the file at ${riff.length}`);
    }
    chunks.set(id, riff.subarray(start, end));
    // Chunks begin at even offsets.
    offset = end + (end % 2);
  }
  return chunks;
}

function requiredChunk(chunks: Map<string, Buffer>, id: string): Buffer {
  const chunk = chunks.get(id);
  if (!chunk) throw new WavError(`it has no "${id}" chunk`);
  return chunk;
}

function readFormat(fmt: Buffer): { encoding: Encoding; channelCount: number; sampleRate: number } {
  if (fmt.length < 16) throw new WavError(`its "fmt " chunk has ${fmt.length} bytes, at least 16 are needed`);
  const tag = formatTag(fmt);
  const channelCount = fmt.readUInt16LE(2);
  const sampleRate = fmt.readUInt32LE(4);
  const bits = fmt.readUInt16LE(14);
  const encoding = ENCODINGS.get(tag);
  if (!encoding || bits !== encoding.bytes * 8) {
    throw new WavError(`format ${tag} with ${bits} bits is not PCM 16, A-law 8 or mu-law 8`);
  }
  if (channelCount === 0 || sampleRate === 0) {
    throw new WavError(`it announces ${channelCount} channels at ${sampleRate} Hz`);
  }
  const blockAlign = fmt.readUInt16LE(12);
  const byteRate = fmt.readUInt32LE(8);
  if (blockAlign !== channelCount * encoding.bytes || byteRate !== blockAlign * sampleRate) {
    throw new WavError(
      `block alignment ${blockAlign} and byte rate ${byteRate} contradict ${channelCount} channels of ${bits} bits at ${sampleRate} Hz`,
    );
  }
  return { encoding, channelCount, sampleRate };
}

function formatTag(fmt: Buffer): number {
  const tag = fmt.readUInt16LE(0);
  if (tag !== EXTENSIBLE) return tag;
  if (fmt.length < 40 || !fmt.subarray(26, 40).equals(SUBFORMAT_GUID)) {
    throw new WavError('its extensible format names no known sub-format');
  }
  return fmt.readUInt16LE(24);
}

/** ITU-T G.711 table 2a: sign, segment, step; each code stands for the middle of its interval. */
function decodeMuLaw(code: number): number {
  const inverted = ~code & 0xff;
  const magnitude = ((((inverted & 0x0f) << 3) + 0x84) << ((inverted >> 4) & 7)) - 0x84;
  return (inverted & 0x80 ? -magnitude : magnitude) / 32_768;
}

/** ITU-T G.711 table 1a; every even bit is inverted on the line. */
function decodeALaw(code: number): number {
  const bits = code ^ 0x55;
  const segment = (bits >> 4) & 7;
  const step = ((bits & 0x0f) << 4) + 8;
  const magnitude = segment === 0 ? step : (step + 0x100) << (segment - 1);
  return (bits & 0x80 ? magnitude : -magnitude) / 32_768;
}
