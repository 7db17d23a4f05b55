/**
 * Worker thread that receives media: sockets, and each stream's way from them into its journal.
 * `capture.ts` is its other side.
 */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';
import { setImmediate as untilNextTurn } from 'node:timers/promises';
import { workerData } from 'node:worker_threads';
import { type AddressRule, addressTest } from './address-rule.ts';
import { type JournalWriteError, JournalWriter, MAX_PACKET_BYTES } from './journal.ts';
import { isRtcp, isRtp } from './rtp.ts';
import { sendEvent, serve } from './worker-channel.ts';

/** Asked of the kernel; it grants up to `net.core.rmem_max`. Room for some seconds in which we are not served. */
const RECEIVE_BUFFER_BYTES = 1024 * 1024;

/** Half of the second that a crash may cost, so that a late timer still keeps within it. */
const FLUSH_AFTER_MS = 500;
/** Journals fall due at different ticks, which spreads the writes. */
const FLUSH_TICK_MS = 100;

/** An error of the operating system: an errno name and the text for people. */
export type SystemError = JournalWriteError;

/** What one stream has received. Times are milliseconds since the epoch. */
export interface StreamCounters {
  rtpPackets: number;
  rtcpPackets: number;
  /** Not from an address that the stream accepts; not recorded. */
  foreignPackets: number;
  /** Neither RTP nor RTCP, or too long; not recorded. */
  malformedPackets: number;
  /** UDP payload of the packets recorded. */
  bytes: number;
  /** Of RTP packets. */
  firstPacketAt?: number;
  lastPacketAt?: number;
  /** From this error on nothing of the stream was recorded. */
  writeError?: SystemError;
  /** Last error of a socket. */
  receiveError?: SystemError;
}

export interface CaptureWorkerData {
  /** Local address to bind to. */
  address: string;
}

export interface OpenRequest {
  streamId: number;
  rtpPort: number;
  journalPath: string;
  accept: AddressRule;
}

/** Sent once for each stream and kind. */
export interface StreamErrorEvent {
  streamId: number;
  kind: 'write' | 'receive';
  error: SystemError;
}

interface Stream {
  sockets: Socket[];
  journal: JournalWriter;
  counters: StreamCounters;
  /** Milliseconds since the epoch, on a clock that never jumps while the stream lasts. */
  now: () => number;
}

const { address } = workerData as CaptureWorkerData;
const streams = new Map<number, Stream>();

async function bind(port: number): Promise<Socket> {
  const socket = createSocket({
    type: isIPv6(address) ? 'udp6' : 'udp4',
    recvBufferSize: RECEIVE_BUFFER_BYTES,
  });
  try {
    socket.bind({ address, port, exclusive: true });
    await once(socket, 'listening');
  } catch (error) {
    socket.close();
    throw error;
  }
  return socket;
}

const closeSocket = async (socket: Socket): Promise<void> => {
  socket.close();
  await once(socket, 'close');
};

/** Milliseconds since the epoch, told from the monotonic clock: steps of the wall clock don't shift a stream. */
function steadyClock(): () => number {
  const originMs = Date.now() - performance.now();
  return () => originMs + performance.now();
}

/** Binds both sockets and creates the journal. Fails with the errno of whatever could not be had. */
async function open({ streamId, rtpPort, journalPath, accept }: OpenRequest) {
  const accepts = addressTest(accept);
  const now = steadyClock();
  const counters: StreamCounters = {
    rtpPackets: 0,
    rtcpPackets: 0,
    foreignPackets: 0,
    malformedPackets: 0,
    bytes: 0,
  };
  const sockets: Socket[] = [];
  let journal: JournalWriter;
  try {
    for (const port of [rtpPort, rtpPort + 1]) sockets.push(await bind(port));
    const header = { address, port: rtpPort, startedAtMs: Math.floor(now()) };
    journal = new JournalWriter(journalPath, header, (error) => {
      counters.writeError = error;
      sendEvent({ streamId, kind: 'write', error } satisfies StreamErrorEvent);
    });
  } catch (error) {
    await Promise.all(sockets.map(closeSocket));
    throw error;
  }

  const onMessage = (packet: Buffer, remote: RemoteInfo): void => {
    if (!accepts(remote.address)) {
      counters.foreignPackets++;
      return;
    }
    const length = packet.length;
    const rtcp = isRtcp(packet, length);
    if (length > MAX_PACKET_BYTES || !(rtcp || isRtp(packet, length))) {
      counters.malformedPackets++;
      return;
    }
    const arrivalMs = now();
    counters.bytes += length;
    if (rtcp) {
      counters.rtcpPackets++;
    } else {
      counters.rtpPackets++;
      counters.firstPacketAt ??= arrivalMs;
      counters.lastPacketAt = arrivalMs;
    }
    journal.append(packet, length, arrivalMs, rtcp);
  };
  const onError = ({ code = 'EUNKNOWN', message }: NodeJS.ErrnoException): void => {
    const error = { code, message };
    if (counters.receiveError === undefined)
      sendEvent({ streamId, kind: 'receive', error } satisfies StreamErrorEvent);
    counters.receiveError = error;
  };
  for (const socket of sockets) socket.on('message', onMessage).on('error', onError);

  streams.set(streamId, { sockets, journal, counters, now });
  return { receiveBufferBytes: sockets[0]?.getRecvBufferSize() ?? 0 };
}

/**
 * Waits until the event loop has read what the kernel holds for a stream: it reads some packets of a socket per
 * turn, and the first turn may have begun before the last packet came.
 */
async function drain(counters: StreamCounters): Promise<void> {
  for (let before = -1; before < counters.bytes; ) {
    before = counters.bytes;
    await untilNextTurn();
    await untilNextTurn();
  }
}

/** Takes in what the sockets still hold, and closes them and the journal. */
async function close({ streamId }: { streamId: number }): Promise<StreamCounters> {
  const stream = streams.get(streamId);
  if (stream === undefined) throw new Error(`stream ${streamId} is not open`);
  await drain(stream.counters);
  streams.delete(streamId);
  await Promise.all(stream.sockets.map(closeSocket));
  stream.journal.close();
  return stream.counters;
}

const counters = (): Map<number, StreamCounters> =>
  new Map(Array.from(streams, ([streamId, stream]) => [streamId, stream.counters]));

const service = { open, close, counters };
export type CaptureService = typeof service;

serve(service);
setInterval(() => {
  for (const { journal, now } of streams.values()) journal.flushOlderThan(now() - FLUSH_AFTER_MS);
}, FLUSH_TICK_MS);
