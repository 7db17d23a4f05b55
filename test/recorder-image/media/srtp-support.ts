/** What the SRTP tests share: keys, and a sender of SRTP. */
import { createSecretKey, type KeyObject } from 'node:crypto';
import { payloadStart, sequence, ssrc } from '../../../recorder-image/src/media/rtp.ts';
import { deriveSessionKeys, SRTP_TRANSFORMS } from '../../../recorder-image/src/media/srtp-transform.ts';
import { SRTP_SUITES, type SrtpKeying, type SrtpSuite } from '../../../recorder-image/src/sdp/crypto.ts';

export const SUITES = Object.keys(SRTP_SUITES) as SrtpSuite[];

/** A keying with one key; the same seed, the same key. */
export function keyingOf(suite: SrtpSuite, seed: number, mki?: Uint8Array): SrtpKeying {
  const { keyBytes, saltBytes } = SRTP_SUITES[suite];
  const bytes = Buffer.from(
    Array.from({ length: keyBytes + saltBytes }, (_, index) => (index * seed) & 0xff),
  );
  const masterKey = { keyAndSalt: createSecretKey(bytes), ...(mki && { mki }) };
  return { suite, masterKeys: [masterKey], keyDerivationRateBits: 0 };
}

export function keyAndSaltOf({ masterKeys: [masterKey] }: SrtpKeying): KeyObject {
  if (masterKey === undefined) throw new Error('a keying has a key');
  return masterKey.keyAndSalt;
}

/** An RTP packet protected with the keying's first key. */
export function protectRtp(keying: SrtpKeying, packet: Buffer, rollovers = 0): Buffer {
  const { suite, masterKeys, keyDerivationRateBits } = keying;
  const { tagBytes, tagFollowsCiphertext, seal } = SRTP_TRANSFORMS[suite];
  const start = payloadStart(packet, packet.length);
  const index = rollovers * 0x1_0000 + sequence(packet);
  const period = keyDerivationRateBits === 0 ? 0 : Math.floor(index / 2 ** keyDerivationRateBits);
  const after = Buffer.alloc(tagFollowsCiphertext ? 0 : 4);
  if (!tagFollowsCiphertext) after.writeUInt32BE(rollovers);
  const before = packet.subarray(0, start);
  const { ciphertext, tag } = seal(
    {
      keys: deriveSessionKeys(suite, keyAndSaltOf(keying), 'rtp', period),
      ssrc: ssrc(packet),
      index,
      before,
      after,
      tagBytes: tagBytes.rtp,
    },
    packet.subarray(start),
  );
  const mki = masterKeys[0]?.mki ?? new Uint8Array(0);
  return Buffer.concat([before, ciphertext, ...(tagFollowsCiphertext ? [tag, mki] : [mki, tag])]);
}

/** The plain offer as RTP/SAVP, with a key for each m-line. */
export function secured(sdp: string, keyings: readonly SrtpKeying[]): string {
  let stream = 0;
  return sdp.replaceAll('RTP/AVP', 'RTP/SAVP').replace(/a=label:/g, (label) => {
    const keying = keyings[stream++] as SrtpKeying;
    const key = keyAndSaltOf(keying).export().toString('base64');
    return `a=crypto:1 ${keying.suite} inline:${key}\r\n${label}`;
  });
}
