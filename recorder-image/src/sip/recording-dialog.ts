/** The dialog of one recording session: what the SRC sends inside it is answered here, each request by its method. */
import type { Logger } from 'pino';
import { COMMON_HEADERS, contact, sequenceNumber, unsupportedExtensions } from './headers.ts';
import type { RecordingSession } from './recording-session.ts';
import {
  INTERVAL_TOO_SMALL,
  METHOD_NOT_ALLOWED,
  NOT_UNDERSTOOD,
  OFFER_PENDING,
  OUT_OF_ORDER,
  overlap,
  type Refusal,
  refusalInDialog,
  unsupported,
} from './refusal.ts';
import { readSessionBody, type SessionBody } from './session-body.ts';
import { isIntervalTooSmall, sessionTimerHeaders } from './session-timer.ts';
import type { Respond, SipAnswer, SipDialog, SipRequest } from './sip-server.ts';
import { SNAPSHOT_REQUEST, SnapshotNeed } from './snapshot.ts';

export interface RecordingDialogOptions {
  session: RecordingSession;
  /** The SRC may be asked for all of its metadata. */
  takesSnapshotRequests: boolean;
  logger: Logger;
}

/** A re-INVITE or UPDATE that has no answer yet. */
interface OpenRequest {
  method: string;
  /** It has an offer, or is to be given one. */
  negotiates: boolean;
}

export class RecordingDialog {
  readonly #options: RecordingDialogOptions;
  readonly #snapshotNeed = new SnapshotNeed();
  readonly #open = new Set<OpenRequest>();
  /** Of our messages in the dialog; with `+sip.srs`. */
  readonly #contact: string;
  /** The highest CSeq of the SRC. Neither the SIP server nor drachtio-srf looks at it. */
  #lastSequence: number;
  #dialog: SipDialog | undefined;

  /**
   * @param invite which began it
   * @param body of the INVITE
   */
  constructor(invite: SipRequest, body: SessionBody, options: RecordingDialogOptions) {
    this.#options = options;
    this.#contact = contact(invite);
    this.#lastSequence = sequenceNumber(invite);
    this.#note(body);
  }

  /** Headers of a 2xx to the SRC. */
  headers(request: SipRequest): Record<string, string> {
    return { ...COMMON_HEADERS, ...sessionTimerHeaders(request), Contact: this.#contact };
  }

  /** The INVITE has its 200. */
  established(dialog: SipDialog): void {
    this.#dialog = dialog;
    this.#askIfNeeded();
  }

  /** Ends the dialog with a BYE, if it is there. */
  bye(): void {
    this.#dialog?.bye();
  }

  /** The dialog is gone: no request can be sent in it any more. */
  lost(): void {
    this.#dialog = undefined;
  }

  /** Answers a request of the SRC, other than its BYE. */
  onRequest(request: SipRequest, respond: Respond): void {
    const sequence = sequenceNumber(request);
    const outOfOrder = sequence < this.#lastSequence;
    this.#lastSequence = Math.max(sequence, this.#lastSequence);
    if (outOfOrder) this.#refuse(OUT_OF_ORDER, request, respond);
    else if (request.method === 'INVITE' || request.method === 'UPDATE') void this.#update(request, respond);
    // An INFO asks for a video key frame, or tells something that changes no recording: that it came is all to say.
    else if (request.method === 'INFO' || request.method === 'OPTIONS')
      respond(200, { headers: this.headers(request) });
    else this.#refuse(METHOD_NOT_ALLOWED, request, respond);
  }

  /** The ACK of a 2xx, which may answer an offer of ours. */
  onAck(request: SipRequest): void {
    this.#options.session
      .acknowledge(readSessionBody(request.raw))
      .catch((error) => this.#options.logger.warn({ err: error }, 'ACK not taken'));
  }

  async #update(request: SipRequest, respond: Respond): Promise<void> {
    const { method } = request;
    const body = readSessionBody(request.raw);
    const negotiates = body.sdp !== undefined || method === 'INVITE';
    const refusal = this.#refusalOf(request, body, negotiates);
    if (refusal) return this.#refuse(refusal, request, respond);
    const open = { method, negotiates };
    this.#open.add(open);
    try {
      const sdp = await this.#options.session.update(method, body);
      respond(200, withSdp(this.headers(request), sdp));
      this.#note(body);
      this.#askIfNeeded();
    } catch (error) {
      this.#refuse(refusalInDialog(error), request, respond, error);
    } finally {
      this.#open.delete(open);
    }
  }

  #refusalOf(request: SipRequest, body: SessionBody, negotiates: boolean): Refusal | undefined {
    const { method } = request;
    const missing = unsupportedExtensions(request);
    if (missing.length > 0) return unsupported(missing);
    if (body.notUnderstood.length > 0) return NOT_UNDERSTOOD;
    if (isIntervalTooSmall(request)) return INTERVAL_TOO_SMALL;
    if ([...this.#open].some((open) => open.method === method || (open.negotiates && negotiates)))
      return overlap();
    // A re-INVITE shows that the ACK was sent, and lost: its offer takes the place of ours.
    if (method === 'UPDATE' && negotiates && this.#options.session.offering) return OFFER_PENDING;
    return undefined;
  }

  #refuse({ status, why, headers }: Refusal, { method }: SipRequest, respond: Respond, err?: unknown): void {
    this.#options.logger.warn(
      { method, status, why, ...(err !== undefined && { err }) },
      'in-dialog request refused',
    );
    respond(status, { headers: { ...COMMON_HEADERS, ...headers } });
  }

  #note({ metadata }: SessionBody): void {
    if (metadata && this.#options.takesSnapshotRequests) this.#snapshotNeed.arrived(metadata);
  }

  /** The recording does not depend on it: whatever becomes of the request, it goes on. */
  #askIfNeeded(): void {
    if (!this.#dialog || !this.#snapshotNeed.take()) return;
    const { headers, body } = SNAPSHOT_REQUEST;
    this.#dialog.update(
      { headers: { ...COMMON_HEADERS, ...headers, Contact: this.#contact }, body },
      (outcome) => this.#options.logger.info({ outcome }, 'snapshot of the metadata requested'),
    );
  }
}

const withSdp = (headers: Record<string, string>, sdp: string | undefined): SipAnswer =>
  sdp === undefined ? { headers } : { headers: { ...headers, 'Content-Type': 'application/sdp' }, body: sdp };
