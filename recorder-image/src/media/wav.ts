/** Writing RIFF/WAVE files (Microsoft's "Multimedia Programming Interface and Data Specifications 1.0"). */
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

/** The length field of RIFF has 32 bits and counts what follows it: the rest of the header, the data and its padding. */
const MAX_RIFF_BYTES = 0xffff_ffff;

export class WavTooLargeError extends Error {
  readonly dataBytes: number;

  constructor(dataBytes: number) {
    super(`${dataBytes} bytes of audio do not fit into a WAV file, which ends at 4 GiB`);
    this.name = 'WavTooLargeError';
    this.dataBytes = dataBytes;
  }
}

/** Bytes of one sample on all channels. */
export const frameBytes = ({ encoding, channels }: WavFormat): number =>
  ENCODINGS[encoding].bytesPerSample * channels;

/** Formats other than PCM carry the extension size in `fmt ` and a `fact` chunk. */
const headerBytes = ({ encoding }: WavFormat): number => (encoding === 'pcm16' ? 44 : 58);

/** @throws WavTooLargeError if so much audio does not fit into one file */
export function assertWavFits(format: WavFormat, dataBytes: number): void {
  if (headerBytes(format) - 8 + dataBytes + (dataBytes % 2) > MAX_RIFF_BYTES)
    throw new WavTooLargeError(dataBytes);
}

function encodeHeader(format: WavFormat, dataBytes: number): Buffer {
  const { encoding, channels, sampleRate } = format;
  const { formatTag, bytesPerSample } = ENCODINGS[encoding];
  const isPcm = encoding === 'pcm16';
  const header = Buffer.alloc(headerBytes(format));
  let at = header.write('RIFF', 'latin1');
  at = header.writeUInt32LE(header.length - 8 + dataBytes + (dataBytes % 2), at);
  at += header.write('WAVEfmt ', at, 'latin1');
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
    at = header.writeUInt32LE(dataBytes / frameBytes(format), at);
  }
  at += header.write('data', at, 'latin1');
  header.writeUInt32LE(dataBytes, at);
  return header;
}

/** Writes one file from front to back. Its header tells the length only after `finish`. */
export class WavWriter {
  readonly #format: WavFormat;
  readonly #descriptor: number;
  #dataBytes = 0;

  /** Creates or empties the file. @throws NodeJS.ErrnoException */
  constructor(path: string, format: WavFormat) {
    this.#format = format;
    this.#descriptor = openSync(path, 'w');
    try {
      this.#write(encodeHeader(format, 0));
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /**
   * Appends whole frames: samples of all channels side by side, 16-bit samples little-endian.
   * @throws WavTooLargeError | NodeJS.ErrnoException
   */
  write(frames: Uint8Array): void {
    assertWavFits(this.#format, this.#dataBytes + frames.length);
    this.#write(frames);
    this.#dataBytes += frames.length;
  }

  /** Completes the file: pads the data to an even length and writes the lengths into the header. */
  finish(): void {
    if (this.#dataBytes % 2 === 1) this.#write(Uint8Array.of(0));
    this.#write(encodeHeader(this.#format, this.#dataBytes), 0);
  }

  /** Closes the file, finished or not. */
  close(): void {
    closeSync(this.#descriptor);
  }

  /** Writes at the end of what is written already, or at `position`. */
  #write(bytes: Uint8Array, position?: number): void {
    for (let written = 0; written < bytes.length; ) {
      const at = position === undefined ? null : position + written;
      written += writeSync(this.#descriptor, bytes, written, bytes.length - written, at);
    }
  }
}
