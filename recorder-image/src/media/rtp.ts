/**
 * Reading RTP and RTCP packets in place (RFC 3550 5.1, 6.4.1).
 *
 * These functions run for every packet received: they read the first `length` bytes of a buffer, allocate
 * nothing and never throw. The header fields may only be asked of what `isRtp` has accepted.
 */

const VERSION = 2;
const FIXED_HEADER_BYTES = 12;
/** Header and SSRC, which every compound RTCP packet begins with. */
const RTCP_HEADER_BYTES = 8;

const version = (packet: Uint8Array): number => byteAt(packet, 0) >> 6;
const byteAt = (packet: Uint8Array, index: number): number => packet[index] as number;
const uint16At = (packet: Uint8Array, index: number): number =>
  (byteAt(packet, index) << 8) | byteAt(packet, index + 1);
const uint32At = (packet: Uint8Array, index: number): number =>
  ((uint16At(packet, index) << 16) | uint16At(packet, index + 2)) >>> 0;

/** RTCP, also where it shares the port with RTP: packet types 192 to 223 (RFC 5761 4). */
export function isRtcp(packet: Uint8Array, length: number): boolean {
  if (length < RTCP_HEADER_BYTES || version(packet) !== VERSION) return false;
  const packetType = byteAt(packet, 1);
  return packetType >= 192 && packetType <= 223;
}

/** RTP whose CSRC list, header extension and padding fit into its length. */
export function isRtp(packet: Uint8Array, length: number): boolean {
  if (length < FIXED_HEADER_BYTES || version(packet) !== VERSION || isRtcp(packet, length)) return false;
  const start = payloadStart(packet, length);
  return start <= length && start <= payloadEnd(packet, length);
}

/** SRTP: the header is in clear; the last byte, which would count the padding, belongs to the tag. */
export const isEncryptedRtp = (packet: Uint8Array, length: number): boolean =>
  length >= FIXED_HEADER_BYTES &&
  version(packet) === VERSION &&
  !isRtcp(packet, length) &&
  payloadStart(packet, length) <= length;

/** 0 to 127. */
export const payloadType = (packet: Uint8Array): number => byteAt(packet, 1) & 0x7f;
/** 0 to 65535. */
export const sequence = (packet: Uint8Array): number => uint16At(packet, 2);
/** 0 to 2^32 - 1, in units of the codec's clock. */
export const timestamp = (packet: Uint8Array): number => uint32At(packet, 4);
/** 0 to 2^32 - 1. */
export const ssrc = (packet: Uint8Array): number => uint32At(packet, 8);

/** Index of the first payload byte, after CSRC list and header extension; beyond `length` if they don't fit. */
export function payloadStart(packet: Uint8Array, length: number): number {
  const first = byteAt(packet, 0);
  const afterCsrcs = FIXED_HEADER_BYTES + 4 * (first & 0x0f);
  const hasExtension = (first & 0x10) !== 0;
  if (!hasExtension) return afterCsrcs;
  if (afterCsrcs + 4 > length) return length + 1;
  return afterCsrcs + 4 + 4 * uint16At(packet, afterCsrcs + 2);
}

/** Index after the last payload byte; its padding, if any, counts itself in its last byte. */
export function payloadEnd(packet: Uint8Array, length: number): number {
  const hasPadding = (byteAt(packet, 0) & 0x20) !== 0;
  return hasPadding ? length - Math.max(1, byteAt(packet, length - 1)) : length;
}
