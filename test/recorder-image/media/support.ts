/** What the media tests share: packets, journals made of them, and a reader of WAV files. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { JournalWriter } from '../../../recorder-image/src/media/journal.ts';

export const EPOCH_MS = Date.UTC(2026, 0, 5, 12, 0, 0);

/** A directory of its own for each test of the file; gone after it. */
export function useTemporaryDirectory(): (name: string) => string {
  let directory = '';
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'siprec-media-'));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));
  return (name) => join(directory, name);
}

export interface RtpFields {
  payloadType?: number;
  sequence?: number;
  timestamp?: number;
  ssrc?: number;
  csrcs?: number[];
  /** A header extension of so many 32-bit words. */
  extensionWords?: number;
  /** Bytes of padding, with the one that counts them. */
  padding?: number;
  payload?: Uint8Array;
}

export function rtpPacket(fields: RtpFields = {}): Buffer {
  const { payloadType = 0, sequence = 1, timestamp = 0, ssrc = 0x1234, csrcs = [], payload = [] } = fields;
  const { extensionWords, padding = 0 } = fields;
  const header = Buffer.alloc(12 + 4 * csrcs.length);
  header[0] = 0x80 | (padding > 0 ? 0x20 : 0) | (extensionWords === undefined ? 0 : 0x10) | csrcs.length;
  header[1] = payloadType;
  header.writeUInt16BE(sequence & 0xffff, 2);
  header.writeUInt32BE(timestamp >>> 0, 4);
  header.writeUInt32BE(ssrc, 8);
  for (const [index, csrc] of csrcs.entries()) header.writeUInt32BE(csrc, 12 + 4 * index);
  const extension = Buffer.alloc(extensionWords === undefined ? 0 : 4 + 4 * extensionWords, 0xee);
  if (extensionWords !== undefined) extension.writeUInt16BE(extensionWords, 2);
  const tail = Buffer.alloc(padding);
  if (padding > 0) tail[padding - 1] = padding;
  return Buffer.concat([header, extension, Buffer.from(payload), tail]);
}

/** A receiver report without report blocks (RFC 3550 6.4.2). */
export const rtcpPacket = (): Buffer => Buffer.from([0x80, 201, 0, 1, 0, 0, 0x12, 0x34]);

/** An RTCP packet of any type: header, and so many words after it. */
export function rtcp(type: number, count: number, ...words: number[]): Buffer {
  const packet = Buffer.alloc(4 + 4 * words.length);
  packet.writeUInt8(0x80 | count, 0);
  packet.writeUInt8(type, 1);
  packet.writeUInt16BE(words.length, 2);
  for (const [index, word] of words.entries()) packet.writeUInt32BE(word, 4 + 4 * index);
  return packet;
}

/** A sender report without blocks; `ntpMiddle` is what receiver reports repeat. */
export const senderReport = (ssrc: number, ntpMiddle: number): Buffer =>
  rtcp(200, 0, ssrc, 0xe1e2_0000 + (ntpMiddle >>> 16), (ntpMiddle & 0xffff) * 0x1_0000, 0, 1, 160);

/** The sources that a BYE names. */
export const rtcpBye = (...ssrcs: number[]): Buffer => rtcp(203, ssrcs.length, ...ssrcs);

export interface Arrival {
  /** After `EPOCH_MS`. */
  atMs: number;
  packet: Buffer;
  rtcp?: boolean;
}

export function writeJournal(path: string, arrivals: readonly Arrival[]): void {
  const header = { address: '127.0.0.1', port: 20_000, startedAtMs: EPOCH_MS };
  const journal = new JournalWriter(path, header, ({ message }) => {
    throw new Error(message);
  });
  for (const { atMs, packet, rtcp = false } of arrivals)
    journal.append(packet, packet.length, EPOCH_MS + atMs, rtcp);
  journal.close();
}

/** Bytes of audio that tell sample and speaker apart: sample n of the speaker with this seed. */
export const speech = (seed: number, firstSample: number, samples: number): Buffer =>
  Buffer.from(Array.from({ length: samples }, (_, index) => ((firstSample + index) * 7 + seed) & 0xff));

export interface Talk {
  seed: number;
  /** 20 ms packets. */
  packets: number;
  /** Arrival of the first one. */
  atMs?: number;
  /** First sample of the speech, which goes on from packet to packet. */
  sample?: number;
  payloadType?: number;
  sequence?: number;
  timestamp?: number;
  ssrc?: number;
}

/** A sender that talks without a break, as it arrives without loss or jitter. */
export function talk({
  seed,
  packets,
  atMs = 0,
  sample = 0,
  sequence = 1,
  timestamp = 0,
  ...fields
}: Talk): Arrival[] {
  return Array.from({ length: packets }, (_, index) => ({
    atMs: atMs + 20 * index,
    packet: rtpPacket({
      ...fields,
      sequence: sequence + index,
      timestamp: timestamp + 160 * index,
      payload: speech(seed, sample + 160 * index, 160),
    }),
  }));
}

export interface Wav {
  formatTag: number;
  channels: number;
  sampleRate: number;
  bitsPerSample: number;
  /** As the `fact` chunk tells. */
  factSamples: number | undefined;
  data: Buffer;
}

/** Walks the chunks as a player does. */
export function readWav(path: string): Wav {
  const file = readFileSync(path);
  expect(file.toString('latin1', 0, 4)).toBe('RIFF');
  expect(file.readUInt32LE(4)).toBe(file.length - 8);
  expect(file.toString('latin1', 8, 12)).toBe('WAVE');
  const chunks = new Map<string, Buffer>();
  for (let at = 12; at < file.length; ) {
    const length = file.readUInt32LE(at + 4);
    chunks.set(file.toString('latin1', at, at + 4), file.subarray(at + 8, at + 8 + length));
    at += 8 + length + (length % 2);
  }
  const format = chunks.get('fmt ') as Buffer;
  return {
    formatTag: format.readUInt16LE(0),
    channels: format.readUInt16LE(2),
    sampleRate: format.readUInt32LE(4),
    bitsPerSample: format.readUInt16LE(14),
    factSamples: chunks.get('fact')?.readUInt32LE(0),
    data: chunks.get('data') as Buffer,
  };
}

/** One channel of a file with one byte per sample. */
export const channelOf = ({ data, channels }: Wav, channel: number): Buffer =>
  Buffer.from(data.filter((_, index) => index % channels === channel));
