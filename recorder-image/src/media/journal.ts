/**
 * The journal of one stream: every RTP and RTCP packet as it came, in the rtpdump format of rtptools, which
 * Wireshark reads too.
 *
 *     #!rtpplay1.0 <address>/<port>\n
 *     RD_hdr_t     u32 seconds, u32 microseconds: start (UTC)   u32 IPv4 address   u16 port   u16 padding
 *     RD_packet_t  u16 length (with these 8 bytes)   u16 length of an RTP packet, 0 for RTCP   u32 ms since start
 *     packet       (and so on, RD_packet_t and packet)
 *
 * All numbers are big-endian. A file is only ever appended to, so that after a crash all but its end is whole.
 */
import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { isIPv4 } from 'node:net';
import { asSystemError, type SystemError } from './system-error.ts';

const MAGIC = '#!rtpplay1.0 ';
const FILE_HEADER_BYTES = 16;
const RECORD_HEADER_BYTES = 8;
const MAX_OFFSET_MS = 0xffff_ffff;

/** rtptools keep a packet in a buffer of 8000 bytes with its record header; no audio packet comes near. */
export const MAX_PACKET_BYTES = 8000 - RECORD_HEADER_BYTES;

/** The longest record fits; so does half a second of G.711 (9 KB/s with record headers), which is flushed then. */
const WRITE_BUFFER_BYTES = 8 * 1024;
const READ_CHUNK_BYTES = 256 * 1024;

/** Where and since when the packets were received. `startedAtMs` is whole milliseconds since the epoch. */
export interface JournalHeader {
  address: string;
  port: number;
  startedAtMs: number;
}

/** Why a journal was given up, such as `ENOSPC` or `EIO`. */
export type JournalWriteError = SystemError;

export interface JournalPacket {
  /** RTCP if true, else RTP. */
  rtcp: boolean;
  /** Milliseconds since the epoch. */
  arrivalMs: number;
  /** Valid only until the next packet is read. */
  packet: Uint8Array;
}

function encodeHeader({ address, port, startedAtMs }: JournalHeader): Buffer {
  const line = Buffer.from(`${MAGIC}${address}/${port}\n`, 'latin1');
  const fixed = Buffer.alloc(FILE_HEADER_BYTES);
  fixed.writeUInt32BE(Math.floor(startedAtMs / 1000), 0);
  fixed.writeUInt32BE((startedAtMs % 1000) * 1000, 4);
  // The binary header has room for IPv4 only; of an IPv6 address the text line tells.
  if (isIPv4(address)) fixed.set(address.split('.').map(Number), 8);
  fixed.writeUInt16BE(port, 12);
  return Buffer.concat([line, fixed]);
}

function writeFully(descriptor: number, bytes: Uint8Array, length: number): void {
  for (let written = 0; written < length; )
    written += writeSync(descriptor, bytes, written, length - written);
}

/**
 * Writes one journal. `append` fills a buffer; `flush` hands it to the kernel, from where it survives the
 * death of this process. After a write error the journal is left as it is: what was written stays readable.
 */
export class JournalWriter {
  readonly #descriptor: number;
  readonly #startedAtMs: number;
  readonly #onError: (error: JournalWriteError) => void;
  /** Made with the first packet: a stream that stays silent costs nothing. */
  #buffer: Buffer | undefined;
  #used = 0;
  #oldestUnflushedMs = Number.POSITIVE_INFINITY;
  #error: JournalWriteError | undefined;

  /**
   * Creates the journal, or takes an empty file; its header is in the kernel when this returns.
   * @param onError called once, at the first write that fails
   * @throws NodeJS.ErrnoException if it cannot be created or the header cannot be written; `EEXIST` if the file
   *   has content, for a journal is never written over
   */
  constructor(path: string, header: JournalHeader, onError: (error: JournalWriteError) => void) {
    this.#startedAtMs = header.startedAtMs;
    this.#onError = onError;
    this.#descriptor = openSync(path, 'a');
    try {
      if (fstatSync(this.#descriptor).size > 0)
        throw Object.assign(new Error(`EEXIST: journal ${path} has content already`), { code: 'EEXIST' });
      const bytes = encodeHeader(header);
      writeFully(this.#descriptor, bytes, bytes.length);
    } catch (error) {
      closeSync(this.#descriptor);
      throw error;
    }
  }

  /** Set from the first write that failed; nothing is written from then on. */
  get error(): JournalWriteError | undefined {
    return this.#error;
  }

  /**
   * Appends the first `length` bytes of `packet`, at most `MAX_PACKET_BYTES`. Never throws.
   * @param arrivalMs milliseconds since the epoch, not before the journal's start
   */
  append(packet: Uint8Array, length: number, arrivalMs: number, rtcp: boolean): void {
    if (this.#error !== undefined) return;
    const offsetMs = Math.max(0, Math.round(arrivalMs - this.#startedAtMs));
    if (offsetMs > MAX_OFFSET_MS) {
      this.flush();
      this.#fail({ code: 'EOVERFLOW', message: 'a journal holds 49 days: its time offsets have 32 bits' });
      return;
    }
    const recordBytes = RECORD_HEADER_BYTES + length;
    if (this.#used + recordBytes > WRITE_BUFFER_BYTES) this.flush();
    this.#buffer ??= Buffer.allocUnsafeSlow(WRITE_BUFFER_BYTES);
    const buffer = this.#buffer;
    const at = this.#used;
    const rtpBytes = rtcp ? 0 : length;
    // Byte by byte: the methods of Buffer check, at every packet, what is known here.
    buffer[at] = recordBytes >> 8;
    buffer[at + 1] = recordBytes;
    buffer[at + 2] = rtpBytes >> 8;
    buffer[at + 3] = rtpBytes;
    buffer[at + 4] = offsetMs >>> 24;
    buffer[at + 5] = offsetMs >>> 16;
    buffer[at + 6] = offsetMs >>> 8;
    buffer[at + 7] = offsetMs;
    buffer.set(length === packet.length ? packet : packet.subarray(0, length), at + RECORD_HEADER_BYTES);
    this.#used += recordBytes;
    if (arrivalMs < this.#oldestUnflushedMs) this.#oldestUnflushedMs = arrivalMs;
  }

  /** Flushes if a packet that arrived before `beforeMs` waits in the buffer. */
  flushOlderThan(beforeMs: number): void {
    if (this.#oldestUnflushedMs < beforeMs) this.flush();
  }

  /** Hands all that is buffered to the kernel. Never throws: see `error`. */
  flush(): void {
    if (this.#buffer === undefined || this.#used === 0 || this.#error !== undefined) return;
    try {
      writeFully(this.#descriptor, this.#buffer, this.#used);
    } catch (error) {
      this.#fail(asSystemError(error as Error));
    }
    this.#used = 0;
    this.#oldestUnflushedMs = Number.POSITIVE_INFINITY;
  }

  /** Flushes and closes. Never throws: see `error`. */
  close(): void {
    this.flush();
    try {
      closeSync(this.#descriptor);
    } catch (error) {
      this.#fail(asSystemError(error as Error));
    }
    this.#buffer = undefined;
  }

  #fail(error: JournalWriteError): void {
    if (this.#error !== undefined) return;
    this.#error = error;
    this.#onError(error);
  }
}

/**
 * Reads one journal in chunks, in constant memory.
 *
 * A crash may have cut the end off, and a disk may have spoiled it. What is whole up to there is read, and
 * `truncatedAt` tells after the reading where the rest begins that is not: at 0 if not even the header is whole.
 */
export class JournalReader {
  readonly #path: string;
  #header: JournalHeader | undefined;
  #truncatedAt: number | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** Known as soon as the first packet was read; absent if it is not whole. */
  get header(): JournalHeader | undefined {
    return this.#header;
  }

  /** Position in the file, in bytes, from which on nothing could be read. */
  get truncatedAt(): number | undefined {
    return this.#truncatedAt;
  }

  /**
   * The packets in the order of their arrival. The object yielded is one and the same each time.
   * @throws NodeJS.ErrnoException if the file cannot be opened or read
   */
  *packets(): Generator<JournalPacket, void, void> {
    const descriptor = openSync(this.#path, 'r');
    try {
      yield* this.#read(descriptor);
    } finally {
      closeSync(descriptor);
    }
  }

  *#read(descriptor: number): Generator<JournalPacket, void, void> {
    const chunk = Buffer.allocUnsafeSlow(READ_CHUNK_BYTES);
    let start = 0;
    let end = 0;
    let position = 0;
    /** Makes `wanted` bytes available from `start`; false at the end of the file. */
    const have = (wanted: number): boolean => {
      if (end - start >= wanted) return true;
      chunk.copy(chunk, 0, start, end);
      end -= start;
      start = 0;
      while (end < wanted) {
        const read = readSync(descriptor, chunk, end, chunk.length - end, null);
        if (read === 0) return false;
        end += read;
      }
      return true;
    };

    have(MAX_PACKET_BYTES);
    const headerBytes = this.#decodeHeader(chunk.subarray(0, end));
    if (this.#header === undefined) {
      this.#truncatedAt = 0;
      return;
    }
    start = headerBytes;
    position = headerBytes;

    const result: JournalPacket = { rtcp: false, arrivalMs: 0, packet: chunk };
    while (have(RECORD_HEADER_BYTES)) {
      const recordBytes = chunk.readUInt16BE(start);
      const rtpBytes = chunk.readUInt16BE(start + 2);
      if (!isWholeRecord(recordBytes, rtpBytes) || !have(recordBytes)) break;
      result.rtcp = rtpBytes === 0;
      result.arrivalMs = this.#header.startedAtMs + chunk.readUInt32BE(start + 4);
      result.packet = chunk.subarray(start + RECORD_HEADER_BYTES, start + recordBytes);
      start += recordBytes;
      position += recordBytes;
      yield result;
    }
    if (start < end) this.#truncatedAt = position;
  }

  /** Sets `#header` if `bytes` begin with a whole one, and returns its length. */
  #decodeHeader(bytes: Buffer): number {
    const lineBytes = bytes.indexOf('\n') + 1;
    const line = /^#!rtpplay1\.0 (\S+)\/(\d+)\n$/.exec(bytes.toString('latin1', 0, lineBytes));
    if (line?.[1] === undefined || bytes.length < lineBytes + FILE_HEADER_BYTES) return 0;
    const seconds = bytes.readUInt32BE(lineBytes);
    const microseconds = bytes.readUInt32BE(lineBytes + 4);
    const startedAtMs = seconds * 1000 + Math.round(microseconds / 1000);
    this.#header = { address: line[1], port: Number(line[2]), startedAtMs };
    return lineBytes + FILE_HEADER_BYTES;
  }
}

const isWholeRecord = (recordBytes: number, rtpBytes: number): boolean =>
  recordBytes > RECORD_HEADER_BYTES &&
  recordBytes <= RECORD_HEADER_BYTES + MAX_PACKET_BYTES &&
  (rtpBytes === 0 || rtpBytes === recordBytes - RECORD_HEADER_BYTES);
