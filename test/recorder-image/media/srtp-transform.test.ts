import { createSecretKey } from 'node:crypto';
import {
  deriveSessionKeys,
  type SessionKeys,
  SRTP_TRANSFORMS,
} from '../../../recorder-image/src/media/srtp-transform.ts';
import { SRTP_SUITES } from '../../../recorder-image/src/sdp/crypto.ts';

const bytes = (hex: string): Buffer => Buffer.from(hex.replaceAll(/\s/g, ''), 'hex');

describe('deriveSessionKeys', () => {
  it('gives the keys of RFC 3711 appendix B.3', () => {
    const keyAndSalt = createSecretKey(
      bytes('E1F97A0D3E018BE0D64FA32C06DE4139 0EC675AD498AFEEBB6960B3AABE6'),
    );
    const keys = deriveSessionKeys('AES_CM_128_HMAC_SHA1_80', keyAndSalt, 'rtp');
    expect(keys.cipher.export()).toEqual(bytes('C61E7A93744F39EE10734AFE3FF7A087'));
    expect(keys.salt).toEqual(bytes('30CBBC08863D8C85D49DB34A9AE1'));
    expect(keys.authentication.export()).toEqual(bytes('CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4'));
  });

  it('gives other keys for RTCP and for another period', () => {
    const keyAndSalt = createSecretKey(Buffer.alloc(30, 7));
    const keys = [
      deriveSessionKeys('AES_CM_128_HMAC_SHA1_80', keyAndSalt, 'rtp'),
      deriveSessionKeys('AES_CM_128_HMAC_SHA1_80', keyAndSalt, 'rtcp'),
      deriveSessionKeys('AES_CM_128_HMAC_SHA1_80', keyAndSalt, 'rtp', 1),
      deriveSessionKeys('AES_CM_128_HMAC_SHA1_80', keyAndSalt, 'rtp', 2 ** 40),
    ];
    expect(new Set(keys.map(({ cipher }) => cipher.export().toString('hex'))).size).toBe(4);
    expect(new Set(keys.map(({ salt }) => salt.toString('hex'))).size).toBe(4);
  });
});

/** RFC 7714 sections 16 and 17. */
describe('AES-GCM', () => {
  const RTP =
    '8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976 69736120 696e2070 61727465 73207472 6573';
  const RTCP =
    '81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 deadbeef deadbeef deadbeef deadbeef deadbeef';
  const sessionKeys = (suite: 'AEAD_AES_128_GCM' | 'AEAD_AES_256_GCM'): SessionKeys => ({
    cipher: createSecretKey(Buffer.from(Array.from({ length: SRTP_SUITES[suite].keyBytes }, (_, at) => at))),
    authentication: createSecretKey(Buffer.alloc(20)),
    salt: bytes('51756964 2070726f 2071756f'),
  });

  it.each([
    [
      'AEAD_AES_128_GCM',
      'f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a 51c7d19b 36de3adf 8833',
      '899d7f27 beb16a91 52cf765e e4390cce',
    ],
    [
      'AEAD_AES_256_GCM',
      '32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3 b50b2a02 76ffae0f 1ba63799 b87b',
      '7aa3db36 dfffd6b0 f9bb7878 d7a76c13',
    ],
  ] as const)('%s protects RTP', (suite, ciphertext, tag) => {
    const packet = bytes(RTP);
    const context = {
      keys: sessionKeys(suite),
      ssrc: 0x5501a0b2,
      index: 0xf17b,
      before: packet.subarray(0, 12),
      after: Buffer.alloc(0),
      tagBytes: 16,
    };
    expect(SRTP_TRANSFORMS[suite].seal(context, packet.subarray(12))).toEqual({
      ciphertext: bytes(ciphertext),
      tag: bytes(tag),
    });
    expect(SRTP_TRANSFORMS[suite].open(context, bytes(ciphertext), bytes(tag))).toEqual(packet.subarray(12));
  });

  it.each([
    [
      'AEAD_AES_128_GCM',
      '63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 730d6fda 4ce09b46 86303ded 0bb9275b',
      'c84aa458 96cf4d2f c5abf872 45d9eade',
    ],
    [
      'AEAD_AES_256_GCM',
      'd50ae4d1 f5ce5d30 4ba297e4 7d470c28 2c3ece5d bffe0a50 a2eaa5c1 110555be 8415f658 c61de047 6f1b6fad',
      '1d1eb30c 4446839f 57ff6f6c b26ac3be',
    ],
  ] as const)('%s protects RTCP', (suite, ciphertext, tag) => {
    const packet = bytes(RTCP);
    const context = {
      keys: sessionKeys(suite),
      ssrc: 0x4d617273,
      index: 0x5d4,
      before: packet.subarray(0, 8),
      after: bytes('800005d4'),
      tagBytes: 16,
    };
    expect(SRTP_TRANSFORMS[suite].seal(context, packet.subarray(8))).toEqual({
      ciphertext: bytes(ciphertext),
      tag: bytes(tag),
    });
    expect(SRTP_TRANSFORMS[suite].open(context, bytes(ciphertext), bytes(tag))).toEqual(packet.subarray(8));
  });

  it('authenticates RTCP that is not encrypted', () => {
    const context = {
      keys: sessionKeys('AEAD_AES_128_GCM'),
      ssrc: 0x4d617273,
      index: 0x5d4,
      before: bytes(RTCP),
      after: bytes('000005d4'),
      tagBytes: 16,
    };
    const tag = bytes('841dd968 3dd78ec9 2ae58790 125f62b3');
    const { open } = SRTP_TRANSFORMS.AEAD_AES_128_GCM;
    expect(open(context, Buffer.alloc(0), tag)).toEqual(Buffer.alloc(0));
    expect(open({ ...context, index: 0x5d5 }, Buffer.alloc(0), tag)).toBeUndefined();
  });
});
