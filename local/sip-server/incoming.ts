/** From the network to the applications: requests, ACKs and CANCELs (`reference/siprec.md` 4.5). */
import { randomUUID } from 'node:crypto';
import { cseq, type SipRequest, toTag } from '../sip/message.ts';
import type { ServerTransaction } from '../sip/transaction.ts';
import type { Peer } from '../sip/transport.ts';
import { type App, ROUTABLE_VERBS } from './apps.ts';
import { type Core, endDialog, fromNetwork, localOf } from './core.ts';
import { dialogId, type OwnedDialog } from './dialogs.ts';
import { restartSessionTimer } from './own-requests.ts';
import { MIN_SESSION_SECONDS, sessionExpires } from './session-timer.ts';
import { encodeNewRequest, encodeSip } from './wire.ts';

/** Without a dialog these mean nothing, whoever may have asked for them. */
const ONLY_IN_DIALOG = new Set(['BYE', 'UPDATE', 'PRACK']);

/** The application has 128 T1 (64 s) to answer; then the request is forgotten, without a word to either side. */
const APP_TIMEOUT_T1X64 = 2;

export function receiveRequest(core: Core, transaction: ServerTransaction): void {
  if (toTag(transaction.request) === undefined) receiveNew(core, transaction);
  else receiveInDialog(core, transaction);
}

function receiveNew(core: Core, transaction: ServerTransaction): void {
  const { request, source } = transaction;
  if (ONLY_IN_DIALOG.has(request.method)) {
    transaction.respond(481);
    return;
  }
  const verb = request.method.toLowerCase();
  if (!ROUTABLE_VERBS.has(verb)) {
    // RFC 3261 21.5.2; drachtio-server drops what it has no name for.
    transaction.respond(501);
    return;
  }
  if (request.method === 'INVITE') transaction.respond(100);
  const app = core.apps.select(verb);
  if (!app) {
    core.log.error({ method: request.method }, 'no application for this method');
    transaction.respond(503);
    return;
  }
  const id = waitForApp(core, transaction, app, undefined);
  app.send(encodeNewRequest(fromNetwork(request, source), id, localOf(core, source)));
}

/**
 * Neither the order of CSeq (RFC 3261 12.2.2) nor an INVITE or UPDATE that overlaps another (14.2, RFC 3311 5.2) is
 * looked at: drachtio-server and the nta layer of sofia-sip, which it stands on, hand both to the application. Only
 * an UPDATE during an unanswered INVITE is answered before it, with 500 and Retry-After, by drachtio-srf.
 */
function receiveInDialog(core: Core, transaction: ServerTransaction): void {
  const { request, source } = transaction;
  const dialog = core.dialogs.ofRequest(request);
  if (!dialog) {
    transaction.respond(481);
    return;
  }
  if (request.method === 'BYE') endDialog(core, dialog);
  if (!dialog.app.connected) {
    transaction.respond(481);
    return;
  }
  if (request.method === 'INVITE') transaction.respond(100);
  if (request.method === 'INVITE' || request.method === 'UPDATE') {
    const expires = sessionExpires(request);
    if (expires && expires.seconds < MIN_SESSION_SECONDS) {
      transaction.respond(422, { headers: [['Min-SE', String(MIN_SESSION_SECONDS)]] });
      return;
    }
    if (expires) restartSessionTimer(core, dialog, expires, expires.refresher === 'uas');
    dialog.sip.refreshTarget(request);
  }
  dialog.peer = source;
  const id = waitForApp(core, transaction, dialog.app, dialog);
  dialog.app.send(encodeSip(fromNetwork(request, source), id, dialog.id));
}

function waitForApp(
  core: Core,
  transaction: ServerTransaction,
  app: App,
  dialog: OwnedDialog | undefined,
): string {
  const id = randomUUID();
  const stopWaiting = core.timers.after(APP_TIMEOUT_T1X64 * core.layer.timing.t1x64Ms, () => {
    core.log.error({ method: transaction.request.method }, 'the application never answered');
    core.pending.delete(id);
    transaction.close();
  });
  core.pending.set(id, { transaction, app, dialog, stopWaiting });
  return id;
}

/** The ACK of a 2xx. One whose CSeq is not the INVITE's acknowledges nothing. */
export function receiveAck(core: Core, ack: SipRequest, source: Peer): void {
  const dialog = core.dialogs.ofRequest(ack);
  const transactionId = dialog?.acknowledged(cseq(ack).seq);
  if (!dialog || transactionId === undefined) {
    core.log.debug('ACK that acknowledges nothing, or again');
    return;
  }
  dialog.app.send(encodeSip(fromNetwork(ack, source), transactionId, dialog.id));
}

/** The CANCEL has its 200. The application is told, the INVITE ends with 487; a later answer of the application is refused. */
export function receiveCancel(core: Core, invite: ServerTransaction, cancel: SipRequest, source: Peer): void {
  for (const [id, { transaction, app, stopWaiting }] of core.pending) {
    if (transaction !== invite) continue;
    core.pending.delete(id);
    stopWaiting();
    app.send(encodeSip(fromNetwork(cancel, source), id, dialogId(invite.request)));
  }
  invite.respond(487);
}
