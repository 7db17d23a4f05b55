/** Reading and writing RTCP packets (RFC 3550 6). */
import type { ReportBlock } from './reception.ts';

const SENDER_REPORT = 200;
const RECEIVER_REPORT = 201;
const SOURCE_DESCRIPTION = 202;
const BYE = 203;

const CNAME = 1;
const VERSION_BITS = 0x80;
const WORD = 4;
const BLOCK_BYTES = 24;

/**
 * `ntpMiddle`: the middle 32 bits of its NTP timestamp, which receiver reports repeat. `ntpSeconds`: all of it, since
 * 1900; 0 from a sender without a clock. `rtpTimestamp`: of the same instant.
 */
export type RtcpItem =
  | { type: 'sender-report'; ssrc: number; ntpMiddle: number; ntpSeconds: number; rtpTimestamp: number }
  | { type: 'cname'; ssrc: number; cname: string }
  | { type: 'bye'; ssrc: number };

/** What a compound packet says of the above, up to where it is no longer well formed. Never throws. */
export function* readRtcp(packet: Uint8Array): Generator<RtcpItem, void, void> {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  for (let at = 0; at + WORD <= packet.length; ) {
    const first = view.getUint8(at);
    const end = at + WORD * (view.getUint16(at + 2) + 1);
    if ((first & 0xc0) !== VERSION_BITS || end > packet.length) return;
    const type = view.getUint8(at + 1);
    if (type === SENDER_REPORT && end - at >= 20)
      yield {
        type: 'sender-report',
        ssrc: view.getUint32(at + 4),
        ntpMiddle: view.getUint32(at + 10),
        ntpSeconds: view.getUint32(at + 8) + view.getUint32(at + 12) / 2 ** 32,
        rtpTimestamp: view.getUint32(at + 16),
      };
    if (type === SOURCE_DESCRIPTION) yield* readNames(packet.subarray(at, end), first & 0x1f);
    if (type === BYE)
      for (let source = 1; source <= (first & 0x1f) && at + WORD * (source + 1) <= end; source++)
        yield { type: 'bye', ssrc: view.getUint32(at + WORD * source) };
    at = end;
  }
}

/** RFC 3550 6.5: chunks of an SSRC and its items, ended by a zero byte and filled up to a word. */
function* readNames(packet: Uint8Array, chunks: number): Generator<RtcpItem, void, void> {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  let at = WORD;
  for (let chunk = 0; chunk < chunks && at + WORD < packet.length; chunk++) {
    const ssrc = view.getUint32(at);
    at += WORD;
    while (at + 2 <= packet.length && packet[at] !== 0) {
      const end = at + 2 + (packet[at + 1] as number);
      if (end > packet.length) return;
      if (packet[at] === CNAME)
        yield { type: 'cname', ssrc, cname: Buffer.from(packet.subarray(at + 2, end)).toString('latin1') };
      at = end;
    }
    at += WORD - (at % WORD);
  }
}

/**
 * A compound packet of a receiver report and the source description that RFC 3550 6.1 wants with it.
 * @param ssrc our own
 * @param cname at most 255 bytes of ASCII
 * @param blocks at most 31
 */
export function writeReceiverReport(ssrc: number, cname: string, blocks: readonly ReportBlock[]): Buffer {
  const reportBytes = 8 + BLOCK_BYTES * blocks.length;
  // Items end with a zero byte, and the chunk at a word: 1 to 4 zero bytes.
  const itemBytes = 2 + cname.length;
  const chunkBytes = WORD + itemBytes + (WORD - (itemBytes % WORD));
  const packet = Buffer.alloc(reportBytes + WORD + chunkBytes);

  let at = writeHeader(packet, 0, RECEIVER_REPORT, blocks.length, reportBytes);
  at = packet.writeUInt32BE(ssrc, at);
  for (const block of blocks) {
    at = packet.writeUInt32BE(block.ssrc, at);
    at = packet.writeUInt8(block.fractionLost, at);
    at = packet.writeIntBE(block.cumulativeLost, at, 3);
    at = packet.writeUInt32BE(block.extendedHighestSequence, at);
    at = packet.writeUInt32BE(block.jitter, at);
    at = packet.writeUInt32BE(block.lastSenderReport, at);
    at = packet.writeUInt32BE(block.delaySinceLastSenderReport, at);
  }
  at = writeHeader(packet, at, SOURCE_DESCRIPTION, 1, WORD + chunkBytes);
  at = packet.writeUInt32BE(ssrc, at);
  at = packet.writeUInt8(CNAME, at);
  at = packet.writeUInt8(cname.length, at);
  packet.write(cname, at, 'latin1');
  return packet;
}

/** @param count of report blocks or chunks; the length field counts words less one */
function writeHeader(packet: Buffer, start: number, type: number, count: number, bytes: number): number {
  const at = packet.writeUInt8(VERSION_BITS | count, start);
  return packet.writeUInt16BE(bytes / WORD - 1, packet.writeUInt8(type, at));
}
