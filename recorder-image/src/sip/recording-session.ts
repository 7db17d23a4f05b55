/**
 * One recording session: from an accepted INVITE until its BYE. It owns the streams, the spool entry and the answer.
 */
import { isIP } from 'node:net';
import type { Logger } from 'pino';
import type { MediaCapture, StreamCounters } from '../media/capture.ts';
import { type AnswerStream, writeAnswer } from '../sdp/answer.ts';
import { chooseCodec, codecOf } from '../sdp/codecs.ts';
import { type MLine, type PayloadType, readOffer, type SdpOffer, streamLabels } from '../sdp/offer.ts';
import { findMetadata } from '../siprec/metadata.ts';
import { type Ending, type SessionEventOf, STREAM_NOT_RECORDED } from '../storage/session-record.ts';
import type { Spool, SpoolEntry } from '../storage/spool.ts';
import { type Body, readBody } from './mime.ts';

/** The offer has no stream that this recorder can record: answered 488. */
export class NothingToRecordError extends Error {
  constructor(offer: SdpOffer) {
    super(`no stream of the offer can be recorded: ${offer.mLines.map(describe).join('; ')}`);
    this.name = 'NothingToRecordError';
  }
}

/** A request came for a recording that has ended: answered 481. */
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
  now: () => Date;
  logger: Logger;
}

export interface SessionOpening {
  opened: SessionEventOf<'opened'>;
  /** Networks that media may come from, beside the addresses that the offer and the signalling name. */
  networks: readonly string[];
  body: Body;
  offer: SdpOffer;
  /** The offer's text, kept for the manifest. */
  sdp: string;
}

/** A stream that is being recorded; it keeps its m-line's place for the whole session. */
interface OpenStream extends AnswerStream {
  streamId: number;
  journal: string;
  label: string;
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
  #answer = '';
  #answerVersion = 0;
  #closing: Promise<string | undefined> | undefined;
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
      await session.#take(opening.body, opening.offer, opening.sdp);
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
  }

  /** The SDP answer as it stands. */
  get answer(): string {
    return this.#answer;
  }

  /** Ids of the open streams, for the capture's counters. */
  get streamIds(): number[] {
    return [...this.#streams.values(), ...this.#removed].map(({ streamId }) => streamId);
  }

  /** The 200 is on its way: from now on this is a recording. */
  answered(): Promise<void> {
    return this.#entry.append({ type: 'answered', at: this.#now() });
  }

  /** Something irregular, for the manifest; the same thing once. */
  async warn(code: string, detail: string): Promise<void> {
    const warning = `${code} ${detail}`;
    if (this.#warned.has(warning)) return;
    this.#warned.add(warning);
    await this.#entry.append({ type: 'warning', at: this.#now(), code, detail });
  }

  /**
   * A re-INVITE or UPDATE: new metadata, a new offer, or both.
   * @param raw the whole request
   * @returns the SDP to answer with; undefined if the request had no offer (RFC 3311 section 5.2)
   * @throws SdpError | NothingToRecordError if the offer cannot be taken; then nothing has changed
   * @throws SessionOverError
   */
  update(raw: string): Promise<string | undefined> {
    const result = this.#tail.then(async () => {
      if (this.#closing) throw new SessionOverError(this.id);
      const body = readBody(raw);
      const sdp = findSdp(body);
      const offer = sdp === undefined ? undefined : readOffer(sdp);
      if (offer?.mLines.some(({ port }) => port !== 0)) assertRecordable(offer);
      await this.#take(body, offer, sdp);
      return offer && this.#answer;
    });
    this.#tail = result.catch(() => {});
    return result;
  }

  /**
   * Ends the recording: streams closed, journals complete, the end written down if the disk takes it.
   * @returns the spool directory to finish; undefined if an earlier call has it
   */
  close(endedBy: Ending): Promise<string | undefined> {
    if (this.#closing) return this.#closing.then(() => undefined);
    const at = this.#now();
    this.#closing = this.#tail.then(async () => {
      const counters = await this.#closeStreams();
      await this.#entry.append({ type: 'closed', at, endedBy, counters }).catch((error) => {
        this.#dependencies.logger.error({ err: error, recordingId: this.id }, 'end not written down');
      });
      await this.#entry.close();
      return this.#entry.directory;
    });
    return this.#closing;
  }

  /** Ends a session that was never answered; nothing is left of it. */
  async discard(): Promise<void> {
    this.#closing ??= Promise.resolve(undefined);
    await this.#tail;
    await this.#closeStreams();
    await this.#entry.discard();
  }

  async #take(body: Body, offer: SdpOffer | undefined, sdp: string | undefined): Promise<void> {
    for (const { code, detail } of body.warnings) await this.warn(code, detail);
    // The offer first: the metadata that comes with it speaks of its m-lines, and has the same time.
    const at = this.#now();
    if (sdp !== undefined) await this.#entry.append({ type: 'offer', at, sdp });
    const metadata = findMetadata(body.parts);
    if (metadata) await this.#entry.addMetadata(metadata.content, at, metadata.parameters.get('charset'));
    if (!offer) return;
    const labels = streamLabels(offer.mLines);
    for (const mLine of offer.mLines) await this.#takeMLine(mLine, labels[mLine.index] as string);
    this.#renewAnswer(offer);
  }

  /** A stream keeps its port and journal as long as its m-line is offered; a removed one may come back as a new one. */
  async #takeMLine(mLine: MLine, label: string): Promise<void> {
    const payloadTypes = chooseCodec(mLine);
    const stream = this.#streams.get(mLine.index);
    if (!payloadTypes) {
      if (mLine.port !== 0) await this.warn('stream-refused', describe(mLine));
      if (!stream) return;
      this.#streams.delete(mLine.index);
      this.#removed.push(stream);
      return;
    }
    if (stream) {
      if (sameTypes(stream.payloadTypes, payloadTypes)) return;
      stream.payloadTypes = payloadTypes;
      await this.#tellStream(mLine.index, stream);
      return;
    }
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
    const { streamId, rtpPort } = await this.#dependencies.capture.openStream({
      journalPath: `${this.#entry.directory}/${journal}`,
      accept: this.#acceptedAddresses(mLine),
    });
    const opened: OpenStream = { streamId, journal, label, port: rtpPort, payloadTypes };
    this.#streams.set(mLine.index, opened);
    await this.#tellStream(mLine.index, opened);
  }

  async #tellStream(mLine: number, { label, journal, payloadTypes }: OpenStream): Promise<void> {
    const codecs = Object.fromEntries(
      payloadTypes.flatMap((type) => {
        const codec = codecOf(type);
        return codec ? [[String(type.payloadType), codec.name]] : [];
      }),
    );
    await this.#entry.append({ type: 'stream', at: this.#now(), mLine, label, journal, codecs });
  }

  /** Media gateways may send from other addresses than they receive at, but not from outside the SRC's networks. */
  #acceptedAddresses({ connectionAddress, held }: MLine): string[] {
    const { opened, networks } = this.#opening;
    const named = [opened.sourceAddress, ...(connectionAddress && !held ? [connectionAddress] : [])];
    const addresses = named.filter((address) => isIP(address) !== 0); // a host name, or rubbish, names nobody
    return [...new Set([...addresses, ...networks])];
  }

  /** RFC 3264 section 8: the version grows with every change of the answer, and only then. */
  #renewAnswer(offer: SdpOffer): void {
    const write = (version: number) =>
      writeAnswer(offer, {
        address: this.#dependencies.mediaAddress,
        sessionId: String(Date.parse(this.#opening.opened.at)),
        version,
        streams: this.#streams,
      });
    if (write(this.#answerVersion) === this.#answer) return;
    this.#answerVersion++;
    this.#answer = write(this.#answerVersion);
  }

  async #closeStreams(): Promise<SessionEventOf<'closed'>['counters']> {
    const streams = [...this.#streams.values(), ...this.#removed];
    const closed = await Promise.all(
      streams.map(
        async ({ streamId, journal }) => [journal, await this.#closeStream(streamId, journal)] as const,
      ),
    );
    return Object.fromEntries(closed);
  }

  /** A stream whose worker died counts nothing more; its journal is there. */
  async #closeStream(streamId: number, journal: string) {
    try {
      return toRecord(await this.#dependencies.capture.closeStream(streamId));
    } catch (error) {
      this.#dependencies.logger.error({ err: error, recordingId: this.id, journal }, 'stream lost');
      return {
        foreignPackets: 0,
        malformedPackets: 0,
        writeError: `capture lost: ${(error as Error).message}`,
      };
    }
  }

  #now(): string {
    return this.#dependencies.now().toISOString();
  }
}

/** The text of the SDP part. */
export const findSdp = ({ parts }: Body): string | undefined =>
  parts.find(({ contentType }) => contentType === 'application/sdp')?.content.toString('utf8');

const toRecord = ({ foreignPackets, malformedPackets, writeError }: StreamCounters) => ({
  foreignPackets,
  malformedPackets,
  ...(writeError && { writeError: `${writeError.code}: ${writeError.message}` }),
});

const sameTypes = (a: readonly PayloadType[], b: readonly PayloadType[]): boolean =>
  a.length === b.length && a.every(({ payloadType }, i) => payloadType === b[i]?.payloadType);

function assertRecordable(offer: SdpOffer): void {
  if (!offer.mLines.some(chooseCodec)) throw new NothingToRecordError(offer);
}

const describe = ({ media, protocol, formats }: MLine): string => `${media} ${protocol} ${formats.join(',')}`;
