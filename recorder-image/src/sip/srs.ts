/**
 * The session recording server (RFC 7866): who may call, whether there is room, and the answers.
 *
 * Every request is answered, and fast: a slow or missing answer can cost a telephone call. Metadata never decides;
 * whatever can be recorded is recorded.
 */
import { isIP } from 'node:net';
import type { Logger } from 'pino';
import { ulid } from 'ulid';
import type { DeploymentSource } from '../../../core/deployment.ts';
import { addressTest } from '../media/address-rule.ts';
import { readOffer, SdpError } from '../sdp/offer.ts';
import type { Ending, SessionEvent } from '../storage/session-record.ts';
import { TooLateError, within } from '../within.ts';
import { AnswerTimes } from './answer-times.ts';
import { COMMON_HEADERS, contact, dialogKey, lists, unsupportedExtensions } from './headers.ts';
import { missingMarks, PROFILES } from './profiles.ts';
import { RecordingDialog } from './recording-dialog.ts';
import { RecordingSession, type RecordingSessionDependencies } from './recording-session.ts';
import {
  DRAINING,
  FOREIGN,
  FULL,
  INTERVAL_TOO_SMALL,
  MERGED,
  METHOD_NOT_ALLOWED,
  NO_DIALOG,
  NOT_UNDERSTOOD,
  REGION_CLOSED,
  type Refusal,
  refusalFor,
  refuse,
  unsupported,
} from './refusal.ts';
import { readSessionBody, type SessionBody } from './session-body.ts';
import { isIntervalTooSmall } from './session-timer.ts';
import {
  type Invitation,
  type Respond,
  type SipDialog,
  type SipRequest,
  SipServerLostError,
} from './sip-server.ts';

export interface SrsOptions {
  slot: string;
  homeRegion: string;
  callCapacity: number;
  /** The SRCs that may call. */
  sources: DeploymentSource[];
  limits: CallLimits;
}

/** What ends a recording that the SRC does not end; milliseconds. */
export interface CallLimits {
  /** Without any RTP, while not on hold. */
  silenceMs: number;
  /** Without any RTP, once the SIP server has lost the dialog: no BYE can come. */
  orphanSilenceMs: number;
  /** The longest that a recording may take. */
  maxCallMs: number;
}

export interface SrsDependencies extends RecordingSessionDependencies {
  /** Takes the spool directory of every recording that ended, and the events that the disk refused. */
  finish: (directory: string, unwritten: SessionEvent[]) => void;
  /** What this recorder lacks for one more recording; rejects when it cannot tell. */
  shortages: () => Promise<string[]>;
}

/** What became of INVITEs since the start. */
export interface SrsCounters {
  answered: number;
  cancelled: number;
  /** By status. */
  refused: Record<number, number>;
}

/** An INVITE that cannot be granted is answered within 200 ms: SRCs wait as little as 50 ms, and then call elsewhere. */
const CHECK_LIMIT_MS = 150;
/** A disk that is only slow may take longer than a check, but not for ever. */
const OPENING_LIMIT_MS = 1_000;

/** What is needed of a recording that runs. */
export type RunningRecording = Pick<
  RecordingSession,
  'id' | 'sipCallId' | 'openedAt' | 'heardAt' | 'isOnHold' | 'has' | 'heard' | 'warn' | 'close'
>;

/** A recording that runs. */
interface Call {
  session: RunningRecording;
  /** See `dialogKey`. */
  key: string;
  /** Absent in a recording of a recorder that died: its dialog is lost. */
  dialog?: RecordingDialog;
  /** When its dialog was lost; milliseconds since the epoch. */
  orphanedAt?: number;
}

/** One that has its dialog. */
interface DialogCall extends Call {
  session: RecordingSession;
  dialog: RecordingDialog;
}

export class Srs {
  readonly #options: SrsOptions;
  readonly #dependencies: SrsDependencies;
  readonly #sources: { source: DeploymentSource; includes: (address: string) => boolean }[];
  /** By the key of the dialog. */
  readonly #calls = new Map<string, Call>();
  /** Keys of the INVITEs that have no answer yet. */
  readonly #answering = new Set<string>();
  /** INVITEs that are not yet calls, and will be. */
  #opening = 0;
  #draining = false;
  /** An operator has closed the region: no new calls. Those that run go on. */
  regionClosed = false;
  #onEmpty: (() => void) | undefined;
  readonly counters: SrsCounters = { answered: 0, cancelled: 0, refused: {} };
  readonly answerTimes = new AnswerTimes();

  /** @throws InvalidAddressRuleError if a network of a source is none */
  constructor(options: SrsOptions, dependencies: SrsDependencies) {
    this.#options = options;
    this.#dependencies = dependencies;
    this.#sources = options.sources.map((source) => ({ source, includes: addressTest(source.networks) }));
  }

  /** Recordings running, or being set up. */
  get active(): number {
    return this.#calls.size + this.#opening;
  }

  get draining(): boolean {
    return this.#draining;
  }

  get full(): boolean {
    return this.active >= this.#options.callCapacity;
  }

  /** Answers a request outside any dialog, other than INVITE. Never throws. */
  async onRequest(request: SipRequest, respond: Respond): Promise<void> {
    const refusal = await this.#refusalOfOther(request);
    if (refusal) respond(refusal.status, { headers: { ...COMMON_HEADERS, ...refusal.headers } });
    else respond(200, { headers: { ...COMMON_HEADERS, Contact: contact(request) } });
  }

  async #refusalOfOther(request: SipRequest): Promise<Refusal | undefined> {
    // RFC 3261 section 11.2: an OPTIONS gets the status that an INVITE would get.
    if (request.method === 'OPTIONS') return this.#refusalOf(request) ?? (await this.#shortage());
    if (!this.#sourceOf(request)) return FOREIGN;
    return request.method === 'INFO' ? NO_DIALOG : METHOD_NOT_ALLOWED; // RFC 6086 section 4.2.2
  }

  /** Answers an INVITE that starts a recording session. Never throws. */
  async onInvite(invitation: Invitation): Promise<void> {
    const { request } = invitation;
    const cameAt = performance.now();
    const logger = this.#dependencies.logger.child({ sipCallId: request.callId });
    const key = dialogKey(request);
    if (this.#calls.has(key) || this.#answering.has(key)) return this.#refuse(invitation, MERGED, logger);
    this.#answering.add(key);
    try {
      const opened = await this.#open(request, key, logger);
      if ('session' in opened) {
        this.answerTimes.record(performance.now() - cameAt);
        await this.#accept(invitation, opened, logger);
      } else this.#refuse(invitation, opened, logger);
    } catch (error) {
      this.#refuse(invitation, refusalFor(error), logger, error);
    } finally {
      this.#answering.delete(key);
      this.#checkEmpty();
    }
  }

  /** Everything before the answer. */
  async #open(request: SipRequest, key: string, logger: Logger): Promise<DialogCall | Refusal> {
    const source = this.#sourceOf(request);
    const refusal = this.#refusalOf(request);
    if (refusal || !source) return refusal ?? FOREIGN;
    const rules = PROFILES[source.profile];
    const missing = rules.marksRequired ? missingMarks(request) : [];
    if (missing.length > 0) return refuse(403, `not a recording session: no ${missing.join(', no ')}`);
    if (!request.header('Contact')) return refuse(400, 'no Contact header');
    if (isIntervalTooSmall(request)) return INTERVAL_TOO_SMALL;
    const body = readSessionBody(request.raw);
    if (body.notUnderstood.length > 0) return NOT_UNDERSTOOD;
    this.#opening++; // with the check of the capacity, before anything else can happen
    try {
      const shortage = await this.#shortage();
      if (shortage) return shortage;
      const session = await this.#openSession(request, source, body);
      const late = this.#nodeRefusal();
      if (late) {
        await session.discard();
        return late;
      }
      const dialog = new RecordingDialog(request, body, {
        session,
        takesSnapshotRequests: rules.takesSnapshotRequests && lists(request, 'Allow', 'UPDATE'),
        logger: logger.child({ recordingId: session.id }),
      });
      const call = { session, dialog, key };
      // Registered before the answer: the BYE may be there before its success is known.
      this.#calls.set(key, call);
      return call;
    } finally {
      this.#opening--;
    }
  }

  async #openSession(
    request: SipRequest,
    source: DeploymentSource,
    body: SessionBody,
  ): Promise<RecordingSession> {
    // An SRC always makes the offer (RFC 7866 section 7.1): without one there is nothing to record.
    if (body.sdp === undefined) throw new SdpError('the INVITE has no SDP offer');
    const now = this.#dependencies.now();
    const opened = {
      type: 'opened' as const,
      at: now.toISOString(),
      recordingId: ulid(now.getTime()),
      slot: this.#options.slot,
      homeRegion: this.#options.homeRegion,
      source: source.name,
      tenant: source.tenant,
      maskDigits: source.maskDigits,
      sourceAddress: request.sourceAddress,
      sipCallId: request.callId,
      correlationHeader: request.header('X-BroadWorks-Correlation-Info'),
      partyHeaders: {
        from: request.header('From') ?? '',
        to: request.header('To') ?? '',
        pAssertedIdentity: request.header('P-Asserted-Identity'),
        remotePartyId: request.header('Remote-Party-ID'),
      },
    };
    const opening = RecordingSession.open(this.#dependencies, {
      opened,
      networks: source.networks,
      journalsInClear: source.journalSrtp === 'decrypted',
      body,
      offer: readOffer(body.sdp),
    });
    try {
      return await within(OPENING_LIMIT_MS, opening, 'the recording could not be begun in time');
    } catch (error) {
      if (error instanceof TooLateError)
        opening
          .then((session) => session.discard())
          .catch((late) => this.#dependencies.logger.error({ err: late }, 'recording begun too late'));
      throw error;
    }
  }

  async #accept(invitation: Invitation, call: DialogCall, logger: Logger): Promise<void> {
    const { session, dialog } = call;
    let established: SipDialog | undefined;
    try {
      established = await invitation.accept(
        { sdp: session.answer, headers: dialog.headers(invitation.request) },
        {
          onRequest: (request, respond) => dialog.onRequest(request, respond),
          onAck: (request) => dialog.onAck(request),
          onEnd: (reason) => void this.#end(call, reason),
        },
      );
    } catch (error) {
      // The SRC may have the answer: this session goes on like the others that the SIP server lost.
      if (error instanceof SipServerLostError) return;
      await this.#discard(call);
      throw error;
    }
    if (!established) {
      this.counters.cancelled++;
      await this.#discard(call);
      return logger.info('INVITE cancelled');
    }
    this.counters.answered++;
    // Gone by now: ended by a BYE, or by us.
    if (this.#calls.get(call.key) === call) dialog.established(established);
    else established.bye();
    logger.info({ recordingId: session.id, active: this.active }, 'recording started');
  }

  /** @param reason why the SIP server gave the dialog up; undefined after a BYE */
  async #end(call: Call, reason: string | undefined): Promise<void> {
    if (reason === undefined) return this.#close(call, 'bye');
    await call.session
      .warn('ended-by-sip-server', reason)
      .catch((error) => this.#dependencies.logger.error({ err: error, reason }, 'warning not written down'));
    await this.#close(call, 'sip-server-lost');
  }

  async #close(call: Call, endedBy: Ending): Promise<void> {
    const { id: recordingId, sipCallId } = call.session;
    const logger = this.#dependencies.logger.child({ recordingId, sipCallId });
    try {
      const closed = await call.session.close(endedBy);
      if (closed === undefined) return;
      logger.info({ endedBy }, 'recording ended');
      this.#dependencies.finish(closed.directory, closed.unwritten);
    } catch (error) {
      // The journals are on disk: the next start of a recorder on this spool finishes it.
      logger.error({ err: error }, 'recording could not be closed; it stays in the spool');
      this.#dependencies.ledger.released(recordingId); // nobody works on it before that
    } finally {
      this.#forget(call);
      this.#checkEmpty();
    }
  }

  async #discard(call: DialogCall): Promise<void> {
    try {
      await call.session.discard();
    } finally {
      this.#forget(call);
    }
  }

  #forget(call: Call): void {
    if (this.#calls.get(call.key) === call) this.#calls.delete(call.key);
  }

  /** Takes a recording of a recorder that died: it goes on until its media ends, since no BYE can come. */
  adopt(recording: RunningRecording): void {
    const key = `adopted ${recording.id}`;
    this.#calls.set(key, { session: recording, key, orphanedAt: this.#now() });
  }

  /** The SIP server is gone with all its dialogs. The SRC does not know, and still sends: the recordings go on. */
  onSipServerLost(): void {
    const now = this.#now();
    for (const call of this.#calls.values()) {
      call.orphanedAt ??= now;
      call.dialog?.lost();
    }
  }

  /** Ends the recordings that are over by a limit; to be called from time to time. */
  async endOverdue(): Promise<void> {
    const now = this.#now();
    const isOverdue = (call: Call) => this.#overdue(call, now) !== undefined;
    const calls = [...this.#calls.values()].filter(isOverdue);
    if (calls.length === 0) return;
    // Only now is it worth to ask the workers when these were last heard.
    const counters = await this.#dependencies.capture.counters();
    for (const { session } of calls) session.heard(counters);
    await Promise.all(
      calls.map((call) => {
        const endedBy = this.#overdue(call, now);
        return endedBy && this.#hangUp(call, endedBy);
      }),
    );
  }

  #overdue({ session, orphanedAt }: Call, now: number): Ending | undefined {
    const { silenceMs, orphanSilenceMs, maxCallMs } = this.#options.limits;
    const { heardAt, isOnHold, openedAt } = session;
    if (orphanedAt !== undefined && now - Math.max(orphanedAt, heardAt) > orphanSilenceMs)
      return 'sip-server-lost';
    if (!isOnHold && now - heardAt > silenceMs) return 'silence';
    return now - openedAt > maxCallMs ? 'ceiling' : undefined;
  }

  /** Ends a recording from this side. */
  #hangUp(call: Call, endedBy: Ending): Promise<void> {
    call.dialog?.bye();
    return this.#close(call, call.dialog ? endedBy : 'crash');
  }

  /** No new calls from now on; resolves when the last recording has ended. */
  drain(): Promise<void> {
    this.#draining = true;
    return new Promise((resolve) => {
      this.#onEmpty = resolve;
      this.#checkEmpty();
    });
  }

  /** Ends all recordings from this side. */
  async endAll(endedBy: Ending = 'recorder'): Promise<void> {
    await Promise.all([...this.#calls.values()].map((call) => this.#hangUp(call, endedBy)));
  }

  /** Ends the recording of a stream from this side. */
  async endStream(streamId: number, endedBy: Ending): Promise<void> {
    const calls = [...this.#calls.values()].filter(({ session }) => session.has(streamId));
    await Promise.all(calls.map((call) => this.#hangUp(call, endedBy)));
  }

  #checkEmpty(): void {
    if (this.active === 0) this.#onEmpty?.();
  }

  /** What stands against any new call from this sender, as far as it is known at once. */
  #refusalOf(request: SipRequest): Refusal | undefined {
    if (!this.#sourceOf(request)) return FOREIGN;
    const missing = unsupportedExtensions(request);
    if (missing.length > 0) return unsupported(missing);
    return this.#nodeRefusal() ?? (this.full ? FULL : undefined);
  }

  /** What stands against any new call, from whomever, here. */
  #nodeRefusal(): Refusal | undefined {
    if (this.#draining) return DRAINING;
    return this.regionClosed ? REGION_CLOSED : undefined;
  }

  async #shortage(): Promise<Refusal | undefined> {
    try {
      const check = this.#dependencies.shortages();
      const shortages = await within(CHECK_LIMIT_MS, check, 'the spool does not answer');
      return shortages.length > 0 ? { status: 503, why: shortages.join(', ') } : undefined;
    } catch (error) {
      return { status: 503, why: (error as Error).message };
    }
  }

  #refuse(invitation: Invitation, { status, why, headers }: Refusal, logger: Logger, err?: unknown): void {
    this.counters.refused[status] = (this.counters.refused[status] ?? 0) + 1;
    const { sourceAddress } = invitation.request;
    logger.warn({ status, why, sourceAddress, ...(err !== undefined && { err }) }, 'INVITE refused');
    invitation.refuse(status, { headers: { ...COMMON_HEADERS, ...headers } });
  }

  #sourceOf({ sourceAddress }: SipRequest): DeploymentSource | undefined {
    if (isIP(sourceAddress) === 0) return undefined;
    return this.#sources.find(({ includes }) => includes(sourceAddress))?.source;
  }

  #now(): number {
    return this.#dependencies.now().getTime();
  }
}
