/** RTP streams of G.711 with a tone in each (RFC 3550, RFC 3551): what the simulator's parties "say". */
import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { pause } from '../dns-server/pause.ts';
import { CODECS, type Codec } from './g711.ts';

export const PACKET_MS = 20;
const SAMPLE_RATE = 8_000;
const SAMPLES_PER_PACKET = (SAMPLE_RATE * PACKET_MS) / 1000;
const RTP_HEADER_BYTES = 12;
/** -12 dBFS: two of them mixed do not clip. */
const AMPLITUDE = 8_192;

const LOWEST_HZ = 300;
const STEP_HZ = 10;
/** Between the tones of one pair. Odd multiples of a tone never fall on its partner, since 1365 is no multiple of 10. */
const PAIR_DISTANCE_HZ = 1_365;
const PAIRS = 135;
/** Coprime to PAIRS: calls placed one after another get tones well apart. */
const STRIDE = 37;

/** Pairs of tones from 300 to 3005 Hz, all different, 5 Hz apart at least: one pair per running call. */
export function tonePairs(): [recordedUserHz: number, otherHz: number][] {
  return Array.from({ length: PAIRS }, (_, index) => {
    const low = LOWEST_HZ + ((index * STRIDE) % PAIRS) * STEP_HZ;
    return [low, low + PAIR_DISTANCE_HZ];
  });
}

export interface RtpPacketFields {
  payloadType: number;
  marker: boolean;
  sequence: number;
  timestamp: number;
  ssrc: number;
  payload: Buffer;
}

/** RFC 3550 section 5.1, without padding, extension or CSRCs. Numbers wrap to their field's width. */
export function encodeRtp({
  payloadType,
  marker,
  sequence,
  timestamp,
  ssrc,
  payload,
}: RtpPacketFields): Buffer {
  const header = Buffer.alloc(RTP_HEADER_BYTES);
  header.writeUInt8(0x80, 0);
  header.writeUInt8((marker ? 0x80 : 0) | payloadType, 1);
  header.writeUInt16BE(sequence & 0xffff, 2);
  header.writeUInt32BE(timestamp >>> 0, 4);
  header.writeUInt32BE(ssrc, 8);
  return Buffer.concat([header, payload]);
}

/** 20 ms of the sum of sine tones, from a sample offset on. */
export function tonePayload(codec: Codec, frequenciesHz: number[], firstSample: number): Buffer {
  const { encode } = CODECS[codec];
  return Buffer.from(
    Uint8Array.from({ length: SAMPLES_PER_PACKET }, (_, i) => {
      const seconds = (firstSample + i) / SAMPLE_RATE;
      const sum = frequenciesHz.reduce((sample, hz) => sample + Math.sin(2 * Math.PI * hz * seconds), 0);
      return encode(Math.round(AMPLITUDE * sum));
    }),
  );
}

export interface RtpDestination {
  address: string;
  port: number;
}

/** One outgoing RTP stream: socket, tones and RTP state. */
export interface ToneStream {
  readonly localPort: number;
  readonly packetsSent: number;
  /** Sends the next 20 ms; the marker bit goes with the first packet after silence (RFC 3551 section 4.1). */
  sendNext(destination: RtpDestination, marker: boolean): void;
  /** Lets media time pass without sending. */
  skip(packets: number): void;
  /** Why the system refused a packet, if it did. */
  readonly error: Error | undefined;
  close(): Promise<void>;
}

/** Opens a socket on a free port of a local address; SSRC, sequence number and timestamp start at random. */
export async function openToneStream(
  address: string,
  codec: Codec,
  frequenciesHz: number[],
): Promise<ToneStream> {
  const socket: Socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  socket.bind(0, address);
  await once(socket, 'listening');
  let error: Error | undefined;
  socket.on('error', (reason) => {
    error ??= reason;
  });
  const random = randomBytes(10);
  const ssrc = random.readUInt32BE(0);
  const firstSequence = random.readUInt16BE(4);
  const firstTimestamp = random.readUInt32BE(6);
  let packetsSent = 0;
  let packetTime = 0;
  return {
    localPort: socket.address().port,
    get packetsSent() {
      return packetsSent;
    },
    get error() {
      return error;
    },
    sendNext(destination, marker) {
      const firstSample = packetTime * SAMPLES_PER_PACKET;
      const packet = encodeRtp({
        payloadType: CODECS[codec].payloadType,
        marker,
        sequence: firstSequence + packetsSent,
        timestamp: firstTimestamp + firstSample,
        ssrc,
        payload: tonePayload(codec, frequenciesHz, firstSample),
      });
      socket.send(packet, destination.port, destination.address);
      packetsSent++;
      packetTime++;
    },
    skip(packets) {
      packetTime += packets;
    },
    async close() {
      const closed = once(socket, 'close');
      socket.close();
      await closed;
    },
  };
}

/**
 * Sends `durationMs` of every stream at one packet per 20 ms, and resolves when the last 20 ms have passed,
 * or early when stopped. Each packet is due at a multiple of 20 ms from the start, so that lateness never
 * adds up: what is overdue goes out at once.
 */
export async function sendTones(
  legs: { stream: ToneStream; destination: RtpDestination }[],
  durationMs: number,
  stop: AbortSignal,
): Promise<void> {
  const packets = Math.round(durationMs / PACKET_MS);
  const startedAt = performance.now();
  for (let packet = 0; packet < packets; packet++) {
    const waitMs = startedAt + packet * PACKET_MS - performance.now();
    if (waitMs > 0) await pause(waitMs, stop);
    if (stop.aborted) return;
    for (const { stream, destination } of legs) stream.sendNext(destination, packet === 0);
  }
  await pause(Math.max(0, startedAt + packets * PACKET_MS - performance.now()), stop);
}
