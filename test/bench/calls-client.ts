/**
 * The SRC of the call benchmark, in a process of its own: calls at a steady rate, each of a second with a little RTP.
 * Told by IPC what to do (`CallsOrder`), it answers with what came of each call (`PlacedCall[]`).
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { parse } from 'sdp-transform';
import { encodeRtp } from '../../local/broadworks/rtp-tone.ts';
import { finalOf, Src } from '../helpers/src.ts';

export interface CallsOrder {
  sipPort: number;
  calls: number;
  perSecond: number;
}

/** Times are milliseconds; the BYE's is that of its sending, since the epoch. */
export interface PlacedCall {
  sipCallId: string;
  /** From the INVITE to its 200; absent if there was none. */
  inviteMs?: number;
  byeAtMs?: number;
  /** Why it is no call. */
  failure?: string;
}

const HOST = '127.0.0.1';
const CALL_MS = 1_000;
/** One packet every 100 ms: no benchmark of media. */
const PACKETS = 10;

async function openSocket(): Promise<Socket> {
  const socket = createSocket('udp4');
  socket.bind(0, HOST);
  await once(socket, 'listening');
  return socket;
}

/** The sockets of both streams are shared by all calls: a recorder tells streams by the port that they come to. */
async function placeCall(src: Src, sockets: readonly Socket[]): Promise<PlacedCall> {
  const call = src.callFromPorts(sockets.map((socket) => socket.address().port));
  const { sipCallId } = call.facts;
  const invite = call.invite();
  const sentAt = performance.now();
  try {
    const transaction = call.send(invite);
    const answer = await finalOf(transaction);
    const inviteMs = performance.now() - sentAt;
    if (answer.status !== 200) return { sipCallId, failure: `INVITE: ${answer.status}` };
    call.answered(transaction, answer);
    const { media } = parse(answer.body.toString());
    for (let packet = 0; packet < PACKETS; packet++) {
      sockets.forEach((socket, stream) => {
        const bytes = encodeRtp({
          payloadType: 0,
          marker: packet === 0,
          sequence: packet,
          timestamp: packet * 160,
          ssrc: call.facts.callNumber * 2 + stream,
          payload: Buffer.alloc(160, packet + 1),
        });
        socket.send(bytes, media[stream]?.port ?? 0, HOST);
      });
      await pause(CALL_MS / PACKETS);
    }
    const byeAtMs = Date.now();
    const { status } = await call.bye();
    return { sipCallId, inviteMs, byeAtMs, ...(status !== 200 && { failure: `BYE: ${status}` }) };
  } catch (error) {
    return { sipCallId, failure: (error as Error).message };
  }
}

/** Each call is due at its time from the start: a slow answer makes no call late. */
async function placeCalls({ sipPort, calls, perSecond }: CallsOrder): Promise<PlacedCall[]> {
  const src = await Src.start(sipPort);
  const sockets = [await openSocket(), await openSocket()];
  const startedAt = performance.now();
  const placed: Promise<PlacedCall>[] = [];
  while (placed.length < calls) {
    const waitMs = startedAt + (placed.length * 1000) / perSecond - performance.now();
    if (waitMs > 0) await pause(waitMs);
    placed.push(placeCall(src, sockets));
  }
  const results = await Promise.all(placed);
  for (const socket of sockets) socket.close();
  await src.close();
  return results;
}

process.on('message', async (order: CallsOrder) => {
  process.send?.(await placeCalls(order));
});
