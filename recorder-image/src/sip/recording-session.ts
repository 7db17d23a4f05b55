/**
 * One recording session: from an accepted INVITE until its BYE. It owns the streams, the spool entry and the answer.
 */
import { isIP } from 'node:net';
import { basename } from 'node:path';
import type { Logger } from 'pino';
import type { RecordingLedger } from '../health/recording-ledger.ts';
import type { MediaCapture, RtcpTerms, StreamCounters, StreamSource } from '../media/capture.ts';
import type { ProtectionPeriod } from '../media/decrypt-journal.ts';
import { type AnswerStream, writeAnswer } from '../sdp/answer.ts';
import { chooseCodec, codecOf, telephoneEventsOf } from '../sdp/codecs.ts';
import { type AnswerCrypto, answerCrypto, chooseCrypto } from '../sdp/crypto.ts';
import {
  type MLine,
  type PayloadType,
  readOffer,
  SdpError,
  type SdpOffer,
  streamLabels,
} from '../sdp/offer.ts';
import {
  type Ending,
  type SessionEvent,
  type SessionEventOf,
  STREAM_NOT_RECORDED,
} from '../storage/session-record.ts';
import type { Spool, SpoolEntry } from '../storage/spool.ts';
import type { SessionBody } from './session-body.ts';

/** The offer has no stream that this recorder can record: answered 488. */
export class NothingToRecordError extends Error {
  /** There is audio, but in no form that can be recorded. */
  readonly hasAudio: boolean;

  constructor(offer: SdpOffer) {
    super(`no stream of the offer can be recorded: ${offer.mLines.map(describe).join('; ')}`);
    this.name = 'NothingToRecordError';
    this.hasAudio = offer.mLines.some(({ media }) => media === 'audio');
  }
}

/** A request came for a recording that has ended: answered 487. */
export class SessionOverError extends Error {
  constructor(recordingId: string) {
    super(`recording ${recordingId} has ended`);
    this.name = 'SessionOverError';
  }
}

export interface RecordingSessionDependencies {
  capture: MediaCapture;
  spool: Spool;
  /** Where answers tell the SRC to send media. */
  mediaAddress: string;
  /** Told of each recording that begins, and of each that became none. */
  ledger: Pick<RecordingLedger, 'begun' | 'discarded' | 'released'>;
  now: () => Date;
  logger: Logger;
}

/** What a recording leaves behind. */
export interface ClosedSession {
  /** Of the spool. */
  directory: string;
  /** Events that the disk did not take: the session record lacks them. */
  unwritten: SessionEvent[];
}

export interface SessionOpening {
  opened: SessionEventOf<'opened'>;
  /** Networks that media may come from, beside the addresses that the offer and the signalling name. */
  networks: readonly string[];
  /** SRTP is decrypted before it goes into a journal. */
  journalsInClear?: boolean;
  body: SessionBody;
  offer: SdpOffer;
}

/** A stream that is being recorded; it keeps its m-line's place for the whole session. */
interface OpenStream extends AnswerStream {
  streamId: number;
  journal: string;
  label: string;
  accept: readonly string[];
  /** Journaled in clear: what the offers so far have told of its encryption. */
  decrypt?: readonly ProtectionPeriod[];
}

export class RecordingSession {
  readonly id: string;
  readonly sipCallId: string;
  readonly #dependencies: RecordingSessionDependencies;
  readonly #opening: SessionOpening;
  readonly #entry: SpoolEntry;
  /** By index of the m-line. */
  readonly #streams = new Map<number, OpenStream>();
  /** Streams whose m-line was removed: their journals belong to the recording. */
  readonly #removed: OpenStream[] = [];
  /** What has been warned of: SRCs repeat themselves with every re-INVITE. */
  readonly #warned = new Set<string>();
  /** What the SRC said last of its streams. */
  #offer: SdpOffer;
  /** Zeros are a hold only after an address: an SRC that never receives may give none from the beginning. */
  #hasHadAddress = false;
  /** What is written of the first offer while its streams are opened. */
  readonly #firstWrites: Promise<void>[] = [];
  /** Our own SDP, as it was sent last. */
  #answer = '';
  #answerVersion = 0;
  /** Our SDP was an offer, and the ACK with the answer to it has not come. */
  #offering = false;
  /** When a stream was last heard, or RTP was first expected; milliseconds since the epoch. */
  #heardAt: number;
  #closing: Promise<ClosedSession | undefined> | undefined;
  /** In-dialog requests are worked off one after the other, in the order of their arrival. */
  #tail: Promise<unknown> = Promise.resolve();

  /**
   * Opens the spool entry and a stream for every m-line that can be recorded.
   * @throws NothingToRecordError
   * @throws NoPortsError and errors with an errno `code` when ports or the disk do not give what is needed; then
   * nothing is left behind
   */
  static async open(
    dependencies: RecordingSessionDependencies,
    opening: SessionOpening,
  ): Promise<RecordingSession> {
    assertRecordable(opening.offer);
    const session = new RecordingSession(
      dependencies,
      opening,
      await dependencies.spool.begin(opening.opened),
    );
    try {
      await session.#take(opening.body, opening.offer);
      session.#answerTo(opening.offer);
      // The 200 follows at once: from now on this is a recording.
      const at = session.#now();
      dependencies.ledger.begun(session.id, at);
      await Promise.all([...session.#firstWrites, session.#entry.append({ type: 'answered', at })]);
      return session;
    } catch (error) {
      await session.discard();
      throw error;
    }
  }

  private constructor(
    dependencies: RecordingSessionDependencies,
    opening: SessionOpening,
    entry: SpoolEntry,
  ) {
    this.#dependencies = dependencies;
    this.#opening = opening;
    this.#entry = entry;
    this.id = opening.opened.recordingId;
    this.sipCallId = opening.opened.sipCallId;
    this.#offer = opening.offer;
    this.#heardAt = this.openedAt;
  }

  /** Milliseconds since the epoch. */
  get openedAt(): number {
    return Date.parse(this.#opening.opened.at);
  }

  /** The SDP answer as it stands. */
  get answer(): string {
    return this.#answer;
  }

  /** An offer of ours has no answer yet. */
  get offering(): boolean {
    return this.#offering;
  }

  /** When RTP was last heard, or first expected, as far as `heard` was told; milliseconds since the epoch. */
  get heardAt(): number {
    return this.#heardAt;
  }

  /** No stream is to send, by any of the ways to say so (RFC 3264 section 8.4). */
  get isOnHold(): boolean {
    return !this.#offer.mLines.some((mLine) => isSending(mLine) && !(mLine.held && this.#hasHadAddress));
  }

  /** Whether a stream of the capture is one of this recording. */
  has(streamId: number): boolean {
    return [...this.#streams.values(), ...this.#removed].some((stream) => stream.streamId === streamId);
  }

  /** Takes note of when the streams were last heard. */
  heard(counters: ReadonlyMap<number, StreamCounters>): void {
    const streams = [...this.#streams.values(), ...this.#removed];
    const times = streams.map(({ streamId }) => counters.get(streamId)?.lastPacketAt ?? 0);
    this.#heardAt = Math.max(this.#heardAt, ...times);
  }

  /** Something irregular, for the manifest; the same thing once. */
  async warn(code: string, detail: string): Promise<void> {
    const warning = `${code} ${detail}`;
    if (this.#warned.has(warning)) return;
    this.#warned.add(warning);
    await this.#written(this.#entry.append({ type: 'warning', at: this.#now(), code, detail }));
  }

  /** Waits for the disk; not yet before the first answer, which waits for all at once: an SRC is waiting for that. */
  async #written(write: Promise<void>): Promise<void> {
    if (this.#answer !== '') return write;
    write.catch(() => {}); // told by `open`
    this.#firstWrites.push(write);
  }

  /**
   * A re-INVITE or UPDATE: new metadata, a new offer, or both.
   * @returns the SDP of a 2xx: the answer to the offer; without one, an offer of ours to a re-INVITE (RFC 3261 section
   * 14.2) and none to an UPDATE (RFC 3311 section 5.2)
   * @throws SdpError | NothingToRecordError if the offer cannot be taken; then nothing has changed
   * @throws SessionOverError
   */
  update(method: string, body: SessionBody): Promise<string | undefined> {
    return this.#inTurn(async () => {
      const offer = body.sdp === undefined ? undefined : readOffer(body.sdp);
      if (offer?.mLines.some(({ port }) => port !== 0)) assertRecordable(offer);
      await this.#take(body, offer);
      if (offer) return this.#answerTo(offer);
      return method === 'INVITE' ? this.#makeOffer() : undefined;
    });
  }

  /**
   * The ACK of a 2xx, which has the answer to an offer of ours. One that cannot be used leaves the streams as they are.
   * @throws SessionOverError
   */
  acknowledge(body: SessionBody): Promise<void> {
    return this.#inTurn(async () => {
      if (!this.#offering) return;
      this.#offering = false;
      try {
        if (body.sdp === undefined) throw new SdpError('the ACK has no answer to our offer');
        await this.#take(body, readOffer(body.sdp));
      } catch (error) {
        if (!(error instanceof SdpError)) throw error;
        await this.warn('answer-unusable', error.message);
      }
    });
  }

  #inTurn<Result>(step: () => Promise<Result>): Promise<Result> {
    const result = this.#tail.then(() => {
      if (this.#closing) throw new SessionOverError(this.id);
      return step();
    });
    this.#tail = result.catch(() => {}); // told to the caller
    return result;
  }

  /**
   * Ends the recording: streams closed, journals complete, the end written down if the disk takes it.
   * @returns what is to be finished; undefined if an earlier call has it
   */
  close(endedBy: Ending): Promise<ClosedSession | undefined> {
    if (this.#closing) return this.#closing.then(() => undefined);
    const at = this.#now();
    const streams = () => [...this.#streams.values(), ...this.#removed];
    this.#closing = this.#tail.then(() =>
      closeRecording(this.#entry, streams(), { at, endedBy }, this.#dependencies),
    );
    return this.#closing;
  }

  /** Ends a session that was never answered; nothing is left of it. */
  async discard(): Promise<void> {
    this.#closing ??= Promise.resolve(undefined);
    await this.#tail;
    await closeStreams([...this.#streams.values(), ...this.#removed], this.id, this.#dependencies);
    await this.#entry.discard();
    this.#dependencies.ledger.discarded(this.id);
  }

  async #take({ sdp, metadata, warnings }: SessionBody, offer: SdpOffer | undefined): Promise<void> {
    for (const { code, detail } of warnings) await this.warn(code, detail);
    // The offer first: the metadata that comes with it speaks of its m-lines, and has the same time.
    const at = this.#now();
    if (sdp !== undefined) await this.#written(this.#entry.append({ type: 'offer', at, sdp }));
    if (metadata) {
      const charset = metadata.parameters.get('charset');
      await this.#written(this.#entry.addMetadata(metadata.content, at, charset));
    }
    if (!offer) return;
    if (this.isOnHold) this.#heardAt = Date.parse(at); // silence counts from the end of the hold
    this.#offer = offer;
    this.#hasHadAddress ||= offer.mLines.some(({ held }) => !held);
    const labels = streamLabels(offer.mLines);
    for (const mLine of offer.mLines) await this.#takeMLine(mLine, labels[mLine.index] as string);
  }

  /** A stream keeps its port and journal as long as its m-line is offered; a removed one may come back as a new one. */
  async #takeMLine(mLine: MLine, label: string): Promise<void> {
    const payloadTypes = chooseCodec(mLine);
    const stream = this.#streams.get(mLine.index);
    for (const reason of mLine.crypto?.warnings ?? []) await this.warn('crypto-ignored', reason);
    if (!payloadTypes) {
      if (mLine.port !== 0) await this.warn('stream-refused', describe(mLine));
      if (!stream) return;
      this.#streams.delete(mLine.index);
      this.#removed.push(stream);
      return;
    }
    if (stream) return this.#renewStream(stream, mLine, payloadTypes);
    try {
      await this.#openStream(mLine, label, payloadTypes);
    } catch (error) {
      if (this.#answer === '') throw error; // another recorder can take the call
      this.#dependencies.logger.error({ err: error, recordingId: this.id, label }, 'stream not recorded');
      await this.warn(STREAM_NOT_RECORDED, `stream ${label}: ${(error as Error).message}`);
    }
  }

  async #openStream(mLine: MLine, label: string, payloadTypes: PayloadType[]): Promise<void> {
    const journal = this.#entry.nextJournal();
    const accept = this.#acceptedAddresses(mLine);
    const crypto = ownCrypto(mLine);
    const decrypt = this.#opening.journalsInClear ? [this.#periodFrom(mLine)] : undefined;
    const { streamId, rtpPort } = await this.#dependencies.capture.openStream({
      journalPath: `${this.#entry.directory}/${journal}`,
      accept,
      rtcp: rtcpTerms(mLine, payloadTypes, crypto),
      ...(decrypt && { decrypt }),
      onSource: (source) => this.#tellSource(journal, source),
    });
    const opened: OpenStream = {
      streamId,
      journal,
      label,
      port: rtpPort,
      payloadTypes,
      accept,
      crypto,
      ...(decrypt && { decrypt }),
    };
    this.#streams.set(mLine.index, opened);
    await this.#tellStream(mLine, opened);
  }

  /** The next offer of a stream: codecs, keys and addresses may have changed. */
  async #renewStream(stream: OpenStream, mLine: MLine, payloadTypes: PayloadType[]): Promise<void> {
    const before = { ...stream };
    stream.payloadTypes = payloadTypes;
    stream.crypto = ownCrypto(mLine, stream.crypto);
    // What was accepted stays so: media and signalling overtake each other.
    stream.accept = [...new Set([...stream.accept, ...this.#acceptedAddresses(mLine)])];
    if (stream.decrypt) stream.decrypt = [...stream.decrypt, this.#periodFrom(mLine)];
    const { streamId, accept, crypto, decrypt } = stream;
    const isChanged =
      !sameTypes(before.payloadTypes, payloadTypes) ||
      before.accept.length !== accept.length ||
      (before.crypto === undefined) !== (crypto === undefined);
    if (isChanged) await this.#tellStream(mLine, stream);
    await this.#dependencies.capture.updateStream(streamId, {
      accept,
      rtcp: rtcpTerms(mLine, payloadTypes, crypto),
      ...(decrypt && { decrypt }),
    });
  }

  #periodFrom(mLine: MLine): ProtectionPeriod {
    const keying = chooseCrypto(mLine);
    return { fromMs: Date.parse(this.#now()), ...(keying && { keying }) };
  }

  async #tellStream(mLine: MLine, stream: OpenStream): Promise<void> {
    const { label, journal, payloadTypes, port, accept, crypto, decrypt } = stream;
    const codecs = Object.fromEntries(
      payloadTypes.flatMap((type) => {
        const codec = codecOf(type);
        return codec ? [[String(type.payloadType), codec.name]] : [];
      }),
    );
    const telephoneEvents = Object.fromEntries(telephoneEventsOf(mLine));
    const { index } = mLine;
    const told = this.#entry.append({
      type: 'stream',
      at: this.#now(),
      mLine: index,
      label,
      journal,
      codecs,
      telephoneEvents,
      rtpPort: port,
      accept: [...accept],
      ...(crypto && { encrypted: true }),
      ...(decrypt && { decrypted: true }),
    });
    await this.#written(told);
  }

  #tellSource(journal: string, source: StreamSource): void {
    if (this.#closing) return;
    this.#entry.append({ type: 'source', at: this.#now(), journal, ...source }).catch((error) => {
      this.#dependencies.logger.warn(
        { err: error, recordingId: this.id, journal },
        'source not written down',
      );
    });
  }

  /** Media gateways may send from other addresses than they receive at, but not from outside the SRC's networks. */
  #acceptedAddresses({ connectionAddress, held }: MLine): string[] {
    const { opened, networks } = this.#opening;
    const named = [opened.sourceAddress, ...(connectionAddress && !held ? [connectionAddress] : [])];
    const addresses = named.filter((address) => isIP(address) !== 0); // a host name, or rubbish, names nobody
    return [...new Set([...addresses, ...networks])];
  }

  #answerTo(offer: SdpOffer): string {
    this.#offering = false;
    return this.#renewAnswer(offer);
  }

  /** The streams as they are, ready to be received; none is added (RFC 7866 section 7.2). */
  #makeOffer(): string {
    this.#offering = true;
    const mLines = this.#offer.mLines.map((mLine) => ({ ...mLine, direction: 'sendonly' as const }));
    return this.#renewAnswer({ ...this.#offer, mLines });
  }

  /** RFC 3264 section 8: the version grows with every change of our SDP, and only then. */
  #renewAnswer(offer: SdpOffer): string {
    const write = (version: number) =>
      writeAnswer(offer, {
        address: this.#dependencies.mediaAddress,
        sessionId: String(Date.parse(this.#opening.opened.at)),
        version,
        streams: this.#streams,
      });
    if (write(this.#answerVersion) !== this.#answer) {
      this.#answerVersion++;
      this.#answer = write(this.#answerVersion);
    }
    return this.#answer;
  }

  #now(): string {
    return this.#dependencies.now().toISOString();
  }
}

type Closing = Pick<RecordingSessionDependencies, 'capture' | 'logger'>;
type StreamToClose = Pick<OpenStream, 'streamId' | 'journal'>;

/** Closes the streams of a recording and then its session record, with the end in it if the disk takes that. */
export async function closeRecording(
  entry: SpoolEntry,
  streams: readonly StreamToClose[],
  end: Pick<SessionEventOf<'closed'>, 'at' | 'endedBy'>,
  dependencies: Closing,
): Promise<ClosedSession> {
  const recordingId = basename(entry.directory);
  const counters = await closeStreams(streams, recordingId, dependencies);
  const closed: SessionEvent = { type: 'closed', ...end, counters };
  const unwritten: SessionEvent[] = [];
  await entry.append(closed).catch((error) => {
    dependencies.logger.error({ err: error, recordingId }, 'end not written down');
    unwritten.push(closed);
  });
  await entry.close();
  return { directory: entry.directory, unwritten };
}

/** What they counted, by journal, as the session record wants it. */
async function closeStreams(
  streams: readonly StreamToClose[],
  recordingId: string,
  { capture, logger }: Closing,
): Promise<SessionEventOf<'closed'>['counters']> {
  const closed = await Promise.all(
    streams.map(async ({ streamId, journal }) => {
      try {
        return [journal, toRecord(await capture.closeStream(streamId))] as const;
      } catch (error) {
        // A stream that was lost with its worker counts nothing more; its journal is there.
        logger.error({ err: error, recordingId, journal }, 'stream lost');
        const writeError = `capture lost: ${(error as Error).message}`;
        return [journal, { foreignPackets: 0, malformedPackets: 0, writeError }] as const;
      }
    }),
  );
  return Object.fromEntries(closed);
}

const ownCrypto = (mLine: MLine, previous?: AnswerCrypto): AnswerCrypto | undefined => {
  const chosen = chooseCrypto(mLine);
  return chosen && answerCrypto(chosen, previous);
};

const rtcpTerms = (
  { connectionAddress, held, rtcpPort }: MLine,
  payloadTypes: readonly PayloadType[],
  srtcp: AnswerCrypto | undefined,
): RtcpTerms => ({
  ...(connectionAddress && !held && { peer: { address: connectionAddress, port: rtcpPort } }),
  clockRates: new Map(payloadTypes.map(({ payloadType, clockRate }) => [payloadType, clockRate])),
  ...(srtcp && { srtcp }),
});

const isSending = (mLine: MLine): boolean =>
  chooseCodec(mLine) !== undefined && ['sendrecv', 'sendonly'].includes(mLine.direction);

const toRecord = ({
  foreignPackets,
  malformedPackets,
  unauthenticPackets,
  drops,
  writeError,
}: StreamCounters) => ({
  foreignPackets,
  malformedPackets,
  ...(unauthenticPackets !== undefined && { unauthenticPackets }),
  ...(drops && { drops: [...drops] }),
  ...(writeError && { writeError: `${writeError.code}: ${writeError.message}` }),
});

const sameTypes = (a: readonly PayloadType[], b: readonly PayloadType[]): boolean =>
  a.length === b.length && a.every(({ payloadType }, i) => payloadType === b[i]?.payloadType);

function assertRecordable(offer: SdpOffer): void {
  if (!offer.mLines.some(chooseCodec)) throw new NothingToRecordError(offer);
}

const describe = ({ media, protocol, formats }: MLine): string => `${media} ${protocol} ${formats.join(',')}`;
