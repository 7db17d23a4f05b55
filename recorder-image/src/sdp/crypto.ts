/**
 * SDES, the keys of SRTP in SDP (RFC 4568): `a=crypto` of an offer read and chosen, that of the answer made.
 *
 * A key is a `KeyObject` from the moment it is read: it prints and serialises as nothing, and can still be handed to
 * a worker thread. Warnings repeat nothing of a line but its tag and names that cannot be keys.
 */
import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import type { MLine } from './offer.ts';

/** Lengths in bytes: RFC 4568 section 6.2, RFC 7714. */
export const SRTP_SUITES = {
  AES_CM_128_HMAC_SHA1_80: { keyBytes: 16, saltBytes: 14 },
  AES_CM_128_HMAC_SHA1_32: { keyBytes: 16, saltBytes: 14 },
  AEAD_AES_128_GCM: { keyBytes: 16, saltBytes: 12 },
  AEAD_AES_256_GCM: { keyBytes: 32, saltBytes: 12 },
} as const;
export type SrtpSuite = keyof typeof SRTP_SUITES;

export interface SrtpMasterKey {
  /** The master key and, after it, the master salt. */
  keyAndSalt: KeyObject;
  /** Master key identifier, as every packet carries it; without it there is one key, and packets carry none. */
  mki?: Uint8Array;
}

/** All that is needed to decrypt what the SRC sends. Can be posted to a worker thread. */
export interface SrtpKeying {
  suite: SrtpSuite;
  /** At least one; if more, each has an MKI, all of the same length. */
  masterKeys: readonly SrtpMasterKey[];
  /** Session keys are derived anew every 2^n packets (RFC 4568 section 6.3.1); 0 = derived once. */
  keyDerivationRateBits: number;
}

/** One `a=crypto` line. */
export interface CryptoAttribute extends SrtpKeying {
  tag: number;
}

export interface OfferedCrypto {
  /** In the offerer's order of preference. */
  usable: readonly CryptoAttribute[];
  /** Why the other lines are not; without keys. */
  warnings: readonly string[];
}

/** The recorder's own `a=crypto`: the key that its RTCP is sent with, for the recorder sends nothing else. */
export interface AnswerCrypto {
  /** That of the accepted line. */
  tag: number;
  suite: SrtpSuite;
  keyAndSalt: KeyObject;
}

const NO_MKI = new Uint8Array(0);

/** The line cannot be used. The message must not hold what may be a key. */
class UnusableCryptoError extends Error {}

/**
 * Reads the `a=crypto` lines of one m-line.
 * @param values what follows `a=crypto:`, with single blanks
 */
export function readCrypto(values: readonly string[]): OfferedCrypto {
  const usable: CryptoAttribute[] = [];
  const warnings: string[] = [];
  for (const value of values) {
    const [tag = '', ...fields] = value.split(' ');
    try {
      if (!/^\d{1,9}$/.test(tag)) throw new UnusableCryptoError('no tag');
      if (usable.some((other) => other.tag === Number(tag))) throw new UnusableCryptoError('tag used twice');
      usable.push({ tag: Number(tag), ...readKeying(fields) });
    } catch (error) {
      if (!(error instanceof UnusableCryptoError)) throw error;
      warnings.push(`a=crypto${/^\d{1,9}$/.test(tag) ? `:${tag}` : ''} ignored: ${error.message}`);
    }
  }
  return { usable, warnings };
}

function readKeying([suiteName = '', keyParameters = '', ...sessionParameters]: string[]): SrtpKeying {
  const suite = suiteName.toUpperCase();
  if (!isSupported(suite)) throw new UnusableCryptoError(`suite ${printable(suiteName)} is not supported`);
  const masterKeys = keyParameters.split(';').map((parameter) => readMasterKey(parameter, suite));
  const mkis = masterKeys.map(({ mki = NO_MKI }) => Buffer.from(mki).toString('hex'));
  const areDistinct = new Set(mkis).size === mkis.length && !mkis.includes('');
  if (mkis.length > 1 && !(areDistinct && mkis.every(({ length }) => length === mkis[0]?.length)))
    throw new UnusableCryptoError('several keys need an MKI each, all of one length');
  return { suite, masterKeys, keyDerivationRateBits: readSessionParameters(sessionParameters) };
}

const isSupported = (suite: string): suite is SrtpSuite => Object.hasOwn(SRTP_SUITES, suite);

/** A name from the line, if it can be nothing but a name: the shortest key has 38 characters. */
const printable = (name: string): string => (/^[A-Z0-9_]{1,32}$/.test(name) ? name : '(unreadable)');

const INLINE = /^inline:([A-Za-z0-9+/]+={0,2})((?:\|[^|]*)*)$/i;
/** Kept by the sender, who has to change the key in time. */
const LIFETIME = /^(?:2\^\d{1,2}|\d{1,15})$/;
const MKI = /^(\d{1,309}):(\d{1,3})$/;
const MAX_MKI_BYTES = 128;

/** RFC 4568 section 6.1: `inline:` key and salt, then lifetime and MKI, if any. */
function readMasterKey(parameter: string, suite: SrtpSuite): SrtpMasterKey {
  const [, base64, extras = ''] = INLINE.exec(parameter) ?? [];
  if (base64 === undefined) throw new UnusableCryptoError('no inline key');
  const bytes = Buffer.from(base64, 'base64');
  const { keyBytes, saltBytes } = SRTP_SUITES[suite];
  if (bytes.length !== keyBytes + saltBytes)
    throw new UnusableCryptoError(
      `${suite} wants ${keyBytes + saltBytes} bytes of key and salt, not ${bytes.length}`,
    );
  const [mki, ...others] = extras
    .split('|')
    .slice(1)
    .filter((extra) => !LIFETIME.test(extra));
  if (others.length > 0) throw new UnusableCryptoError('the key has parameters of an unknown kind');
  const keyAndSalt = createSecretKey(bytes);
  return mki === undefined ? { keyAndSalt } : { keyAndSalt, mki: readMki(mki) };
}

function readMki(text: string): Uint8Array {
  const [, value = '', length = '0'] = MKI.exec(text) ?? [];
  const bytes = Number(length);
  const hex = value === '' ? '' : BigInt(value).toString(16);
  if (bytes < 1 || bytes > MAX_MKI_BYTES || hex === '' || hex.length > 2 * bytes)
    throw new UnusableCryptoError('the MKI cannot be read');
  return new Uint8Array(Buffer.from(hex.padStart(2 * bytes, '0'), 'hex'));
}

/**
 * RFC 4568 section 6.3. What takes protection away is refused, as is all else that changes how packets look.
 * A window hint is met by any value: the recorder's replay window is larger than any delay that audio survives.
 * @returns the key derivation rate
 */
function readSessionParameters(parameters: readonly string[]): number {
  let keyDerivationRateBits = 0;
  for (const parameter of parameters) {
    const [name = '', value = ''] = parameter.split('=');
    if (name === 'KDR' && /^\d{1,2}$/.test(value) && Number(value) <= 24)
      keyDerivationRateBits = Number(value);
    // Section 6.3.7: a minus means that who does not know the parameter may ignore it.
    else if (name !== 'WSH' && !name.startsWith('-'))
      throw new UnusableCryptoError(`session parameter ${printable(name)} is not accepted`);
  }
  return keyDerivationRateBits;
}

const SECURE_PROTOCOLS = ['RTP/SAVP', 'RTP/SAVPF'];

/** Whether the stream is SRTP. RTP/AVP is not, whatever keys come with it: they are an offer to use them (RFC 8643). */
export const isSecure = ({ protocol }: Pick<MLine, 'protocol'>): boolean =>
  SECURE_PROTOCOLS.includes(protocol);

/**
 * The keys that a stream will be sent with: the most preferred usable line (RFC 4568 section 5.1.2). The same for the
 * same offer, so that assembly finds by the offer what the answer accepted.
 * @returns undefined for RTP/AVP(F), and for RTP/SAVP(F) without a usable line: then the m-line has to be refused
 */
export const chooseCrypto = (mLine: Pick<MLine, 'protocol' | 'crypto'>): CryptoAttribute | undefined =>
  isSecure(mLine) ? mLine.crypto?.usable[0] : undefined;

/**
 * The recorder's own key for a stream. It stays as long as the suite does, or the answer would change with every offer.
 * @param previous that of the last answer, if the m-line had one
 */
export function answerCrypto({ tag, suite }: CryptoAttribute, previous?: AnswerCrypto): AnswerCrypto {
  if (previous?.suite === suite) return { ...previous, tag };
  const { keyBytes, saltBytes } = SRTP_SUITES[suite];
  return { tag, suite, keyAndSalt: createSecretKey(randomBytes(keyBytes + saltBytes)) };
}

/** The answer's `a=crypto` as sdp-transform writes it: the one place where a key becomes text. */
export const toCryptoLine = ({ tag, suite, keyAndSalt }: AnswerCrypto) => ({
  id: tag,
  suite,
  config: `inline:${keyAndSalt.export().toString('base64')}`,
});

/** Whether packets under one keying are packets under the other. */
export const sameKeying = (a: SrtpKeying, b: SrtpKeying): boolean =>
  a.suite === b.suite &&
  a.keyDerivationRateBits === b.keyDerivationRateBits &&
  a.masterKeys.length === b.masterKeys.length &&
  a.masterKeys.every(({ keyAndSalt, mki }, index) => {
    const other = b.masterKeys[index] as SrtpMasterKey;
    return keyAndSalt.equals(other.keyAndSalt) && Buffer.compare(mki ?? NO_MKI, other.mki ?? NO_MKI) === 0;
  });
