/**
 * Worker thread that sends the streams of a drill in real time: a thread of its own, so that neither SIP nor the
 * checking of recordings makes a packet late. `rtp-source.ts` is its other side.
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { parentPort } from 'node:worker_threads';
import { encodeRtp } from '../../local/broadworks/rtp-tone.ts';
import { PACKET_MS, PAYLOAD_BYTES, writePayload } from './voice.ts';

const HOST = '127.0.0.1';
/** PCMU (RFC 3551). */
const PAYLOAD_TYPE = 0;
/** Streams are spread over the 20 ms of a packet, which go by in so many steps. */
const STEP_MS = 4;

/** A stream by its number, from 0, and the port that it is sent from. */
export interface OpenedStream {
  stream: number;
  port: number;
}

/** A stream, and the port that it is to be sent to. */
export interface Destination {
  stream: number;
  port: number;
}

/** What was sent of a stream: when each packet went, in milliseconds since the epoch; NaN for what the system refused. */
export interface SentPackets {
  stream: number;
  sentAtMs: Float64Array;
}

interface Sender {
  stream: number;
  socket: Socket;
  port: number;
  /** When packet 0 is due. */
  startMs: number;
  sentAtMs: number[];
}

/** By stream. */
const idle = new Map<number, Socket>();
const sending = new Map<number, Sender>();
let opened = 0;

const nowMs = (): number => performance.timeOrigin + performance.now();

/** Opens the sockets of so many new streams. */
async function open(streams: number): Promise<OpenedStream[]> {
  const result: OpenedStream[] = [];
  for (let n = 0; n < streams; n++) {
    const stream = opened++;
    // Addresses are sent to as they are: no look-up between a packet and its socket.
    const socket = createSocket({
      type: 'udp4',
      lookup: (address, _options, found) => found(null, address, 4),
    });
    const listening = once(socket, 'listening'); // before it happens: with this look-up it happens at once
    socket.bind(0, HOST);
    await listening;
    idle.set(stream, socket);
    result.push({ stream, port: socket.address().port });
  }
  return result;
}

/** All streams of one call of this begin together; different calls at different steps of the 20 ms. */
function start(destinations: Destination[]): void {
  const step = (destinations[0]?.stream ?? 0) % (PACKET_MS / STEP_MS);
  const startMs = nowMs() + step * STEP_MS;
  for (const { stream, port } of destinations) {
    const socket = idle.get(stream) as Socket;
    idle.delete(stream);
    sending.set(stream, { stream, socket, port, startMs, sentAtMs: [] });
  }
}

/** Ends streams together: all that began together have sent the same number of packets. */
function stop(streams: number[]): SentPackets[] {
  return streams.map((stream) => {
    const { socket, sentAtMs } = sending.get(stream) as Sender;
    sending.delete(stream);
    socket.close();
    return { stream, sentAtMs: Float64Array.from(sentAtMs) };
  });
}

/** Each packet is due at a multiple of 20 ms from the start: lateness never adds up, what is overdue goes at once. */
function sendDue(): void {
  for (const sender of sending.values())
    while (sender.startMs + sender.sentAtMs.length * PACKET_MS <= nowMs()) sendNext(sender);
}

function sendNext({ stream, socket, port, sentAtMs }: Sender): void {
  const packet = sentAtMs.length;
  const payload = Buffer.allocUnsafe(PAYLOAD_BYTES);
  writePayload(payload, 0, stream, packet);
  const bytes = encodeRtp({
    payloadType: PAYLOAD_TYPE,
    marker: packet === 0,
    // Some streams wrap around within the first seconds.
    sequence: firstOf(stream) + packet,
    timestamp: Math.imul(firstOf(stream), 0x1_0003) + packet * PAYLOAD_BYTES,
    ssrc: 0x5000_0000 + stream,
    payload,
  });
  sentAtMs.push(nowMs());
  socket.send(bytes, port, HOST, (error) => {
    if (error) sentAtMs[packet] = Number.NaN;
  });
}

const firstOf = (stream: number): number => Math.imul(stream + 1, 0x9e37_79b1) >>> 16;

const service = { open, start, stop };
export type RtpSourceService = typeof service;

export interface RtpSourceCall {
  id: number;
  method: keyof RtpSourceService;
  argument: unknown;
}

parentPort?.on('message', async ({ id, method, argument }: RtpSourceCall) => {
  parentPort?.postMessage({ id, result: await service[method](argument as never) });
});
setInterval(sendDue, STEP_MS);
