/**
 * The session recording server (RFC 7866): who may call, whether there is room, and the answers.
 *
 * Every request is answered, and fast: a slow or missing answer can cost a telephone call. Metadata never decides;
 * whatever can be recorded is recorded.
 */
import ipaddr from 'ipaddr.js';
import type { Logger } from 'pino';
import { ulid } from 'ulid';
import { readOffer, SdpError } from '../sdp/offer.ts';
import type { Ending } from '../storage/session-record.ts';
import { readBody } from './mime.ts';
import {
  findSdp,
  NothingToRecordError,
  RecordingSession,
  type RecordingSessionDependencies,
} from './recording-session.ts';
import type { Invitation, Respond, SipAnswer, SipRequest } from './sip-server.ts';

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
  readonly #sources: { source: AllowedSource; ranges: [ipaddr.IPv4 | ipaddr.IPv6, number][] }[];
  readonly #sessions = new Map<string, RecordingSession>();
  readonly #byes = new Map<string, () => void>();
  /** Sessions whose dialog the SIP server forgot: no BYE will come. */
  readonly #orphans = new Set<RecordingSession>();
  #opening = 0;
  #draining = false;
  #onEmpty: (() => void) | undefined;
  readonly counters: SrsCounters = { answered: 0, cancelled: 0, refused: {} };

  constructor(options: SrsOptions, dependencies: SrsDependencies) {
    this.#options = options;
    this.#dependencies = dependencies;
    this.#sources = options.sources.map((source) => ({
      source,
      ranges: source.networks.map((network) => ipaddr.parseCIDR(network)),
    }));
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

  /** RFC 3261 section 11.2: an OPTIONS gets the status that an INVITE would get. */
  onOptions(request: SipRequest, respond: Respond): void {
    const refusal = this.#sourceOf(request.sourceAddress) ? this.#refusal() : { status: 403, answer: {} };
    if (refusal) respond(refusal.status, refusal.answer);
    else respond(200, { headers: { ...this.#commonHeaders(), Contact: contact(request), Accept: ACCEPT } });
  }

  /** Answers an INVITE that starts a recording session. Never throws. */
  async onInvite(invitation: Invitation): Promise<void> {
    const logger = this.#dependencies.logger.child({ sipCallId: invitation.request.callId });
    this.#opening++;
    try {
      await this.#invite(invitation, logger);
    } catch (error) {
      // Whatever else went wrong is ours: a 503 sends the call to the next recorder (RFC 3263 section 4.3).
      const warning = offerProblem(error);
      const status = warning ? 488 : 503;
      logger[warning ? 'warn' : 'error']({ err: error, status }, 'INVITE refused');
      this.#refuse(invitation, status, { headers: warning ? { Warning: `399 siprec-ha "${warning}"` } : {} });
    } finally {
      this.#opening--;
      this.#checkEmpty();
    }
  }

  async #invite(invitation: Invitation, logger: Logger): Promise<void> {
    const { request } = invitation;
    const source = this.#sourceOf(request.sourceAddress);
    if (!source) {
      logger.warn(
        { sourceAddress: request.sourceAddress },
        'INVITE from an address that no source of the deployment has',
      );
      return this.#refuse(invitation, 403);
    }
    const missing = unsupportedExtensions(request);
    if (missing.length > 0)
      return this.#refuse(invitation, 420, { headers: { Unsupported: missing.join(', ') } });
    if (!request.header('Contact'))
      return this.#refuse(invitation, 400, { headers: { Warning: '399 siprec-ha "no Contact header"' } });
    // `#opening` counts this INVITE already.
    const refusal = this.#refusal(this.active - 1);
    if (refusal) return this.#refuse(invitation, refusal.status, refusal.answer);

    const body = readBody(request.raw);
    const sdp = findSdp(body);
    if (sdp === undefined) throw new SdpError('the INVITE has no SDP offer');
    const opened = {
      type: 'opened' as const,
      at: this.#dependencies.now().toISOString(),
      recordingId: ulid(this.#dependencies.now().getTime()),
      slot: this.#options.slot,
      homeRegion: this.#options.homeRegion,
      source: source.name,
      tenant: source.tenant,
      sourceAddress: request.sourceAddress,
      sipCallId: request.callId,
      correlationHeader: request.header('X-BroadWorks-Correlation-Info'),
    };
    const session = await RecordingSession.open(this.#dependencies, {
      opened,
      networks: source.networks,
      body,
      offer: readOffer(sdp),
      sdp,
    });
    await this.#accept(invitation, session, logger.child({ recordingId: session.id }));
  }

  async #accept(invitation: Invitation, session: RecordingSession, logger: Logger): Promise<void> {
    const headers = { ...this.#commonHeaders(), Contact: contact(invitation.request), Accept: ACCEPT };
    let dialog: Awaited<ReturnType<Invitation['accept']>>;
    try {
      // Registered before the answer: the BYE may be there before `accept` returns.
      this.#sessions.set(session.id, session);
      await session.answered();
      dialog = await invitation.accept(
        { sdp: session.answer, headers },
        {
          onModify: (request, respond) => void this.#update(session, request, respond, logger),
          onUpdate: (request, respond) => void this.#update(session, request, respond, logger),
          onEnd: (reason) => {
            if (reason) void session.warn('ended-by-sip-server', reason).catch(() => {});
            void this.#close(session, reason ? 'sip-server-lost' : 'bye', logger);
          },
        },
      );
    } catch (error) {
      this.#sessions.delete(session.id);
      await session.discard();
      throw error;
    }
    if (!dialog) {
      this.counters.cancelled++;
      this.#sessions.delete(session.id);
      await session.discard();
      logger.info('INVITE cancelled');
      return;
    }
    this.counters.answered++;
    if (this.#sessions.has(session.id)) this.#byes.set(session.id, () => dialog.bye());
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
      const status = offerProblem(error) ? 488 : 500;
      logger.warn({ err: error, method: request.method, status }, 'in-dialog request refused');
      respond(status, { headers });
    }
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
      this.#sessions.delete(session.id);
      this.#byes.delete(session.id);
      this.#orphans.delete(session);
      this.#checkEmpty();
    }
  }

  /** The SIP server is gone with all its dialogs. The SRC does not know, and still sends: the recordings go on. */
  onSipServerLost(): void {
    for (const session of this.#sessions.values()) this.#orphans.add(session);
    this.#byes.clear();
  }

  /** Ends the recordings that nobody will end, once nothing has arrived on any of their streams for `silenceMs`. */
  async closeSilentOrphans(silenceMs: number): Promise<void> {
    if (this.#orphans.size === 0) return;
    const counters = await this.#dependencies.capture.counters();
    const silentSince = this.#dependencies.now().getTime() - silenceMs;
    for (const session of this.#orphans) {
      const last = Math.max(...session.streamIds.map((id) => counters.get(id)?.lastPacketAt ?? 0));
      if (last < silentSince) await this.#close(session, 'sip-server-lost');
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

  #refusal(active = this.active): { status: number; answer: SipAnswer } | undefined {
    if (this.#draining) return { status: 503, answer: { headers: { 'Retry-After': DRAIN_RETRY_AFTER } } };
    // Without Retry-After: only this call goes elsewhere, the next may find room (RFC 3261 section 21.5.4).
    if (active >= this.#options.callCapacity) return { status: 503, answer: {} };
    return undefined;
  }

  #refuse(invitation: Invitation, status: number, answer: SipAnswer = {}): void {
    this.counters.refused[status] = (this.counters.refused[status] ?? 0) + 1;
    invitation.refuse(status, { ...answer, headers: { ...this.#commonHeaders(), ...answer.headers } });
  }

  #sourceOf(address: string): AllowedSource | undefined {
    if (!ipaddr.isValid(address)) return undefined;
    const parsed = ipaddr.process(address);
    return this.#sources.find(({ ranges }) =>
      ranges.some((range) => range[0].kind() === parsed.kind() && parsed.match(range)),
    )?.source;
  }

  #commonHeaders(): Record<string, string> {
    return { Allow: ALLOW, Supported: 'timer', Server: `siprec-ha/${this.#options.version}` };
  }
}

/** RFC 7866 section 6.2: `+sip.srs` in every Contact. The SIP server puts its own address for `localhost`. */
const contact = ({ transport }: SipRequest): string =>
  `<sip:srs@localhost${transport === 'udp' ? '' : `;transport=${transport}`}>;+sip.srs`;

function unsupportedExtensions(request: SipRequest): string[] {
  const required = request.header('Require')?.split(',') ?? [];
  return required
    .map((tag) => tag.trim())
    .filter((tag) => tag !== '' && !SUPPORTED_EXTENSIONS.includes(tag.toLowerCase()));
}

/** The SRC's own mistake, which another recorder would find too. */
const offerProblem = (error: unknown): string | undefined =>
  error instanceof SdpError || error instanceof NothingToRecordError
    ? error.message.replaceAll(/["\\\r\n]/g, ' ')
    : undefined;
