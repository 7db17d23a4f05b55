/**
 * The receiver of SRTP and SRTCP under one keying (RFC 3711 section 3.2.3), and the sender of the recorder's SRTCP.
 *
 * An SSRC may be met in the middle of its stream, as in the journal of a restarted recorder. Its rollover counter is
 * unknown then, and is found by trial: the authentication tag tells which one is right.
 */
import type { AnswerCrypto, SrtpKeying } from '../sdp/crypto.ts';
import { payloadStart, sequence, ssrc as ssrcOf } from './rtp.ts';
import {
  deriveSessionKeys,
  type SessionKeys,
  SRTP_TRANSFORMS,
  type SrtpProtocol,
  type SrtpTransform,
} from './srtp-transform.ts';

/** Why a packet is left out: forged, damaged or under another key; or seen before, or too old to tell. */
export type SrtpRejection = 'unauthentic' | 'replayed';

/** At 20 ms a packet, 20 s: more than any delay after which audio still has its place. */
const REPLAY_WINDOW = 1024;
/** A sequence number wraps after 22 minutes at 20 ms a packet: searching so far covers a day. */
const MAX_ROLLOVERS_AHEAD = 64;
/** What fails is searched for at most so often at first, then once in so many packets, lest foreign packets cost us. */
const FIRST_SEARCHES = 16;
const SEARCH_INTERVAL = 64;

const RTCP_HEADER_BYTES = 8;
const INDEX_BYTES = 4;
const ENCRYPTED_FLAG = 0x8000_0000;
const NOTHING = new Uint8Array(0);

/** The indices of one SSRC that were received: RFC 3711 section 3.3.2. */
class ReplayList {
  highest = -1;
  /** Every index at its place modulo the size. */
  readonly #seen = new Float64Array(REPLAY_WINDOW).fill(-1);

  /** False if it was added before, or is too old to tell. */
  add(index: number): boolean {
    const place = index % REPLAY_WINDOW;
    if (index <= this.highest - REPLAY_WINDOW || this.#seen[place] === index) return false;
    this.#seen[place] = index;
    this.highest = Math.max(this.highest, index);
    return true;
  }
}

/** One master key and the session keys under it: of the last period only, which is the only one without a rate. */
interface MasterKey {
  mki: Uint8Array;
  sessionKeys(protocol: SrtpProtocol, index: number): SessionKeys;
}

function masterKeysOf({ suite, masterKeys, keyDerivationRateBits }: SrtpKeying): MasterKey[] {
  const rate = 2 ** keyDerivationRateBits;
  return masterKeys.map(({ keyAndSalt, mki = NOTHING }) => {
    const latest: Partial<Record<SrtpProtocol, { period: number; keys: SessionKeys }>> = {};
    return {
      mki,
      sessionKeys(protocol, index) {
        const period = keyDerivationRateBits === 0 ? 0 : Math.floor(index / rate);
        let derived = latest[protocol];
        if (derived?.period !== period) {
          derived = { period, keys: deriveSessionKeys(suite, keyAndSalt, protocol, period) };
          latest[protocol] = derived;
        }
        return derived.keys;
      },
    };
  });
}

/** What the SRC sends under one keying, whatever its SSRCs. The same packets in the same order give the same result. */
export class SrtpReceiver {
  readonly #transform: SrtpTransform;
  readonly #masterKeys: readonly MasterKey[];
  readonly #mkiBytes: number;
  /** By SSRC. */
  readonly #received: Readonly<Record<SrtpProtocol, Map<number, ReplayList>>> = {
    rtp: new Map(),
    rtcp: new Map(),
  };
  #failures = 0;

  constructor(keying: SrtpKeying) {
    this.#transform = SRTP_TRANSFORMS[keying.suite];
    this.#masterKeys = masterKeysOf(keying);
    this.#mkiBytes = keying.masterKeys[0]?.mki?.length ?? 0;
  }

  /**
   * Authenticates and decrypts a packet. Never throws.
   * @param rtcp what `isRtcp` says of it: the first bytes are in the clear
   * @returns the RTP or RTCP packet, decrypted in place: a part of `packet`. What is rejected is left as it was
   */
  unprotect(packet: Uint8Array, rtcp: boolean): Uint8Array | SrtpRejection {
    return rtcp ? this.#unprotectRtcp(packet) : this.#unprotectRtp(packet);
  }

  #unprotectRtp(packet: Uint8Array): Uint8Array | SrtpRejection {
    const { tagFollowsCiphertext, tagBytes } = this.#transform;
    const start = payloadStart(packet, packet.length);
    const end = packet.length - tagBytes.rtp - this.#mkiBytes;
    if (start > end) return 'unauthentic';
    const mkiAt = tagFollowsCiphertext ? end + tagBytes.rtp : end;
    const tagAt = tagFollowsCiphertext ? end : end + this.#mkiBytes;
    const masterKey = this.#masterKeyAt(packet, mkiAt);
    if (masterKey === undefined) return 'unauthentic';

    const ssrc = ssrcOf(packet);
    const before = packet.subarray(0, start);
    const ciphertext = packet.subarray(start, end);
    const tag = packet.subarray(tagAt, tagAt + tagBytes.rtp);
    const rollover = Buffer.alloc(tagFollowsCiphertext ? 0 : 4);
    const highest = this.#received.rtp.get(ssrc)?.highest ?? -1;
    for (const index of this.#indices(highest, sequence(packet))) {
      if (!tagFollowsCiphertext) rollover.writeUInt32BE(Math.floor(index / 0x1_0000));
      const keys = masterKey.sessionKeys('rtp', index);
      const plaintext = this.#transform.open(
        { keys, ssrc, index, before, after: rollover, tagBytes: tagBytes.rtp },
        ciphertext,
        tag,
      );
      if (plaintext === undefined) continue;
      if (!this.#isNew('rtp', ssrc, index)) return 'replayed';
      packet.set(plaintext, start);
      return packet.subarray(0, end);
    }
    this.#failures++;
    return 'unauthentic';
  }

  /** The indices that a sequence number may stand for, the likeliest first: RFC 3711 section 3.3.1. */
  *#indices(highest: number, sequenceNumber: number): Generator<number, void, void> {
    // The nearest to the highest; of a new SSRC, without rollover (RFC 4568 section 6.4).
    const likeliest = highest < 0 ? sequenceNumber : highest + (((sequenceNumber - highest) << 16) >> 16);
    if (likeliest >= 0) yield likeliest;
    if (this.#failures >= FIRST_SEARCHES && this.#failures % SEARCH_INTERVAL !== 0) return;
    const last = Math.floor(Math.max(0, highest) / 0x1_0000) + MAX_ROLLOVERS_AHEAD;
    for (let rollovers = 0; rollovers <= last; rollovers++) {
      const index = rollovers * 0x1_0000 + sequenceNumber;
      if (index !== likeliest) yield index;
    }
  }

  #unprotectRtcp(packet: Uint8Array): Uint8Array | SrtpRejection {
    const { tagFollowsCiphertext, tagBytes } = this.#transform;
    const end = packet.length - tagBytes.rtcp - this.#mkiBytes - INDEX_BYTES;
    if (end < RTCP_HEADER_BYTES) return 'unauthentic';
    const indexAt = tagFollowsCiphertext ? end + tagBytes.rtcp : end;
    const mkiAt = indexAt + INDEX_BYTES;
    const tagAt = tagFollowsCiphertext ? end : mkiAt + this.#mkiBytes;
    const masterKey = this.#masterKeyAt(packet, mkiAt);
    if (masterKey === undefined) return 'unauthentic';

    const view = new DataView(packet.buffer, packet.byteOffset, packet.length);
    const indexWord = view.getUint32(indexAt);
    const isEncrypted = indexWord >= ENCRYPTED_FLAG;
    const index = isEncrypted ? indexWord - ENCRYPTED_FLAG : indexWord;
    const ssrc = view.getUint32(4);
    const start = isEncrypted ? RTCP_HEADER_BYTES : end;
    const plaintext = this.#transform.open(
      {
        keys: masterKey.sessionKeys('rtcp', index),
        ssrc,
        index,
        before: packet.subarray(0, start),
        after: packet.subarray(indexAt, indexAt + INDEX_BYTES),
        tagBytes: tagBytes.rtcp,
      },
      packet.subarray(start, end),
      packet.subarray(tagAt, tagAt + tagBytes.rtcp),
    );
    if (plaintext === undefined) return 'unauthentic';
    if (!this.#isNew('rtcp', ssrc, index)) return 'replayed';
    packet.set(plaintext, start);
    return packet.subarray(0, end);
  }

  /** Asked of authentic packets only, so that no one else fills the lists. */
  #isNew(protocol: SrtpProtocol, ssrc: number, index: number): boolean {
    let list = this.#received[protocol].get(ssrc);
    if (list === undefined) {
      list = new ReplayList();
      this.#received[protocol].set(ssrc, list);
    }
    return list.add(index);
  }

  #masterKeyAt(packet: Uint8Array, at: number): MasterKey | undefined {
    return this.#masterKeys.find(({ mki }) => mki.every((byte, offset) => packet[at + offset] === byte));
  }
}

/** Protects the recorder's RTCP with the key that its answer has told. One for each key, or an index comes twice. */
export class SrtcpSender {
  readonly #transform: SrtpTransform;
  readonly #keys: SessionKeys;
  #index: number;

  /**
   * @param firstIndex 31 bits, above all that were used under this key. The seconds since 2020 are, by default, since a
   * report takes seconds: so the next sender of a key, after the death of a media worker, repeats none. Till 2088.
   */
  constructor(
    { suite, keyAndSalt }: Pick<AnswerCrypto, 'suite' | 'keyAndSalt'>,
    firstIndex: number = Math.floor((Date.now() - Date.UTC(2020)) / 1000),
  ) {
    this.#index = firstIndex;
    this.#transform = SRTP_TRANSFORMS[suite];
    this.#keys = deriveSessionKeys(suite, keyAndSalt, 'rtcp');
  }

  /** @param packet a whole compound RTCP packet */
  protect(packet: Uint8Array): Buffer {
    const { tagFollowsCiphertext, tagBytes } = this.#transform;
    const index = this.#index++;
    const header = packet.subarray(0, RTCP_HEADER_BYTES);
    const indexWord = Buffer.alloc(INDEX_BYTES);
    indexWord.writeUInt32BE(ENCRYPTED_FLAG + index);
    const { ciphertext, tag } = this.#transform.seal(
      {
        keys: this.#keys,
        ssrc: new DataView(packet.buffer, packet.byteOffset).getUint32(4),
        index,
        before: header,
        after: indexWord,
        tagBytes: tagBytes.rtcp,
      },
      packet.subarray(RTCP_HEADER_BYTES),
    );
    return Buffer.concat(
      tagFollowsCiphertext ? [header, ciphertext, tag, indexWord] : [header, ciphertext, indexWord, tag],
    );
  }
}
