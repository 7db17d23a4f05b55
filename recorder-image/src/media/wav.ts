/**
 * Writing RIFF/WAVE files (Microsoft's "Multimedia Programming Interface and Data Specifications 1.0"), and RF64 (EBU
 * Tech 3306) past 4 GiB.
 */
import { closeSync, openSync, writeSync } from 'node:fs';

/** As in the manifest. */
export type WavEncoding = 'pcmu' | 'pcma' | 'pcm16';

export interface WavFormat {
  encoding: WavEncoding;
  channels: number;
  /** Hz. */
  sampleRate: number;
}

const ENCODINGS: Readonly<Record<WavEncoding, { formatTag: number; bytesPerSample: number }>> = {
  pcm16: { formatTag: 1, bytesPerSample: 2 },
  pcma: { formatTag: 6, bytesPerSample: 1 },
  pcmu: { formatTag: 7, bytesPerSample: 1 },
};

/** The length fields of RIFF have 32 bits; that of the file counts what follows it: header, data and padding. */
const MAX_RIFF_BYTES = 0xffff_ffff;
/** In those fields of RF64: see `ds64`. */
const SEE_DS64 = 0xffff_ffff;
const DS64_BYTES = 28;

/** Bytes of one sample on all channels. */
export const frameBytes = ({ encoding, channels }: WavFormat): number =>
  ENCODINGS[encoding].bytesPerSample * channels;

/** Formats other than PCM carry the extension size in `fmt ` and a `fact` chunk. */
const riffHeaderBytes = ({ encoding }: WavFormat): number => (encoding === 'pcm16' ? 44 : 58);

const padded = (bytes: number): number => bytes + (bytes % 2);

/** RIFF; for more than its lengths can tell RF64, which has them in a `ds64` chunk (EBU Tech 3306). */
function encodeHeader(format: WavFormat, dataBytes: number): Buffer {
  const { encoding, channels, sampleRate } = format;
  const { formatTag, bytesPerSample } = ENCODINGS[encoding];
  const isPcm = encoding === 'pcm16';
  const isLong = riffHeaderBytes(format) - 8 + padded(dataBytes) > MAX_RIFF_BYTES;
  const header = Buffer.alloc(riffHeaderBytes(format) + (isLong ? 8 + DS64_BYTES : 0));
  const fileBytes = header.length - 8 + padded(dataBytes);
  const frames = dataBytes / frameBytes(format);
  let at = header.write(isLong ? 'RF64' : 'RIFF', 'latin1');
  at = header.writeUInt32LE(isLong ? SEE_DS64 : fileBytes, at);
  at += header.write('WAVE', at, 'latin1');
  if (isLong) {
    at += header.write('ds64', at, 'latin1');
    at = header.writeUInt32LE(DS64_BYTES, at);
    at = header.writeBigUInt64LE(BigInt(fileBytes), at);
    at = header.writeBigUInt64LE(BigInt(dataBytes), at);
    at = header.writeBigUInt64LE(BigInt(frames), at);
    at = header.writeUInt32LE(0, at); // lengths of other chunks
  }
  at += header.write('fmt ', at, 'latin1');
  at = header.writeUInt32LE(isPcm ? 16 : 18, at);
  at = header.writeUInt16LE(formatTag, at);
  at = header.writeUInt16LE(channels, at);
  at = header.writeUInt32LE(sampleRate, at);
  at = header.writeUInt32LE(sampleRate * frameBytes(format), at);
  at = header.writeUInt16LE(frameBytes(format), at);
  at = header.writeUInt16LE(8 * bytesPerSample, at);
  if (!isPcm) {
    at = header.writeUInt16LE(0, at);
    at += header.write('fact', at, 'latin1');
    at = header.writeUInt32LE(4, at);
    at = header.writeUInt32LE(isLong ? SEE_DS64 : frames, at);
  }
  at += header.write('data', at, 'latin1');
  header.writeUInt32LE(isLong ? SEE_DS64 : dataBytes, at);
  return header;
}

/** Writes one file from front to back. */
export class WavWriter {
  readonly #descriptor: number;
  readonly #dataBytes: number;
  #written = 0;

  /**
   * Creates or empties the file, and writes its header.
   * @param dataBytes that will be written
   * @throws NodeJS.ErrnoException
   */
  constructor(path: string, format: WavFormat, dataBytes: number) {
    this.#dataBytes = dataBytes;
    this.#descriptor = openSync(path, 'w');
    try {
      this.#write(encodeHeader(format, dataBytes));
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /**
   * Appends whole frames: samples of all channels side by side, 16-bit samples little-endian.
   * @throws NodeJS.ErrnoException
   */
  write(frames: Uint8Array): void {
    this.#write(frames);
    this.#written += frames.length;
  }

  /** Completes the file: pads the data to an even length. @throws Error if it is not what the header tells */
  finish(): void {
    if (this.#written !== this.#dataBytes)
      throw new Error(`${this.#written} bytes of audio were written, ${this.#dataBytes} are in the header`);
    if (this.#dataBytes % 2 === 1) this.#write(Uint8Array.of(0));
  }

  /** Closes the file, finished or not. */
  close(): void {
    closeSync(this.#descriptor);
  }

  #write(bytes: Uint8Array): void {
    for (let written = 0; written < bytes.length; )
      written += writeSync(this.#descriptor, bytes, written, bytes.length - written);
  }
}
