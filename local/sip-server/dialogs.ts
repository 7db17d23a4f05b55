/** The dialogs that exist, whose they are, and what watches over them: the wait for an ACK and the session timer. */
import { type Dialog, uriDestination } from '../sip/dialog.ts';
import { SipParseError } from '../sip/errors.ts';
import { callId, fromTag, header, type SipRequest, toTag } from '../sip/message.ts';
import { type Timing, timers } from '../sip/timing.ts';
import type { ClientTransaction, ServerTransaction } from '../sip/transaction.ts';
import type { Peer } from '../sip/transport.ts';
import type { App } from './apps.ts';
import type { SessionExpires } from './session-timer.ts';

/** Real seconds shrink with T1, so that tests and drills need not wait for them. */
const STANDARD_T1_MS = 500;

/** drachtio's dialog id; the tag is that of whoever sent the INVITE. */
export const dialogId = (invite: SipRequest): string => `${callId(invite)};from-tag=${fromTag(invite) ?? ''}`;

const lookupKey = (call: string, local: string | undefined, remote: string | undefined): string =>
  [call, local, remote].join('|');

/** One dialog with its application. */
export class OwnedDialog {
  readonly id: string;
  readonly sip: Dialog;
  readonly app: App;
  /** Where the other side last sent from, or where we sent to. */
  peer: Peer;
  /** Body and type of our last SDP, for session refreshes. */
  localSdp: Buffer;
  /** Our own INVITE that the application has still to acknowledge, or has acknowledged. */
  sentInvite: { seq: number; transaction: ClientTransaction } | undefined;
  readonly #timers = timers();
  readonly #timing: Timing;
  /** By CSeq, the INVITEs whose 2xx waits for its ACK: a re-INVITE may be answered before the ACK of the one before. */
  readonly #awaitingAck = new Map<number, { transactionId: string; stops: (() => void)[] }>();
  #stopSessionTimer = () => {};

  constructor(parts: { id: string; sip: Dialog; app: App; peer: Peer; localSdp: Buffer; timing: Timing }) {
    this.id = parts.id;
    this.sip = parts.sip;
    this.app = parts.app;
    this.peer = parts.peer;
    this.localSdp = parts.localSdp;
    this.#timing = parts.timing;
  }

  /** TCP and TLS: the connection that is there. UDP: where the route set or Contact says, if they say anything usable. */
  get destination(): Peer {
    if (this.peer.protocol !== 'udp') return this.peer;
    try {
      return uriDestination(this.sip.nextHop);
    } catch (error) {
      if (error instanceof SipParseError) return this.peer;
      throw error;
    }
  }

  /**
   * After a 2xx to INVITE. Over UDP it is sent again until the ACK, and after 64 T1 given up; over TCP and
   * TLS drachtio-server does neither.
   */
  awaitAck(transaction: ServerTransaction, seq: number, transactionId: string, onTimeout: () => void): void {
    const { t1Ms, t2Ms, t1x64Ms } = this.#timing;
    const stops: (() => void)[] = [];
    this.#awaitingAck.set(seq, { transactionId, stops });
    if (transaction.source.protocol !== 'udp') return;
    stops.push(
      this.#timers.backingOff(t1Ms, t2Ms, () => transaction.retransmit()),
      this.#timers.after(t1x64Ms, () => {
        this.acknowledged(seq);
        onTimeout();
      }),
    );
  }

  /** The ACK of that INVITE has come. Undefined if none is awaited, or its CSeq is another's; else the transaction id. */
  acknowledged(seq: number): string | undefined {
    const awaited = this.#awaitingAck.get(seq);
    this.#awaitingAck.delete(seq);
    for (const stop of awaited?.stops ?? []) stop();
    return awaited?.transactionId;
  }

  /** (Re)starts the session timer: `onRefresh` at half time if the refresh is ours, else `onExpired` at its end. */
  startSessionTimer(
    { seconds }: SessionExpires,
    weRefresh: boolean,
    on: { refresh: () => void; expired: () => void },
  ): void {
    this.#stopSessionTimer();
    const ms = (seconds * 1000 * this.#timing.t1Ms) / STANDARD_T1_MS;
    this.#stopSessionTimer = weRefresh
      ? this.#timers.after(ms / 2, on.refresh)
      : this.#timers.after(ms, on.expired);
  }

  stop(): void {
    this.#timers.clear();
  }
}

export class DialogTable {
  readonly #byId = new Map<string, OwnedDialog>();
  readonly #byTags = new Map<string, OwnedDialog>();

  add(dialog: OwnedDialog): void {
    this.#byId.set(dialog.id, dialog);
    this.#byTags.set(lookupKey(dialog.sip.callId, dialog.sip.localTag, dialog.sip.remoteTag), dialog);
  }

  remove(dialog: OwnedDialog): void {
    dialog.stop();
    this.#byId.delete(dialog.id);
    this.#byTags.delete(lookupKey(dialog.sip.callId, dialog.sip.localTag, dialog.sip.remoteTag));
  }

  byId(id: string): OwnedDialog | undefined {
    return this.#byId.get(id);
  }

  /** The dialog of a request that came from the network. */
  ofRequest(request: SipRequest): OwnedDialog | undefined {
    return this.#byTags.get(lookupKey(callId(request), toTag(request), fromTag(request)));
  }

  /** The dialog that an application means by a Call-ID alone. */
  byCallId(request: SipRequest): OwnedDialog | undefined {
    const call = header(request, 'Call-ID');
    return [...this.#byId.values()].find((dialog) => dialog.sip.callId === call);
  }

  clear(): void {
    for (const dialog of [...this.#byId.values()]) this.remove(dialog);
  }
}
