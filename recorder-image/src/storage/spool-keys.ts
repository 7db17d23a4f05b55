/**
 * What protects the keys of encrypted calls in the spool. SRTP goes into the journals as it came, and the offers beside
 * it, which hold its keys (RFC 4568), are sealed with AES-256-GCM: a disk alone, stolen or snapshotted, tells nothing.
 *
 * All recorders that may be handed a spool have the same keys. The first seals; the others still open what was sealed
 * before it took their place.
 */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';

const CIPHER = 'aes-256-gcm';
const ID_BYTES = 4;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** None of this recorder's keys opens it: another sealed it, or it was changed. Another try with the right key helps. */
export class SealedError extends Error {
  constructor(keyId: string, known: readonly string[]) {
    const has = known.length > 0 ? `SIPREC_SPOOL_KEY has ${known.join(', ')}` : 'SIPREC_SPOOL_KEY is not set';
    super(
      `sealed with key ${keyId}, and cannot be opened: ${has}; start the recorder with the key that it was sealed with`,
    );
    this.name = 'SealedError';
  }
}

interface Key {
  /** The beginning of its SHA-256; tells keys apart, and nothing of the key. */
  id: Buffer;
  secret: Buffer;
}

export class SpoolKeys {
  readonly #keys: readonly Key[];

  /** @param secrets 32 bytes each; none leaves everything as it is */
  constructor(secrets: readonly Buffer[]) {
    this.#keys = secrets.map((secret) => ({
      id: createHash('sha256').update(secret).digest().subarray(0, ID_BYTES),
      secret,
    }));
  }

  /** @param keys base64 of 32 bytes each, as in the environment */
  static from(keys: readonly string[]): SpoolKeys {
    return new SpoolKeys(keys.map((key) => Buffer.from(key, 'base64')));
  }

  get canSeal(): boolean {
    return this.#keys.length > 0;
  }

  /**
   * @param recordingId bound to it: what is sealed of one recording cannot be put into another
   * @returns base64 of key id, nonce, tag and ciphertext
   */
  seal(text: string, recordingId: string): string {
    const [key] = this.#keys;
    if (!key) throw new Error('there is no key to seal with');
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(CIPHER, key.secret, nonce).setAAD(Buffer.from(recordingId));
    const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
    return Buffer.concat([key.id, nonce, cipher.getAuthTag(), sealed]).toString('base64');
  }

  /** @throws SealedError */
  open(sealed: string, recordingId: string): string {
    const bytes = Buffer.from(sealed, 'base64');
    const id = bytes.subarray(0, ID_BYTES);
    const nonceEnd = ID_BYTES + NONCE_BYTES;
    const tagEnd = nonceEnd + TAG_BYTES;
    const key = this.#keys.find((candidate) => candidate.id.equals(id));
    try {
      if (!key) throw new Error('unknown key');
      const decipher = createDecipheriv(CIPHER, key.secret, bytes.subarray(ID_BYTES, nonceEnd))
        .setAAD(Buffer.from(recordingId))
        .setAuthTag(bytes.subarray(nonceEnd, tagEnd));
      return `${decipher.update(bytes.subarray(tagEnd), undefined, 'utf8')}${decipher.final('utf8')}`;
    } catch {
      throw new SealedError(
        id.toString('hex'),
        this.#keys.map(({ id }) => id.toString('hex')),
      );
    }
  }
}

/** Nothing is sealed, and nothing sealed can be opened. */
export const NO_KEYS = new SpoolKeys([]);
