import { inspect } from 'node:util';
import {
  answerCrypto,
  type CryptoAttribute,
  chooseCrypto,
  readCrypto,
  SRTP_SUITES,
  type SrtpSuite,
  sameKeying,
  toCryptoLine,
} from '../../../recorder-image/src/sdp/crypto.ts';
import { mutations } from '../../fixtures/mutate.ts';

const bytesOf = (suite: SrtpSuite): number => SRTP_SUITES[suite].keyBytes + SRTP_SUITES[suite].saltBytes;
const key = (suite: SrtpSuite, seed = 1): Buffer =>
  Buffer.from(Array.from({ length: bytesOf(suite) }, (_, index) => (index * 37 + seed * 101) & 0xff));
const inline = (suite: SrtpSuite, seed = 1): string => `inline:${key(suite, seed).toString('base64')}`;

const SUITE = 'AES_CM_128_HMAC_SHA1_80';
const KEY = inline(SUITE);

function usable(value: string): CryptoAttribute {
  const {
    usable: [attribute],
    warnings,
  } = readCrypto([value]);
  expect(warnings).toEqual([]);
  if (!attribute) throw new Error(`not usable: ${value}`);
  return attribute;
}

describe('readCrypto', () => {
  it.each(Object.keys(SRTP_SUITES) as SrtpSuite[])('reads %s', (suite) => {
    const { tag, masterKeys, ...rest } = usable(`7 ${suite} ${inline(suite)}`);
    expect(tag).toBe(7);
    expect(rest).toEqual({ suite, keyDerivationRateBits: 0 });
    expect(masterKeys.map(({ keyAndSalt }) => keyAndSalt.export())).toEqual([key(suite)]);
    expect(masterKeys[0]).not.toHaveProperty('mki');
  });

  it('takes a key without its padding, and names in any case', () => {
    const suite = 'AEAD_AES_256_GCM';
    const unpadded = inline(suite).replace('=', '').replace('inline', 'INLINE');
    expect(usable(`1 ${suite.toLowerCase()} ${unpadded}`).masterKeys[0]?.keyAndSalt.export()).toEqual(
      key(suite),
    );
  });

  it.each([
    ['|2^20', undefined],
    ['|1048576', undefined],
    ['|2^20|1:4', [0, 0, 0, 1]],
    ['|66051:3', [1, 2, 3]],
    ['|0:1', [0]],
    [`|2^31|${2n ** 1023n}:128`, [0x80, ...Array<number>(127).fill(0)]],
  ])('reads lifetime and MKI: %s', (extras, mki) => {
    const [masterKey] = usable(`1 ${SUITE} ${KEY}${extras}`).masterKeys;
    expect(masterKey?.mki && [...masterKey.mki]).toEqual(mki);
  });

  it('reads several keys', () => {
    const { masterKeys } = usable(`1 ${SUITE} ${KEY}|2^20|1:2;${inline(SUITE, 2)}|2^20|2:2`);
    expect(masterKeys.map(({ keyAndSalt }) => keyAndSalt.export())).toEqual([key(SUITE), key(SUITE, 2)]);
    expect(masterKeys.map(({ mki }) => mki && [...mki])).toEqual([
      [0, 1],
      [0, 2],
    ]);
  });

  it('reads the key derivation rate, and passes over window hints and what may be ignored', () => {
    expect(usable(`1 ${SUITE} ${KEY} KDR=12 WSH=256 -NEWS=1`).keyDerivationRateBits).toBe(12);
  });

  it.each([
    [
      `1 AES_CM_256_HMAC_SHA1_80 ${KEY}`,
      'a=crypto:1 ignored: suite AES_CM_256_HMAC_SHA1_80 is not supported',
    ],
    [
      `1 AEAD_AES_256_GCM ${KEY}`,
      'a=crypto:1 ignored: AEAD_AES_256_GCM wants 44 bytes of key and salt, not 30',
    ],
    [
      `1 ${SUITE} ${KEY} UNENCRYPTED_SRTP`,
      'a=crypto:1 ignored: session parameter UNENCRYPTED_SRTP is not accepted',
    ],
    [`1 ${SUITE} ${KEY} KDR=1 UNAUTHENTICATED_SRTP`, /parameter UNAUTHENTICATED_SRTP is not accepted/],
    [`1 ${SUITE} ${KEY} UNENCRYPTED_SRTCP WSH=64`, /parameter UNENCRYPTED_SRTCP is not accepted/],
    [`1 ${SUITE} ${KEY} FEC_KEY=${KEY}`, /parameter FEC_KEY is not accepted/],
    [`1 ${SUITE} ${KEY} KDR=25`, /parameter KDR is not accepted/],
    [`1 ${SUITE} ${KEY}|1:129`, /the MKI cannot be read/],
    [`1 ${SUITE} ${KEY}|1:0`, /the MKI cannot be read/],
    [`1 ${SUITE} ${KEY}|256:1`, /the MKI cannot be read/],
    [`1 ${SUITE} ${KEY}|x`, /the MKI cannot be read/],
    [`1 ${SUITE} ${KEY}|1:4|2:4`, /parameters of an unknown kind/],
    [`1 ${SUITE} ${KEY};${inline(SUITE, 2)}`, /need an MKI each/],
    [`1 ${SUITE} ${KEY}|1:1;${inline(SUITE, 2)}|1:1`, /need an MKI each/],
    [`1 ${SUITE} ${KEY}|1:1;${inline(SUITE, 2)}|2:2`, /need an MKI each/],
    [`1 ${SUITE} ${KEY.replace('inline', 'uri')}`, /no inline key/],
    [`1 ${SUITE}`, /no inline key/],
    [`1 ${KEY}`, /suite \(unreadable\) is not supported/],
    [`x ${SUITE} ${KEY}`, 'a=crypto ignored: no tag'],
    [KEY, 'a=crypto ignored: no tag'],
    ['', 'a=crypto ignored: no tag'],
  ])('leaves out %j', (value, warning) => {
    const offered = readCrypto([value]);
    expect(offered.usable).toEqual([]);
    expect(offered.warnings).toEqual([
      typeof warning === 'string' ? warning : expect.stringMatching(warning),
    ]);
  });

  it('keeps the order of the offer, and the first of two lines with one tag', () => {
    const { usable: read, warnings } = readCrypto([
      `2 AEAD_AES_256_GCM ${inline('AEAD_AES_256_GCM')}`,
      `1 ${SUITE} ${KEY}`,
      `1 AEAD_AES_128_GCM ${inline('AEAD_AES_128_GCM')}`,
    ]);
    expect(read.map(({ tag, suite }) => [tag, suite])).toEqual([
      [2, 'AEAD_AES_256_GCM'],
      [1, SUITE],
    ]);
    expect(warnings).toEqual(['a=crypto:1 ignored: tag used twice']);
  });

  it('never shows a key, whatever becomes of the line', () => {
    const secrets = [1, 2].map((seed) => key(SUITE, seed).toString('base64'));
    const seed = Buffer.from(`1 ${SUITE} ${KEY}|2^20|1:4;${inline(SUITE, 2)}|2^20|2:4 KDR=3 WSH=64`);
    // Pieces of a key, too, as long as would matter.
    const pieces = secrets.flatMap((secret) => secret.match(/.{8}/g) ?? []);
    let usableLines = 0;
    let tries = 0;
    for (const input of mutations([seed], 11)) {
      const offered = readCrypto([input.toString('latin1')]);
      usableLines += offered.usable.length;
      const shown = inspect(offered, { depth: 9, showHidden: true }) + JSON.stringify(offered);
      expect(pieces.filter((piece) => shown.includes(piece))).toEqual([]);
      tries += 1;
      if (tries === 2000) break;
    }
    expect(usableLines).toBeGreaterThan(20);
  });
});

describe('chooseCrypto', () => {
  const crypto = readCrypto([`1 NEW_SUITE ${KEY}`, `2 ${SUITE} ${KEY}`, `3 ${SUITE} ${KEY}`]);

  it.each(['RTP/SAVP', 'RTP/SAVPF'])('takes the first usable line of %s', (protocol) => {
    expect(chooseCrypto({ protocol, crypto })?.tag).toBe(2);
    expect(chooseCrypto({ protocol })).toBeUndefined();
    expect(chooseCrypto({ protocol, crypto: readCrypto([`1 NEW_SUITE ${KEY}`]) })).toBeUndefined();
  });

  it('takes no keys for RTP/AVP', () => {
    expect(chooseCrypto({ protocol: 'RTP/AVP', crypto })).toBeUndefined();
  });
});

describe('answerCrypto', () => {
  it('makes a key of its own, and keeps it while the suite stays', () => {
    const first = answerCrypto(usable(`1 ${SUITE} ${KEY}`));
    expect(first.keyAndSalt.export()).not.toEqual(key(SUITE));
    const second = answerCrypto(usable(`4 ${SUITE} ${inline(SUITE, 2)}`), first);
    expect(second).toEqual({ tag: 4, suite: SUITE, keyAndSalt: first.keyAndSalt });
    const other = answerCrypto(usable(`4 AEAD_AES_256_GCM ${inline('AEAD_AES_256_GCM')}`), second);
    expect(other.suite).toBe('AEAD_AES_256_GCM');
    expect(other.keyAndSalt.symmetricKeySize).toBe(44);
    expect(answerCrypto(usable(`1 ${SUITE} ${KEY}`)).keyAndSalt.equals(first.keyAndSalt)).toBe(false);
  });

  it('is written as a line that can be read', () => {
    const answer = answerCrypto(usable(`3 AEAD_AES_256_GCM ${inline('AEAD_AES_256_GCM')}`));
    const { id, suite, config } = toCryptoLine(answer);
    const read = usable(`${id} ${suite} ${config}`);
    expect(read.tag).toBe(3);
    expect(read.masterKeys[0]?.keyAndSalt.equals(answer.keyAndSalt)).toBe(true);
  });
});

describe('sameKeying', () => {
  const line = `1 ${SUITE} ${KEY}|1:1`;

  it('knows the same keys under another tag or lifetime', () => {
    expect(sameKeying(usable(line), usable(`2 ${SUITE} ${KEY}|2^20|1:1`))).toBe(true);
  });

  it.each([
    `1 AES_CM_128_HMAC_SHA1_32 ${KEY}|1:1`,
    `1 ${SUITE} ${inline(SUITE, 2)}|1:1`,
    `1 ${SUITE} ${KEY}|2:1`,
    `1 ${SUITE} ${KEY}`,
    `${line} KDR=3`,
    `1 ${SUITE} ${KEY}|1:1;${inline(SUITE, 2)}|2:1`,
  ])('tells from it: %s', (other) => {
    expect(sameKeying(usable(line), usable(other))).toBe(false);
  });
});
