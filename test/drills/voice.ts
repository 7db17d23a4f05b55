/**
 * What the streams of a drill say: payloads that tell whose they are and which, so that every byte of a recording can be
 * compared with what was sent, and a stranger's audio is known by its first bytes.
 */
export const PAYLOAD_BYTES = 160;
/** Of one packet: G.711 at 8000 Hz. */
export const PACKET_MS = 20;

/** What a recorder writes where nothing has come (mu-law silence). No payload holds this byte. */
export const SILENCE = 0xff;

/** Seven bits a byte: streams below 2^14, packets below 2^21 (11 hours). */
const NAME_BYTES = 5;

/**
 * 20 ms of a stream, written into `target` from `offset` on: the stream, the number of the packet, and what a hash of
 * both makes of the rest.
 */
export function writePayload(target: Uint8Array, offset: number, stream: number, packet: number): void {
  target[offset] = stream >> 7;
  target[offset + 1] = stream & 0x7f;
  target[offset + 2] = packet >> 14;
  target[offset + 3] = (packet >> 7) & 0x7f;
  target[offset + 4] = packet & 0x7f;
  let state = Math.imul(stream + 1, 0x9e37_79b1) ^ Math.imul(packet + 1, 0x85eb_ca6b) || 1;
  for (let index = offset + NAME_BYTES; index < offset + PAYLOAD_BYTES; index++) {
    // xorshift32 (Marsaglia 2003)
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    target[index] = state & 0x7f;
  }
}

export interface VoiceName {
  stream: number;
  packet: number;
}

/** Whose packet begins at `offset`; undefined if no whole payload does. */
export function voiceAt(bytes: Uint8Array, offset: number): VoiceName | undefined {
  const [s1 = SILENCE, s0 = SILENCE, p2 = SILENCE, p1 = SILENCE, p0 = SILENCE] = bytes.subarray(
    offset,
    offset + NAME_BYTES,
  );
  if ((s1 | s0 | p2 | p1 | p0) > 0x7f) return undefined;
  const name = { stream: (s1 << 7) | s0, packet: (p2 << 14) | (p1 << 7) | p0 };
  writePayload(expected, 0, name.stream, name.packet);
  return expected.equals(bytes.subarray(offset, offset + PAYLOAD_BYTES)) ? name : undefined;
}

const expected = Buffer.alloc(PAYLOAD_BYTES);
