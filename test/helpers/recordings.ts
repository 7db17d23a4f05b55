/** What recordings a bucket holds, read back and checked as their readers would. */
import { createHash } from 'node:crypto';
import {
  CreateBucketCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  type S3Client,
} from '@aws-sdk/client-s3';
import { parseManifestKey, recordingPrefix } from '../../core/keys.ts';
import { type Manifest, parseManifest } from '../../core/manifest.ts';
import { checkRecording, type RecordingCheck } from '../../local/audio-check/check.ts';
import { readWav } from '../../local/audio-check/wav.ts';
import type { LogLines } from './logs.ts';
import type { Speaker, SrcCall } from './src.ts';

export interface StoredRecording {
  manifest: Manifest;
  /** By name, the manifest left out. */
  files: Map<string, Buffer>;
}

export class RecordingsBucket {
  readonly s3: S3Client;
  readonly name: string;

  constructor(s3: S3Client, name: string) {
    this.s3 = s3;
    this.name = name;
  }

  async create(): Promise<void> {
    await this.s3.send(new CreateBucketCommand({ Bucket: this.name }));
  }

  async keys(): Promise<string[]> {
    const { Contents = [] } = await this.s3.send(new ListObjectsV2Command({ Bucket: this.name }));
    return Contents.map(({ Key }) => Key as string);
  }

  async get(key: string): Promise<Buffer> {
    const { Body } = await this.s3.send(new GetObjectCommand({ Bucket: this.name, Key: key }));
    return Buffer.from((await Body?.transformToByteArray()) ?? []);
  }

  /** The recording of that id, with every file checked against size and SHA-256 of its manifest. */
  async read(recordingId: string): Promise<StoredRecording> {
    const keys = await this.keys();
    const key = keys.find((candidate) => parseManifestKey(candidate)?.recordingId === recordingId);
    if (!key) throw new Error(`no manifest of ${recordingId} in ${this.name}`);
    const manifest = parseManifest((await this.get(key)).toString(), key);
    const prefix = recordingPrefix({ ...manifest, startedAt: new Date(manifest.startedAt) });
    const files = new Map<string, Buffer>();
    for (const { name, bytes, sha256 } of manifest.files) {
      const content = await this.get(prefix + name);
      expect({ name, bytes: content.length }).toEqual({ name, bytes });
      expect({ name, sha256: createHash('sha256').update(content).digest('hex') }).toEqual({ name, sha256 });
      files.set(name, content);
    }
    const stored = keys.filter((candidate) => candidate.startsWith(prefix));
    expect(stored.sort()).toEqual([...files.keys(), 'manifest.json'].map((name) => prefix + name).sort());
    return { manifest, files };
  }

  /** The recording of a call, as soon as the recorder has uploaded it. */
  async of({ logs }: { logs: LogLines }, { facts }: SrcCall): Promise<StoredRecording> {
    const { recordingId } = await logs.find('recording started', { sipCallId: facts.sipCallId });
    await logs.find('recording is in S3', { recordingId });
    return this.read(recordingId as string);
  }
}

/** The WAV file as it sounds: who is expected to be heard in it, on which channel, for how long. */
export function audioOf(
  { files }: StoredRecording,
  channels: Pick<Speaker, 'frequenciesHz'>[],
  durationMs: number,
): RecordingCheck {
  const expected = channels.flatMap(({ frequenciesHz }, channel) =>
    frequenciesHz.map((frequencyHz) => ({ channel, frequencyHz })),
  );
  return checkRecording(readWav(files.get('audio.wav') as Buffer), { expected, durationMs });
}
