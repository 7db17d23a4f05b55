/** Finding the records of an rtpdump file (`journal.ts`), also behind a part of it that is spoiled. */
import { readSync } from 'node:fs';

export const RECORD_HEADER_BYTES = 8;
/** rtptools keep a packet in a buffer of 8000 bytes with its record header; no audio packet comes near. */
export const MAX_PACKET_BYTES = 8000 - RECORD_HEADER_BYTES;

const READ_CHUNK_BYTES = 256 * 1024;

/** So many whole records in a row are no accident, where one might be. */
const CHAIN_RECORDS = 3;
/** Between two records of such a chain. */
const MAX_CHAIN_GAP_MS = 3_600_000;
const RTP_VERSION_2 = 2;
const RTCP_HEADER_BYTES = 8;
const RTP_HEADER_BYTES = 12;

/** The part of a file that is in memory, and the place in it where the next record is to begin. */
export class RecordWindow {
  readonly #descriptor: number;
  readonly #chunk = Buffer.allocUnsafeSlow(READ_CHUNK_BYTES);
  #start = 0;
  #end = 0;
  #isAtEnd = false;
  #position = 0;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  /** Of the next record, in bytes from the beginning of the file. */
  get position(): number {
    return this.#position;
  }

  /** Makes so many bytes available; false if the file has no more so many. @throws NodeJS.ErrnoException */
  have(wanted: number): boolean {
    if (this.#end - this.#start >= wanted) return true;
    if (this.#isAtEnd) return false;
    this.#chunk.copyWithin(0, this.#start, this.#end);
    this.#end -= this.#start;
    this.#start = 0;
    while (this.#end < wanted) {
      const room = this.#chunk.length - this.#end;
      const read = readSync(this.#descriptor, this.#chunk, this.#end, room, null);
      if (read === 0) {
        this.#isAtEnd = true;
        return false;
      }
      this.#end += read;
    }
    return true;
  }

  /** All that is available. */
  bytes(): Buffer {
    return this.#chunk.subarray(this.#start, this.#end);
  }

  skip(bytes: number): void {
    this.#start += bytes;
    this.#position += bytes;
  }

  /** Length of the next record with its header; 0 if there is none, or none that is whole. */
  wholeRecord(): number {
    if (!this.have(RECORD_HEADER_BYTES)) return 0;
    const recordBytes = this.#recordBytesAt(this.#start);
    return recordBytes > 0 && this.have(recordBytes) ? recordBytes : 0;
  }

  isRtcp(): boolean {
    return this.#uint16At(this.#start + 2) === 0;
  }

  packet(recordBytes: number): Buffer {
    return this.#chunk.subarray(this.#start + RECORD_HEADER_BYTES, this.#start + recordBytes);
  }

  /**
   * The next record's time offset. Time only grows: one that its neighbours contradict is spoiled, and theirs counts.
   * @param before that of the record before
   * @param latest that any record can have
   */
  offsetMs(recordBytes: number, before: number, latest: number): number {
    const own = this.#uint32At(this.#start + 4);
    if (own > latest) return before;
    const hasNext = this.have(recordBytes + RECORD_HEADER_BYTES);
    const next = this.#start + recordBytes;
    if (!hasNext || this.#recordBytesAt(next) === 0) return own;
    const after = this.#uint32At(next + 4);
    const isBetween = before <= own && own <= after;
    return isBetween || before > after ? own : Math.min(after, Math.max(before, own));
  }

  /** Goes on to where whole records follow each other, or to the end of the file; tells which. */
  skipToRecords(): boolean {
    while (this.have(1)) {
      this.skip(1);
      this.have(CHAIN_RECORDS * (RECORD_HEADER_BYTES + MAX_PACKET_BYTES));
      if (this.#isChain()) return true;
    }
    return false;
  }

  /** Of packets of one SSRC, in the order of time; at the end of the file fewer of them do, if they fill it. */
  #isChain(): boolean {
    let at = this.#start;
    let source: number | undefined;
    let offset: number | undefined;
    for (let records = 0; records < CHAIN_RECORDS; records++) {
      if (at === this.#end && this.#isAtEnd) return records > 0;
      if (at + RECORD_HEADER_BYTES > this.#end) return false;
      const recordBytes = this.#recordBytesAt(at);
      if (recordBytes === 0 || at + recordBytes > this.#end || !this.#isMedia(at, recordBytes)) return false;
      const sender = this.#senderAt(at);
      const time = this.#uint32At(at + 4);
      if (source !== undefined && sender !== undefined && sender !== source) return false;
      if (offset !== undefined && (time < offset || time - offset > MAX_CHAIN_GAP_MS)) return false;
      source = sender ?? source;
      offset = time;
      at += recordBytes;
    }
    return true;
  }

  #isMedia(at: number, recordBytes: number): boolean {
    const least = this.#senderAt(at) === undefined ? RTCP_HEADER_BYTES : RTP_HEADER_BYTES;
    return (
      recordBytes >= RECORD_HEADER_BYTES + least &&
      this.#byteAt(at + RECORD_HEADER_BYTES) >> 6 === RTP_VERSION_2
    );
  }

  /** SSRC of an RTP packet; RTCP may be of anybody. */
  #senderAt(at: number): number | undefined {
    return this.#uint16At(at + 2) === 0 ? undefined : this.#uint32At(at + RECORD_HEADER_BYTES + 8);
  }

  /** Length that a record's header tells; 0 if it contradicts itself. */
  #recordBytesAt(at: number): number {
    const recordBytes = this.#uint16At(at);
    const rtpBytes = this.#uint16At(at + 2);
    const isWhole =
      recordBytes > RECORD_HEADER_BYTES &&
      recordBytes <= RECORD_HEADER_BYTES + MAX_PACKET_BYTES &&
      (rtpBytes === 0 || rtpBytes === recordBytes - RECORD_HEADER_BYTES);
    return isWhole ? recordBytes : 0;
  }

  #byteAt(at: number): number {
    return this.#chunk[at] as number;
  }

  #uint16At(at: number): number {
    return (this.#byteAt(at) << 8) | this.#byteAt(at + 1);
  }

  #uint32At(at: number): number {
    return ((this.#uint16At(at) << 16) | this.#uint16At(at + 2)) >>> 0;
  }
}
