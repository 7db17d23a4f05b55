/** Recordings that nobody has spoken, stored in S3 as a recorder does it. */
import { createCipheriv, createHash } from 'node:crypto';
import type { S3Client } from '@aws-sdk/client-s3';
import { recordingIdAt } from '../../helpers/manifest.ts';
import { type StoredRecording, sha256Hex, storeRecording } from '../../helpers/stored-recording.ts';

export interface SyntheticRecording extends StoredRecording {
  homeRegion: string;
  /** SHA-256 in hex of all its objects, in the order of `keys`: of what was sent, not of what anything says. */
  digests: string[];
  /** When its manifest was in S3. */
  storedAt: number;
}

export interface SyntheticOptions {
  homeRegion: string;
  /** Tells it from all others; its content follows from it. */
  number: number;
  /** Of its audio. */
  audioBytes: number;
}

/** Unlike those of any other number. */
const noise = (number: number, length: number): Buffer => {
  const key = createHash('sha256').update(`recording ${number}`).digest();
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(length));
};

/** G.711 mu-law, two channels, 8 kHz (RIFF, WAVE_FORMAT_MULAW = 7). */
function wavOf(data: Buffer): Buffer {
  const header = Buffer.alloc(46);
  header.write('RIFF', 0);
  header.writeUInt32LE(header.length - 8 + data.length, 4);
  header.write('WAVEfmt ', 8);
  header.writeUInt32LE(18, 16);
  header.writeUInt16LE(7, 20);
  header.writeUInt16LE(2, 22);
  header.writeUInt32LE(8_000, 24);
  header.writeUInt32LE(16_000, 28);
  header.writeUInt16LE(2, 32);
  header.writeUInt16LE(8, 34);
  header.write('data', 38);
  header.writeUInt32LE(data.length, 42);
  return Buffer.concat([header, data]);
}

/** Of a recording's time at which it ended, before it was stored. */
const UPLOAD_MS = 1_000;
const LENGTH_MS = 60_000;

/** Stores it as one that has just ended. */
export async function storeSynthetic(
  s3: S3Client,
  bucket: string,
  { homeRegion, number, audioBytes }: SyntheticOptions,
): Promise<SyntheticRecording> {
  const startedAt = new Date(Date.now() - UPLOAD_MS - LENGTH_MS).toISOString();
  const audio = wavOf(noise(number, audioBytes));
  const metadata = Buffer.from(
    `<recording xmlns="urn:ietf:params:xml:ns:recording:1"><!-- ${number} --></recording>`,
  );
  const callId = `drill-${number}`;
  const stored = await storeRecording(
    s3,
    bucket,
    { audio, metadata },
    {
      startedAt,
      homeRegion,
      recordingId: recordingIdAt(startedAt),
      call: { callId, correlationIds: [callId] },
    },
  );
  const contents = [audio, metadata, Buffer.from(JSON.stringify(stored.manifest))];
  return { ...stored, homeRegion, digests: contents.map(sha256Hex), storedAt: Date.now() };
}
