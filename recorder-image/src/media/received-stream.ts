/** One stream on its way from the sockets into the journal: whose packets are taken, and what is counted of them. */
import { type AddressRule, addressTest } from './address-rule.ts';
import { type ProtectionPeriod, StreamDecryption } from './decrypt-journal.ts';
import { addDrops, type Drops } from './drop-log.ts';
import { JournalWriter, MAX_PACKET_BYTES } from './journal.ts';
import type { MediaSocket, Receiver, Remote, SocketHandler } from './receivers/receiver.ts';
import { isEncrypted, RtcpReporter, type RtcpTerms } from './rtcp-reporter.ts';
import { isEncryptedRtp, isRtcp, isRtp, ssrc } from './rtp.ts';
import { SourceGate, type StreamSource } from './source-gate.ts';
import { asSystemError, type SystemError } from './system-error.ts';

/** What one stream has received. Times are milliseconds since the epoch. */
export interface StreamCounters {
  rtpPackets: number;
  rtcpPackets: number;
  /** Not from an address or source that the stream accepts; not recorded. */
  foreignPackets: number;
  /** Neither RTP nor RTCP, or too long; not recorded. */
  malformedPackets: number;
  /** To be journaled in clear, and under none of the keys; not recorded. */
  unauthenticPackets?: number;
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
  /** What the kernel dropped because the stream's buffers were full, in the order of time; absent if nothing. */
  drops?: readonly Drops[];
  /** From this error on nothing of the stream was recorded. */
  writeError?: SystemError;
  /** Last error of a socket. */
  receiveError?: SystemError;
  /** Last error of sending a receiver report. */
  reportError?: SystemError;
}

/** What is counted here; the rest the reporter knows. */
type OwnCounters = Omit<StreamCounters, 'lostPackets' | 'jitterMs' | 'rtcpReports' | 'rtcpByeAt' | 'drops'>;

/** What a stream is to be, and whom it tells of what goes wrong. */
export interface ReceivedStreamOptions {
  /** Local address that the receiver binds to, for the journal. */
  address: string;
  /** Even; RTCP has the next one. */
  rtpPort: number;
  journalPath: string;
  accept: AddressRule;
  rtcp: RtcpTerms;
  /** The journal is to be in clear; what the offers so far have told of the encryption. */
  decrypt?: readonly ProtectionPeriod[];
  /** One of these must come first; none if any may. */
  knownSsrcs: readonly number[];
  /** Between two receiver reports, on average. */
  rtcpIntervalMs: number;
  /** A source is heard for the first time; of the first 31. */
  onSource: (source: StreamSource) => void;
  /** From this error on nothing is recorded. Called once. */
  onWriteError: (error: SystemError) => void;
  /** Of a socket; the first one only. */
  onReceiveError: (error: SystemError) => void;
  /** The kernel has dropped so many packets. */
  onDrops: (packets: number) => void;
}

const mediaTest = (rtcp: RtcpTerms) => (isEncrypted(rtcp) ? isEncryptedRtp : isRtp);

/** One of a stream's two ports. */
class Inlet implements SocketHandler {
  readonly #stream: ReceivedStream;
  socket: MediaSocket | undefined;

  constructor(stream: ReceivedStream) {
    this.#stream = stream;
  }

  onPacket(packet: Uint8Array, length: number, arrivedAt: number, remote: Remote): void {
    this.#stream.take(packet, length, arrivedAt, remote, this.socket);
  }

  onDrops(packets: number, from: number, to: number): void {
    this.#stream.noteDrops(packets, from, to);
  }

  onError(error: SystemError): void {
    this.#stream.noteReceiveError(error);
  }
}

export class ReceivedStream {
  readonly #options: ReceivedStreamOptions;
  /** Times are told from the monotonic clock: steps of the wall clock don't shift a stream. */
  readonly #originMs = Date.now() - performance.now();
  readonly #sockets: MediaSocket[] = [];
  readonly #drops: Drops[] = [];
  readonly #counters: OwnCounters = {
    rtpPackets: 0,
    rtcpPackets: 0,
    foreignPackets: 0,
    malformedPackets: 0,
    bytes: 0,
  };
  readonly #sources: SourceGate;
  #decryption: StreamDecryption | undefined;
  #accepts: (address: string) => boolean;
  #isMedia: (packet: Uint8Array, length: number) => boolean;
  /** There as soon as the ports are. */
  #journal: JournalWriter | undefined;
  #reporter: RtcpReporter | undefined;

  /**
   * Binds both sockets and creates the journal.
   * @throws NodeJS.ErrnoException of whatever could not be had; then nothing is left open
   */
  static async open(receiver: Receiver, options: ReceivedStreamOptions): Promise<ReceivedStream> {
    const stream = new ReceivedStream(options);
    try {
      await stream.#open(receiver);
    } catch (error) {
      await stream.#closeSockets();
      throw error;
    }
    return stream;
  }

  private constructor(options: ReceivedStreamOptions) {
    this.#options = options;
    this.#accepts = addressTest(options.accept);
    this.#isMedia = mediaTest(options.rtcp);
    this.#sources = new SourceGate(options.knownSsrcs, options.onSource);
    if (options.decrypt) this.#decryption = new StreamDecryption(options.decrypt);
  }

  async #open(receiver: Receiver): Promise<void> {
    const { address, rtpPort, journalPath, rtcp, rtcpIntervalMs, onWriteError } = this.#options;
    for (const port of [rtpPort, rtpPort + 1]) {
      const inlet = new Inlet(this);
      inlet.socket = await receiver.open(port, inlet);
      this.#sockets.push(inlet.socket);
    }
    const startedAtMs = Math.floor(this.#originMs + performance.now());
    this.#journal = new JournalWriter(journalPath, { address, port: rtpPort, startedAtMs }, (error) => {
      this.#counters.writeError = error;
      onWriteError(error);
    });
    const rtcpSocket = this.#sockets[1] as MediaSocket;
    this.#reporter = new RtcpReporter(rtcpIntervalMs, rtcpSocket, rtcp, (error) => {
      this.#counters.reportError = asSystemError(error);
    });
  }

  get receiveBufferBytes(): number {
    return this.#sockets[0]?.receiveBufferBytes ?? 0;
  }

  /** A new offer: who may send from now on, and under what. What has come before is taken in as it was then. */
  async update(
    receiver: Receiver,
    { accept, rtcp, decrypt }: Pick<ReceivedStreamOptions, 'accept' | 'rtcp' | 'decrypt'>,
  ): Promise<void> {
    if (decrypt) this.#decryption?.update(decrypt); // first: media may be ahead of the signalling
    await receiver.drain(this.#sockets);
    this.#accepts = addressTest(accept);
    this.#isMedia = mediaTest(rtcp);
    this.#reporter?.update(rtcp);
  }

  /** The way of a packet; see `SocketHandler`. */
  take(
    packet: Uint8Array,
    length: number,
    arrivedAt: number,
    remote: Remote,
    socket: MediaSocket | undefined,
  ): void {
    const counters = this.#counters;
    const journal = this.#journal;
    const reporter = this.#reporter;
    if (journal === undefined || reporter === undefined || socket === undefined) return;
    if (!this.#accepts(remote.address)) {
      counters.foreignPackets++;
      return;
    }
    const rtcp = isRtcp(packet, length);
    if (length > MAX_PACKET_BYTES || !(rtcp || this.#isMedia(packet, length))) {
      counters.malformedPackets++;
      return;
    }
    if (!rtcp && !this.#sources.admits(ssrc(packet), remote.address, remote.port)) {
      counters.foreignPackets++;
      return;
    }
    const arrivalMs = this.#originMs + arrivedAt;
    if (this.#decryption) {
      const plain = this.#decryption.unprotect(packet.subarray(0, length), rtcp, arrivalMs);
      if (typeof plain === 'string') {
        if (plain === 'unauthentic') counters.unauthenticPackets = (counters.unauthenticPackets ?? 0) + 1;
        return;
      }
      journal.append(plain, plain.length, arrivalMs, rtcp);
    } else journal.append(packet, length, arrivalMs, rtcp);
    counters.bytes += length;
    if (rtcp) {
      counters.rtcpPackets++;
      reporter.onRtcp(packet.subarray(0, length), arrivalMs, remote, socket);
    } else {
      counters.rtpPackets++;
      counters.firstPacketAt ??= arrivalMs;
      counters.lastPacketAt = arrivalMs;
      reporter.onRtp(packet, arrivalMs, remote);
    }
  }

  noteDrops(packets: number, from: number, to: number): void {
    const [fromMs, toMs] = [Math.floor(this.#originMs + from), Math.ceil(this.#originMs + to)];
    addDrops(this.#drops, { fromMs, toMs, packets });
    this.#options.onDrops(packets);
  }

  noteReceiveError(error: SystemError): void {
    if (this.#counters.receiveError === undefined) this.#options.onReceiveError(error);
    this.#counters.receiveError = error;
  }

  /** Every now and then: flushes what has waited for `flushAfterMs`, and reports if it is time to. */
  tick(now: number, flushAfterMs: number): void {
    const nowMs = this.#originMs + now;
    this.#journal?.flushOlderThan(nowMs - flushAfterMs);
    this.#reporter?.tick(nowMs);
  }

  /** Takes in what the sockets still hold, and closes them and the journal. */
  async close(receiver: Receiver): Promise<StreamCounters> {
    await receiver.drain(this.#sockets);
    await this.#closeSockets();
    this.#journal?.close();
    return this.counters;
  }

  get counters(): StreamCounters {
    const { reception, reportsSent = 0, byeAt } = this.#reporter ?? {};
    return {
      ...this.#counters,
      lostPackets: reception?.lostPackets ?? 0,
      jitterMs: reception?.jitterMs ?? 0,
      rtcpReports: reportsSent,
      ...(byeAt !== undefined && { rtcpByeAt: byeAt }),
      ...(this.#drops.length > 0 && { drops: this.#drops }),
    };
  }

  async #closeSockets(): Promise<void> {
    await Promise.all(this.#sockets.map((socket) => socket.close()));
  }
}
