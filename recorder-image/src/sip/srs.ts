/**
 * The session recording server (RFC 7866): who may call, whether there is room, and the answers.
 *
 * Every request is answered, and fast: a slow or missing answer can cost a telephone call. Metadata never decides;
 * whatever can be recorded is recorded.
 */
import { isIP } from 'node:net';
import type { Logger } from 'pino';
import { ulid } from 'ulid';
import { addressTest } from '../media/address-rule.ts';
import { readOffer, SdpError } from '../sdp/offer.ts';
import type { Ending } from '../storage/session-record.ts';
import { readBody } from './mime.ts';
import {
  findSdp,
  NothingToRecordError,
  RecordingSession,
  type RecordingSessionDependencies,
  SessionOverError,
} from './recording-session.ts';
import {
  type Invitation,
  type Respond,
  type SipDialog,
  type SipRequest,
  SipServerLostError,
} from './sip-server.ts';

/** An SRC that may call, as in the deployment file. */
export interface AllowedSource {
  name: string;
  networks: string[];
  tenant?: string;
}

export interface SrsOptions {
  slot: string;
  homeRegion: string;
  callCapacity: number;
  sources: AllowedSource[];
  /** Version of the recorder, for `User-Agent` style headers. */
  version: string;
}

export interface SrsDependencies extends RecordingSessionDependencies {
  /** Takes the spool directory of every recording that ended. */
  finish: (directory: string) => void;
  /** What this recorder lacks for one more recording; rejects when it cannot tell. */
  shortages: () => Promise<string[]>;
}

/** Why a request is not granted. */
interface Refusal {
  status: number;
  why: string;
  headers?: Record<string, string>;
}

/** What became of INVITEs since the start. */
export interface SrsCounters {
  answered: number;
  cancelled: number;
  /** By status. */
  refused: Record<number, number>;
}

/** Seconds that an SRC should stay away from a recorder that is going. */
const DRAIN_RETRY_AFTER = '60';

const ALLOW = 'INVITE, ACK, BYE, CANCEL, UPDATE, INFO, OPTIONS';
const ACCEPT = 'application/sdp, multipart/mixed, application/rs-metadata+xml, application/rs-metadata';

/** Option tags that an SRC may require of us (RFC 3261 section 8.2.2.3). */
const SUPPORTED_EXTENSIONS = ['siprec', 'timer'];

export class Srs {
  readonly #options: SrsOptions;
  readonly #dependencies: SrsDependencies;
  readonly #sources: { source: AllowedSource; includes: (address: string) => boolean }[];
  readonly #sessions = new Map<string, RecordingSession>();
  readonly #byes = new Map<string, () => void>();
  /** Sessions whose dialog the SIP server forgot, and since when: no BYE will come. */
  readonly #orphans = new Map<RecordingSession, number>();
  /** INVITEs that are not yet sessions. */
  #opening = 0;
  #draining = false;
  #onEmpty: (() => void) | undefined;
  readonly counters: SrsCounters = { answered: 0, cancelled: 0, refused: {} };

  /** @throws InvalidAddressRuleError if a network of a source is none */
  constructor(options: SrsOptions, dependencies: SrsDependencies) {
    this.#options = options;
    this.#dependencies = dependencies;
    this.#sources = options.sources.map((source) => ({ source, includes: addressTest(source.networks) }));
  }

  /** Recordings running, or being set up. */
  get active(): number {
    return this.#sessions.size + this.#opening;
  }

  get draining(): boolean {
    return this.#draining;
  }

  get full(): boolean {
    return this.active >= this.#options.callCapacity;
  }

  /** RFC 3261 section 11.2: an OPTIONS gets the status that an INVITE would get. Never throws. */
  async onOptions(request: SipRequest, respond: Respond): Promise<void> {
    const refusal = this.#refusalOf(request) ?? (await this.#shortage());
    if (refusal) respond(refusal.status, { headers: { ...this.#commonHeaders(), ...refusal.headers } });
    else respond(200, { headers: { ...this.#commonHeaders(), Contact: contact(request), Accept: ACCEPT } });
  }

  /** Answers an INVITE that starts a recording session. Never throws. */
  async onInvite(invitation: Invitation): Promise<void> {
    const logger = this.#dependencies.logger.child({ sipCallId: invitation.request.callId });
    try {
      const opened = await this.#open(invitation.request);
      if (opened instanceof RecordingSession)
        await this.#accept(invitation, opened, logger.child({ recordingId: opened.id }));
      else this.#refuse(invitation, opened, logger);
    } catch (error) {
      this.#refuse(invitation, refusalFor(error), logger, error);
    } finally {
      this.#checkEmpty();
    }
  }

  /** Everything before the answer. */
  async #open(request: SipRequest): Promise<RecordingSession | Refusal> {
    const source = this.#sourceOf(request);
    const refusal = this.#refusalOf(request);
    if (refusal || !source) return refusal ?? FOREIGN;
    if (!request.header('Contact')) return refuse(400, 'no Contact header');
    this.#opening++; // with the check of the capacity, before anything else can happen
    try {
      const shortage = await this.#shortage();
      if (shortage) return shortage;
      const session = await this.#openSession(request, source);
      if (this.#draining) {
        await session.discard();
        return DRAINING;
      }
      // Registered before the answer: the BYE may be there before its success is known.
      this.#sessions.set(session.id, session);
      return session;
    } finally {
      this.#opening--;
    }
  }

  #openSession(request: SipRequest, source: AllowedSource): Promise<RecordingSession> {
    const body = readBody(request.raw);
    const sdp = findSdp(body);
    if (sdp === undefined) throw new SdpError('the INVITE has no SDP offer');
    const now = this.#dependencies.now();
    const opened = {
      type: 'opened' as const,
      at: now.toISOString(),
      recordingId: ulid(now.getTime()),
      slot: this.#options.slot,
      homeRegion: this.#options.homeRegion,
      source: source.name,
      tenant: source.tenant,
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
    return RecordingSession.open(this.#dependencies, {
      opened,
      networks: source.networks,
      body,
      offer: readOffer(sdp),
      sdp,
    });
  }

  async #accept(invitation: Invitation, session: RecordingSession, logger: Logger): Promise<void> {
    const headers = { ...this.#commonHeaders(), Contact: contact(invitation.request), Accept: ACCEPT };
    let dialog: SipDialog | undefined;
    try {
      await session.answered();
      dialog = await invitation.accept(
        { sdp: session.answer, headers },
        {
          onModify: (request, respond) => void this.#update(session, request, respond, logger),
          onUpdate: (request, respond) => void this.#update(session, request, respond, logger),
          onEnd: (reason) => void this.#end(session, reason, logger),
        },
      );
    } catch (error) {
      // The SRC may have the answer: this session goes on like the others that the SIP server lost.
      if (error instanceof SipServerLostError) return;
      await this.#discard(session);
      throw error;
    }
    if (!dialog) {
      this.counters.cancelled++;
      await this.#discard(session);
      return logger.info('INVITE cancelled');
    }
    this.counters.answered++;
    // Gone by now: ended by a BYE, or by us.
    if (this.#sessions.has(session.id)) this.#byes.set(session.id, dialog.bye);
    else dialog.bye();
    logger.info({ active: this.active }, 'recording started');
  }

  async #update(
    session: RecordingSession,
    request: SipRequest,
    respond: Respond,
    logger: Logger,
  ): Promise<void> {
    const headers = { ...this.#commonHeaders(), Contact: contact(request) };
    try {
      const sdp = await session.update(request.raw);
      // A re-INVITE without an offer wants ours (RFC 3261 section 14.2); an UPDATE without one gets none.
      const body = sdp ?? (request.method === 'INVITE' ? session.answer : undefined);
      respond(200, body ? { headers: { ...headers, 'Content-Type': 'application/sdp' }, body } : { headers });
    } catch (error) {
      const refusal = refusalInDialog(error);
      logger.warn(
        { err: error, method: request.method, status: refusal.status },
        'in-dialog request refused',
      );
      respond(refusal.status, { headers: { ...headers, ...refusal.headers } });
    }
  }

  /** @param reason why the SIP server gave the dialog up; undefined after a BYE */
  async #end(session: RecordingSession, reason: string | undefined, logger: Logger): Promise<void> {
    if (reason === undefined) return this.#close(session, 'bye', logger);
    await session
      .warn('ended-by-sip-server', reason)
      .catch((error) => logger.error({ err: error, reason }, 'warning not written down'));
    await this.#close(session, 'sip-server-lost', logger);
  }

  async #close(
    session: RecordingSession,
    endedBy: Ending,
    logger = this.#dependencies.logger,
  ): Promise<void> {
    try {
      const directory = await session.close(endedBy);
      if (directory === undefined) return;
      logger.info({ recordingId: session.id, endedBy }, 'recording ended');
      this.#dependencies.finish(directory);
    } catch (error) {
      // The journals are on disk: the next start of a recorder on this spool finishes it.
      logger.error(
        { err: error, recordingId: session.id },
        'recording could not be closed; it stays in the spool',
      );
    } finally {
      this.#forget(session);
      this.#checkEmpty();
    }
  }

  async #discard(session: RecordingSession): Promise<void> {
    try {
      await session.discard();
    } finally {
      this.#forget(session);
    }
  }

  #forget(session: RecordingSession): void {
    this.#sessions.delete(session.id);
    this.#byes.delete(session.id);
    this.#orphans.delete(session);
  }

  /** The SIP server is gone with all its dialogs. The SRC does not know, and still sends: the recordings go on. */
  onSipServerLost(): void {
    const now = this.#dependencies.now().getTime();
    for (const session of this.#sessions.values())
      this.#orphans.set(session, this.#orphans.get(session) ?? now);
    this.#byes.clear();
  }

  /** Ends the recordings that nobody will end, once nothing has arrived on any of their streams for `silenceMs`. */
  async closeSilentOrphans(silenceMs: number): Promise<void> {
    if (this.#orphans.size === 0) return;
    const counters = await this.#dependencies.capture.counters();
    const silentSince = this.#dependencies.now().getTime() - silenceMs;
    for (const [session, orphanedAt] of [...this.#orphans]) {
      const heardAt = session.streamIds.map((id) => counters.get(id)?.lastPacketAt ?? 0);
      if (Math.max(orphanedAt, ...heardAt) < silentSince) await this.#close(session, 'sip-server-lost');
    }
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
  async endAll(): Promise<void> {
    for (const bye of this.#byes.values()) bye();
    await Promise.all([...this.#sessions.values()].map((session) => this.#close(session, 'recorder')));
  }

  #checkEmpty(): void {
    if (this.active === 0) this.#onEmpty?.();
  }

  /** What stands against any new call from this sender, as far as it is known at once. */
  #refusalOf(request: SipRequest): Refusal | undefined {
    if (!this.#sourceOf(request)) return FOREIGN;
    const missing = unsupportedExtensions(request);
    if (missing.length > 0)
      return { status: 420, why: 'unknown extension', headers: { Unsupported: missing.join(', ') } };
    if (this.#draining) return DRAINING;
    return this.full ? FULL : undefined;
  }

  async #shortage(): Promise<Refusal | undefined> {
    try {
      const shortages = await this.#dependencies.shortages();
      return shortages.length > 0 ? { status: 503, why: shortages.join(', ') } : undefined;
    } catch (error) {
      return { status: 503, why: (error as Error).message };
    }
  }

  #refuse(invitation: Invitation, { status, why, headers }: Refusal, logger: Logger, err?: unknown): void {
    this.counters.refused[status] = (this.counters.refused[status] ?? 0) + 1;
    const { sourceAddress } = invitation.request;
    logger.warn({ status, why, sourceAddress, ...(err !== undefined && { err }) }, 'INVITE refused');
    invitation.refuse(status, { headers: { ...this.#commonHeaders(), ...headers } });
  }

  #sourceOf({ sourceAddress }: SipRequest): AllowedSource | undefined {
    if (isIP(sourceAddress) === 0) return undefined;
    return this.#sources.find(({ includes }) => includes(sourceAddress))?.source;
  }

  #commonHeaders(): Record<string, string> {
    return { Allow: ALLOW, Supported: 'timer', Server: `siprec-ha/${this.#options.version}` };
  }
}

/** With a Warning, which tells the SRC's operator (RFC 3261 section 20.43). */
const refuse = (status: number, why: string): Refusal => ({
  status,
  why,
  headers: { Warning: `399 siprec-ha "${why.replaceAll(/["\\\r\n]/g, ' ')}"` },
});

const FOREIGN: Refusal = { status: 403, why: 'the address is in no network of a source of the deployment' };
const DRAINING: Refusal = { status: 503, why: 'draining', headers: { 'Retry-After': DRAIN_RETRY_AFTER } };
/** Without Retry-After: only this call goes elsewhere, the next may find room (RFC 3261 section 21.5.4). */
const FULL: Refusal = { status: 503, why: 'full' };

/** The SRC's own mistakes, which another recorder would find too. */
const OFFER_PROBLEMS = [SdpError, NothingToRecordError];

/** Whatever is not the SRC's mistake is ours: a 503 sends the call to the next recorder (RFC 3263 section 4.3). */
const refusalFor = (error: unknown): Refusal =>
  OFFER_PROBLEMS.some((type) => error instanceof type)
    ? refuse(488, (error as Error).message)
    : { status: 503, why: 'it cannot be recorded here' };

const refusalInDialog = (error: unknown): Refusal => {
  if (error instanceof SessionOverError) return { status: 481, why: error.message };
  const refusal = refusalFor(error);
  return refusal.status === 503 ? { ...refusal, status: 500 } : refusal;
};

/** RFC 7866 section 6.2: `+sip.srs` in every Contact. The SIP server puts its own address for `localhost`. */
const contact = ({ transport }: SipRequest): string =>
  `<sip:srs@localhost${transport === 'udp' ? '' : `;transport=${transport}`}>;+sip.srs`;

function unsupportedExtensions(request: SipRequest): string[] {
  const required = request.header('Require')?.split(',') ?? [];
  return required
    .map((tag) => tag.trim())
    .filter((tag) => tag !== '' && !SUPPORTED_EXTENSIONS.includes(tag.toLowerCase()));
}
