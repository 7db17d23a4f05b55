/**
 * The cryptography of SRTP and SRTCP: session keys from a master key (RFC 3711 section 4.3), and the transforms of
 * RFC 3711 (AES counter mode with HMAC-SHA1) and RFC 7714 (AES-GCM).
 *
 * Over node:crypto, hence OpenSSL, for want of a library: werift-rtp 0.8.9 has neither the 32-bit tag nor AES-256-GCM,
 * neither MKI nor a replay list, and loses count when more than 100 packets are missing where sequence numbers wrap; no
 * other package on npm was found to have the suites. Checked against the vectors of the RFCs and against libsrtp.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  type KeyObject,
  timingSafeEqual,
} from 'node:crypto';
import { SRTP_SUITES, type SrtpSuite } from '../sdp/crypto.ts';

/** SRTP and SRTCP differ in keys, tags and layout. */
export type SrtpProtocol = 'rtp' | 'rtcp';

/** Keys are `KeyObject`s also because OpenSSL takes up bare bytes ten times slower (17 µs against 1.6 µs). */
export interface SessionKeys {
  cipher: KeyObject;
  /** Unused by AES-GCM. */
  authentication: KeyObject;
  salt: Buffer;
}

/** What one packet is protected with. */
export interface PacketContext {
  keys: SessionKeys;
  ssrc: number;
  /** 48 bits: rollover counter and sequence number of RTP, the index of SRTCP. */
  index: number;
  /** Authenticated but not encrypted: what stands before the ciphertext, and what is put after it. */
  before: Uint8Array;
  after: Uint8Array;
  tagBytes: number;
}

export interface SrtpTransform {
  tagBytes: Readonly<Record<SrtpProtocol, number>>;
  /** RFC 7714: the tag belongs to the ciphertext, and so precedes MKI and SRTCP index. RFC 3711: it is the last. */
  tagFollowsCiphertext: boolean;
  /** The plaintext; undefined if the packet is not authentic. */
  open(context: PacketContext, ciphertext: Uint8Array, tag: Uint8Array): Buffer | undefined;
  seal(context: PacketContext, plaintext: Uint8Array): { ciphertext: Buffer; tag: Buffer };
}

/** RFC 3711 section 4.3.2. */
const LABELS = {
  rtp: { cipher: 0, authentication: 1, salt: 2 },
  rtcp: { cipher: 3, authentication: 4, salt: 5 },
} as const;
/** HMAC-SHA1: RFC 3711 section 5.2. */
const AUTHENTICATION_KEY_BYTES = 20;

/**
 * The session keys under a master key.
 * @param period of the key derivation rate that the packet's index lies in, from 0 (`r` of RFC 3711 section 4.3.1)
 */
export function deriveSessionKeys(
  suite: SrtpSuite,
  keyAndSalt: KeyObject,
  protocol: SrtpProtocol,
  period = 0,
): SessionKeys {
  const { keyBytes, saltBytes } = SRTP_SUITES[suite];
  const bytes = keyAndSalt.export();
  const masterKey = createSecretKey(bytes.subarray(0, keyBytes));
  const derive = (label: number, length: number): Buffer => {
    // The salt of AES-GCM is shorter; RFC 7714 section 11 fills it up with zeros.
    const input = Buffer.alloc(16);
    input.set(bytes.subarray(keyBytes));
    input.writeUInt8(input.readUInt8(7) ^ label, 7);
    xorUint48(input, 8, period);
    return createCipheriv(`aes-${8 * keyBytes}-ctr`, masterKey, input).update(Buffer.alloc(length));
  };
  const labels = LABELS[protocol];
  return {
    cipher: createSecretKey(derive(labels.cipher, keyBytes)),
    authentication: createSecretKey(derive(labels.authentication, AUTHENTICATION_KEY_BYTES)),
    salt: derive(labels.salt, saltBytes),
  };
}

function xorUint48(bytes: Buffer, at: number, value: number): void {
  bytes.writeUInt32BE((bytes.readUInt32BE(at) ^ Math.floor(value / 0x1_0000)) >>> 0, at);
  bytes.writeUInt16BE(bytes.readUInt16BE(at + 4) ^ (value & 0xffff), at + 4);
}

/** SSRC and index, XORed into the end of the salt: RFC 3711 section 4.1.1, RFC 7714 sections 8.1 and 9.1. */
function initialisationVector({ keys: { salt }, ssrc, index }: PacketContext, length: number): Buffer {
  const vector = Buffer.alloc(length);
  vector.set(salt);
  const at = salt.length - 10;
  vector.writeUInt32BE((vector.readUInt32BE(at) ^ ssrc) >>> 0, at);
  xorUint48(vector, at + 4, index);
  return vector;
}

/** AES counter mode with HMAC-SHA1 over the encrypted packet. */
function counterMode(tagBytes: SrtpTransform['tagBytes']): SrtpTransform {
  const crypt = (context: PacketContext, text: Uint8Array): Buffer =>
    createDecipheriv('aes-128-ctr', context.keys.cipher, initialisationVector(context, 16)).update(text);
  const tagOf = ({ keys, before, after, tagBytes }: PacketContext, ciphertext: Uint8Array): Buffer =>
    createHmac('sha1', keys.authentication)
      .update(before)
      .update(ciphertext)
      .update(after)
      .digest()
      .subarray(0, tagBytes);
  return {
    tagBytes,
    tagFollowsCiphertext: false,
    open: (context, ciphertext, tag) =>
      timingSafeEqual(tagOf(context, ciphertext), tag) ? crypt(context, ciphertext) : undefined,
    seal: (context, plaintext) => {
      const ciphertext = crypt(context, plaintext);
      return { ciphertext, tag: tagOf(context, ciphertext) };
    },
  };
}

const GCM_TAG_BYTES = 16;

/** AES-GCM. In SRTP nothing follows the ciphertext: the rollover counter is in the initialisation vector only. */
function galoisCounterMode(cipher: 'aes-128-gcm' | 'aes-256-gcm'): SrtpTransform {
  const options = { authTagLength: GCM_TAG_BYTES };
  return {
    tagBytes: { rtp: GCM_TAG_BYTES, rtcp: GCM_TAG_BYTES },
    tagFollowsCiphertext: true,
    open: (context, ciphertext, tag) => {
      const vector = initialisationVector(context, 12);
      const decipher = createDecipheriv(cipher, context.keys.cipher, vector, options);
      decipher.setAAD(context.before);
      decipher.setAAD(context.after);
      decipher.setAuthTag(tag);
      const plaintext = decipher.update(ciphertext);
      try {
        decipher.final();
      } catch {
        return undefined; // its only error: the tag does not fit
      }
      return plaintext;
    },
    seal: (context, plaintext) => {
      const vector = initialisationVector(context, 12);
      const encipher = createCipheriv(cipher, context.keys.cipher, vector, options);
      encipher.setAAD(context.before);
      encipher.setAAD(context.after);
      const ciphertext = encipher.update(plaintext);
      encipher.final();
      return { ciphertext, tag: encipher.getAuthTag() };
    },
  };
}

export const SRTP_TRANSFORMS: Readonly<Record<SrtpSuite, SrtpTransform>> = {
  AES_CM_128_HMAC_SHA1_80: counterMode({ rtp: 10, rtcp: 10 }),
  // RFC 4568 section 6.2.2: SRTCP keeps the long tag.
  AES_CM_128_HMAC_SHA1_32: counterMode({ rtp: 4, rtcp: 10 }),
  AEAD_AES_128_GCM: galoisCounterMode('aes-128-gcm'),
  AEAD_AES_256_GCM: galoisCounterMode('aes-256-gcm'),
};
