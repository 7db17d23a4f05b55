/**
 * Worker thread that receives media: sockets, and each stream's way from them into its journal.
 * `capture.ts` is its other side.
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';
import { setImmediate as untilNextTurn } from 'node:timers/promises';
import { workerData } from 'node:worker_threads';
import { type AddressRule, addressTest } from './address-rule.ts';
import { type JournalWriteError, JournalWriter, MAX_PACKET_BYTES } from './journal.ts';
import { isEncrypted, RtcpReporter, type RtcpTerms } from './rtcp-reporter.ts';
import { isEncryptedRtp, isRtcp, isRtp, ssrc } from './rtp.ts';
import { SourceGate, type StreamSource } from './source-gate.ts';
import { sendEvent, serve } from './worker-channel.ts';

/** Asked of the kernel; it grants up to `net.core.rmem_max`. Room for some seconds in which we are not served. */
const RECEIVE_BUFFER_BYTES = 1024 * 1024;

/** Half of the second that a crash may cost, so that a late timer still keeps within it. */
const FLUSH_AFTER_MS = 500;
/** Journals and receiver reports fall due at different ticks, which spreads the work. */
const TICK_MS = 100;

export type { StreamSource } from './source-gate.ts';

/** An error of the operating system: an errno name and the text for people. */
export type SystemError = JournalWriteError;

/** What one stream has received. Times are milliseconds since the epoch. */
export interface StreamCounters {
  rtpPackets: number;
  rtcpPackets: number;
  /** Not from an address or source that the stream accepts; not recorded. */
  foreignPackets: number;
  /** Neither RTP nor RTCP, or too long; not recorded. */
  malformedPackets: number;
  /** UDP payload of the packets recorded. */
  bytes: number;
  /** Of RTP packets. */
  firstPacketAt?: number;
  lastPacketAt?: number;
  /** By sequence numbers as they come; what the journal holds is counted more carefully when it is assembled. */
  lostPackets: number;
  /** Interarrival jitter (RFC 3550 6.4.1) of the source heard last. */
  jitterMs: number;
  /** Receiver reports sent. */
  rtcpReports: number;
  /** Of the last RTCP BYE. */
  rtcpByeAt?: number;
  /** From this error on nothing of the stream was recorded. */
  writeError?: SystemError;
  /** Last error of a socket. */
  receiveError?: SystemError;
  /** Last error of sending a receiver report. */
  reportError?: SystemError;
}

export interface CaptureWorkerData {
  /** Local address to bind to. */
  address: string;
  /** Between two receiver reports of a stream, on average. */
  rtcpIntervalMs: number;
}

export interface OpenRequest {
  streamId: number;
  rtpPort: number;
  journalPath: string;
  accept: AddressRule;
  rtcp: RtcpTerms;
  /** One of these must come first; none if any may. */
  knownSsrcs: readonly number[];
}

export interface UpdateRequest {
  streamId: number;
  accept: AddressRule;
  rtcp: RtcpTerms;
}

/** Sent once for each stream and kind; `reopen`: it could not be opened again after the death of its worker. */
export interface StreamErrorEvent {
  streamId: number;
  kind: 'write' | 'receive' | 'reopen';
  error: SystemError;
}

/** What a worker tells unasked. */
export type StreamEvent = StreamErrorEvent | { streamId: number; kind: 'source'; source: StreamSource };

/** What is counted here; the rest the reporter knows. */
type OwnCounters = Omit<StreamCounters, 'lostPackets' | 'jitterMs' | 'rtcpReports' | 'rtcpByeAt'>;

interface Stream {
  sockets: Socket[];
  journal: JournalWriter;
  accepts: (address: string) => boolean;
  isMedia: (packet: Uint8Array, length: number) => boolean;
  sources: SourceGate;
  counters: OwnCounters;
  reporter: RtcpReporter;
  /** Milliseconds since the epoch, on a clock that never jumps while the stream lasts. */
  now: () => number;
}

const { address, rtcpIntervalMs } = workerData as CaptureWorkerData;
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
async function open({ streamId, rtpPort, journalPath, accept, rtcp, knownSsrcs }: OpenRequest) {
  const now = steadyClock();
  const counters: OwnCounters = {
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
  const reporter = new RtcpReporter(rtcpIntervalMs, sockets[1] as Socket, rtcp, (error) => {
    counters.reportError = asSystemError(error);
  });
  const stream: Stream = {
    sockets,
    journal,
    accepts: addressTest(accept),
    isMedia: mediaTest(rtcp),
    sources: new SourceGate(knownSsrcs, (source) =>
      sendEvent({ streamId, kind: 'source', source } satisfies StreamEvent),
    ),
    counters,
    reporter,
    now,
  };
  for (const socket of sockets) receive(stream, streamId, socket);
  streams.set(streamId, stream);
  return { receiveBufferBytes: sockets[0]?.getRecvBufferSize() ?? 0 };
}

const mediaTest = (rtcp: RtcpTerms) => (isEncrypted(rtcp) ? isEncryptedRtp : isRtp);

function receive(stream: Stream, streamId: number, socket: Socket): void {
  const { journal, sources, counters, reporter, now } = stream;
  socket.on('message', (packet, remote) => {
    if (!stream.accepts(remote.address)) {
      counters.foreignPackets++;
      return;
    }
    const length = packet.length;
    const rtcp = isRtcp(packet, length);
    if (length > MAX_PACKET_BYTES || !(rtcp || stream.isMedia(packet, length))) {
      counters.malformedPackets++;
      return;
    }
    if (!rtcp && !sources.admits(ssrc(packet), remote.address, remote.port)) {
      counters.foreignPackets++;
      return;
    }
    const arrivalMs = now();
    counters.bytes += length;
    journal.append(packet, length, arrivalMs, rtcp);
    if (rtcp) {
      counters.rtcpPackets++;
      reporter.onRtcp(packet, arrivalMs, remote, socket);
    } else {
      counters.rtpPackets++;
      counters.firstPacketAt ??= arrivalMs;
      counters.lastPacketAt = arrivalMs;
      reporter.onRtp(packet, arrivalMs, remote);
    }
  });
  socket.on('error', (cause) => {
    const error = asSystemError(cause);
    if (counters.receiveError === undefined)
      sendEvent({ streamId, kind: 'receive', error } satisfies StreamErrorEvent);
    counters.receiveError = error;
  });
}

const asSystemError = ({ code = 'EUNKNOWN', message }: NodeJS.ErrnoException): SystemError => ({
  code,
  message,
});

function openStream(streamId: number): Stream {
  const stream = streams.get(streamId);
  if (stream === undefined) throw new Error(`stream ${streamId} is not open`);
  return stream;
}

function update({ streamId, accept, rtcp }: UpdateRequest): void {
  const stream = openStream(streamId);
  stream.accepts = addressTest(accept);
  stream.isMedia = mediaTest(rtcp);
  stream.reporter.update(rtcp);
}

/**
 * Waits until the event loop has read what the kernel holds for a stream: it reads some packets of a socket per
 * turn, and the first turn may have begun before the last packet came.
 */
async function drain(counters: OwnCounters): Promise<void> {
  for (let before = -1; before < counters.bytes; ) {
    before = counters.bytes;
    await untilNextTurn();
    await untilNextTurn();
  }
}

/** Takes in what the sockets still hold, and closes them and the journal. */
async function close({ streamId }: { streamId: number }): Promise<StreamCounters> {
  const stream = openStream(streamId);
  await drain(stream.counters);
  streams.delete(streamId);
  await Promise.all(stream.sockets.map(closeSocket));
  stream.journal.close();
  return countersOf(stream);
}

const countersOf = ({ counters, reporter: { reception, reportsSent, byeAt } }: Stream): StreamCounters => ({
  ...counters,
  lostPackets: reception.lostPackets,
  jitterMs: reception.jitterMs,
  rtcpReports: reportsSent,
  ...(byeAt !== undefined && { rtcpByeAt: byeAt }),
});

const counters = (): Map<number, StreamCounters> =>
  new Map(Array.from(streams, ([streamId, stream]) => [streamId, countersOf(stream)]));

const service = { open, update, close, counters };
export type CaptureService = typeof service;

serve(service);
setInterval(() => {
  for (const { journal, reporter, now } of streams.values()) {
    const nowMs = now();
    journal.flushOlderThan(nowMs - FLUSH_AFTER_MS);
    reporter.tick(nowMs);
  }
}, TICK_MS);
