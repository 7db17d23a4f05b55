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
import { closeSync, fstatSync, openSync, writeSync } from 'node:fs';
import { isIPv4 } from 'node:net';
import { MAX_PACKET_BYTES, RECORD_HEADER_BYTES, RecordWindow } from './record-window.ts';
import { asSystemError, type SystemError } from './system-error.ts';

export { MAX_PACKET_BYTES } from './record-window.ts';

const MAGIC = '#!rtpplay1.0 ';
const FILE_HEADER_BYTES = 16;
const MAX_OFFSET_MS = 0xffff_ffff;

/** The longest record fits; so does half a second of G.711 (9 KB/s with record headers), which is flushed then. */
const WRITE_BUFFER_BYTES = 8 * 1024;

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

/** When a journal was begun, as it is known from elsewhere. */
export interface Opening {
  /** Milliseconds since the epoch. */
  atMs: number;
  /** The header of the journal may tell a time that differs by so much. */
  withinMs: number;
}

/**
 * Reads one journal file in chunks, in constant memory.
 *
 * A crash may have cut its end off, and a disk may have spoiled any part of it. What is not whole is passed over up to
 * where whole records go on; `skippedBytes` counts it. `truncatedAt` tells after the reading where the end begins that
 * could not be read: at 0 if nothing could.
 */
export class JournalReader {
  readonly #path: string;
  readonly #opening: Opening | undefined;
  #header: JournalHeader | undefined;
  #skippedBytes = 0;
  #truncatedAt: number | undefined;

  /** @param opening stands in for a header that is spoiled, or contradicts it */
  constructor(path: string, opening?: Opening) {
    this.#path = path;
    this.#opening = opening;
  }

  /** Known as soon as the first packet was read; absent if it is not whole and nothing stands in for it. */
  get header(): JournalHeader | undefined {
    return this.#header;
  }

  /** Bytes so far that could not be read, and that whole records follow. */
  get skippedBytes(): number {
    return this.#skippedBytes;
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
      yield* this.#read(new RecordWindow(descriptor), fstatSync(descriptor).mtimeMs);
    } finally {
      closeSync(descriptor);
    }
  }

  /** @param writtenAtMs when the file was written last */
  *#read(window: RecordWindow, writtenAtMs: number): Generator<JournalPacket, void, void> {
    this.#header = this.#readHeader(window);
    if (this.#header === undefined || !window.have(1)) {
      if (window.position === 0) this.#truncatedAt = 0;
      return;
    }
    const { startedAtMs } = this.#header;
    const result: JournalPacket = { rtcp: false, arrivalMs: 0, packet: NOTHING };
    let offsetMs = 0;
    // A copy may be older than it should be, by a clock that was wrong.
    const isOlder = writtenAtMs < startedAtMs;
    const latestMs = isOlder ? MAX_OFFSET_MS : writtenAtMs - startedAtMs + MAX_CLOCK_STEP_MS;
    while (window.have(1)) {
      const recordBytes = window.wholeRecord();
      if (recordBytes === 0) {
        const from = window.position;
        if (!window.skipToRecords()) {
          this.#truncatedAt = from;
          return;
        }
        this.#skippedBytes += window.position - from;
        continue;
      }
      offsetMs = window.offsetMs(recordBytes, offsetMs, latestMs);
      result.rtcp = window.isRtcp();
      result.arrivalMs = startedAtMs + offsetMs;
      result.packet = window.packet(recordBytes);
      window.skip(recordBytes);
      yield result;
    }
  }

  /** Goes on to the first record, where that can be told. */
  #readHeader(window: RecordWindow): JournalHeader | undefined {
    window.have(MAX_PACKET_BYTES);
    const found = decodeHeader(window.bytes());
    window.skip(found?.bytes ?? 0);
    const opening = this.#opening;
    if (opening === undefined) return found?.header;
    if (found && Math.abs(found.header.startedAtMs - opening.atMs) <= opening.withinMs) return found.header;
    this.#skippedBytes += found?.bytes ?? 0;
    return { address: '', port: 0, startedAtMs: opening.atMs };
  }
}

const NOTHING = new Uint8Array();

/** Arrival times are of a clock that never jumps, those of files are not. */
const MAX_CLOCK_STEP_MS = 600_000;

/** Undefined if `bytes` do not begin with a whole one. */
function decodeHeader(bytes: Buffer): { header: JournalHeader; bytes: number } | undefined {
  const lineBytes = bytes.indexOf('\n') + 1;
  const line = /^#!rtpplay1\.0 (\S+)\/(\d+)\n$/.exec(bytes.toString('latin1', 0, lineBytes));
  if (line?.[1] === undefined || bytes.length < lineBytes + FILE_HEADER_BYTES) return undefined;
  const seconds = bytes.readUInt32BE(lineBytes);
  const microseconds = bytes.readUInt32BE(lineBytes + 4);
  const startedAtMs = seconds * 1000 + Math.round(microseconds / 1000);
  return {
    header: { address: line[1], port: Number(line[2]), startedAtMs },
    bytes: lineBytes + FILE_HEADER_BYTES,
  };
}
