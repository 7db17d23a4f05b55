/** From the applications to the network: their responses, and their requests inside and outside dialogs. */
import { randomUUID } from 'node:crypto';
import { Dialog, uriDestination } from '../sip/dialog.ts';
import { SipParseError, SipStateError } from '../sip/errors.ts';
import {
  cseq,
  type Header,
  header,
  isRequest,
  makeRequest,
  makeResponse,
  parseFragment,
  type SipRequest,
  type SipResponse,
} from '../sip/message.ts';
import type { ClientTransaction, Outcome } from '../sip/transaction.ts';
import type { Peer } from '../sip/transport.ts';
import { newCallId, newTag } from '../sip/values.ts';
import type { App } from './apps.ts';
import { completeMessage, contact, ownHeaders, withContact } from './completion.ts';
import { type Core, endDialog, fromApplication, fromNetwork, localOf, type PendingRequest } from './core.ts';
import { dialogId, OwnedDialog } from './dialogs.ts';
import { restartSessionTimer, terminate } from './own-requests.ts';
import { answerSessionTimer } from './session-timer.ts';
import { encodeReply, encodeRequestSent, encodeResponseSent, encodeSip, type SipFromApp } from './wire.ts';

/** What the application asked for cannot be done; it gets the reason. */
class Refusal extends Error {
  override readonly name = 'Refusal';
}

/** A `sip` message of an application. What cannot be done is answered with NOK and its reason. */
export function receiveFromApp(core: Core, app: App, message: SipFromApp): void {
  try {
    const fragment = parseFragment(message.sip);
    if (!isRequest(fragment)) respond(core, app, message);
    else if (fragment.method === 'CANCEL') cancel(core, app, message, fragment);
    else sendRequest(core, app, message, fragment);
  } catch (error) {
    const expected = [Refusal, SipParseError, SipStateError].some((type) => error instanceof type);
    if (!expected || !(error instanceof Error)) throw error;
    core.log.info({ reason: error.message }, 'refused to an application');
    app.send(encodeReply(message.id, 'NOK', error.message));
  }
}

// ---- responses ---------------------------------------------------------------------------------------------

function respond(core: Core, app: App, { id, transactionId, sip }: SipFromApp): void {
  const pending = core.pending.get(transactionId);
  if (!pending || pending.app !== app) throw new Refusal('Response not sent due to unknown transaction');
  const { transaction, dialog } = pending;
  const { request, source } = transaction;
  const local = localOf(core, source);
  const message = completeMessage(sip, local, false) as SipResponse;
  const { status, reason, body } = message;
  const success = status >= 200 && status < 300;
  const newDialog = request.method === 'INVITE' && success && !dialog;
  const { timer, headers: timerHeaders } = newDialog ? answerSessionTimer(request, message) : { headers: [] };
  const own = [...ownHeaders(message), ...timerHeaders];
  const headers = request.method === 'INVITE' && success ? withContact(own, local) : own;

  const response = transaction.respond(status, { reason, headers, body });
  if (status >= 200) {
    core.pending.delete(transactionId);
    pending.stopWaiting();
  }
  const wireId = dialog?.id ?? dialogId(request);
  app.send(encodeResponseSent(id, fromApplication(response, source), transactionId, wireId));

  if (request.method !== 'INVITE' || !success) return;
  const owned = dialog ?? openDialog(core, pending, response);
  owned.localSdp = body;
  owned.awaitAck(transaction, cseq(request).seq, transactionId, () => {
    // As drachtio-server: only a dialog that never began is torn down for want of an ACK.
    if (newDialog) terminate(core, owned, 'ACK timeout');
  });
  if (timer) restartSessionTimer(core, owned, timer, timer.refresher === 'uas');
}

function openDialog(core: Core, { transaction, app }: PendingRequest, response: SipResponse): OwnedDialog {
  const { request, source } = transaction;
  const dialog = new OwnedDialog({
    id: dialogId(request),
    sip: Dialog.asServer(request, response),
    app,
    peer: source,
    localSdp: response.body,
    timing: core.layer.timing,
  });
  core.dialogs.add(dialog);
  return dialog;
}

// ---- requests ----------------------------------------------------------------------------------------------

function cancel(core: Core, app: App, { id, transactionId }: SipFromApp, request: SipRequest): void {
  const transaction = core.sent.get(transactionId);
  if (!transaction) throw new Refusal('unable to find the INVITE to cancel');
  transaction.cancel(ownHeaders(request));
  app.send(encodeRequestSent(id, fromApplication(request, transaction.destination), transactionId));
}

function sendRequest(core: Core, app: App, message: SipFromApp, request: SipRequest): void {
  if (message.dialogId === '') {
    const dialog = core.dialogs.byCallId(request);
    if (dialog) sendInDialog(core, app, message, dialog);
    else sendOutsideDialog(core, app, message, request);
    return;
  }
  const dialog = core.dialogs.byId(message.dialogId);
  if (!dialog) throw new Refusal('Server error: unable to find dialog for dialog id provided');
  if (request.method === 'ACK') sendAck(core, app, message, dialog);
  else sendInDialog(core, app, message, dialog);
}

function sendAck(core: Core, app: App, { id, transactionId, sip }: SipFromApp, dialog: OwnedDialog): void {
  const { destination, sentInvite } = dialog;
  if (!sentInvite) throw new Refusal('ACK for non-success responses is automatically generated by the stack');
  const message = completeMessage(sip, localOf(core, destination), true);
  const ack = dialog.sip.ack(sentInvite.seq, ownHeaders(message), message.body);
  dialog.sentInvite = undefined;
  sentInvite.transaction.acknowledge(ack, destination);
  app.send(encodeRequestSent(id, fromApplication(ack, destination), transactionId || randomUUID()));
}

function sendInDialog(core: Core, app: App, { id, sip }: SipFromApp, dialog: OwnedDialog): void {
  const { destination } = dialog;
  const local = localOf(core, destination);
  const message = completeMessage(sip, local, true) as SipRequest;
  const { method, body } = message;
  const own = ownHeaders(message);
  const headers = method === 'INVITE' || method === 'REFER' ? withContact(own, local) : own;
  const transaction = sendTracked(core, app, id, dialog.sip.request(method, headers, body), destination, {
    dialogId: () => dialog.id,
    onResponse: (response) => {
      const accepted = response.status >= 200 && response.status < 300;
      if (accepted && (method === 'INVITE' || method === 'UPDATE')) dialog.sip.refreshTarget(response);
      if (accepted && method === 'INVITE') {
        dialog.sentInvite = { seq: cseq(transaction.request).seq, transaction };
        if (body.length > 0) dialog.localSdp = body;
      }
      if (method === 'BYE' && response.status >= 200) endDialog(core, dialog);
    },
  });
}

function sendOutsideDialog(core: Core, app: App, { id, sip, routeUri }: SipFromApp, raw: SipRequest): void {
  const destination = uriDestination(routeUri === '' ? raw.uri : routeUri);
  const local = localOf(core, destination);
  const message = completeMessage(sip, local, true) as SipRequest;
  const { method, uri, body } = message;
  const from = header(message, 'From') ?? contact(local);
  const own = ownHeaders(message);
  const headers: readonly Header[] = [
    ['Max-Forwards', '70'],
    ['From', /;\s*tag\s*=/i.test(from) ? from : `${from};tag=${newTag()}`],
    ['To', header(message, 'To') ?? `<${uri}>`],
    ['Call-ID', header(message, 'Call-ID') ?? newCallId(local.address)],
    ['CSeq', `1 ${method}`],
    ...(method === 'INVITE' ? withContact(own, local) : own),
  ];
  const invite = method === 'INVITE';
  const request = makeRequest(method, uri, headers, body);
  const transaction = sendTracked(core, app, id, request, destination, {
    dialogId: () => (invite ? dialogId(request) : ''),
    onResponse: (response) => {
      if (!invite || response.status < 200 || response.status >= 300) return;
      const dialog = new OwnedDialog({
        id: dialogId(request),
        sip: Dialog.asClient(request, response),
        app,
        peer: destination,
        localSdp: body,
        timing: core.layer.timing,
      });
      dialog.sentInvite = { seq: 1, transaction };
      core.dialogs.add(dialog);
    },
  });
}

/** Sends, tells the application that it is sent, and passes on what comes back: never nothing. */
function sendTracked(
  core: Core,
  app: App,
  messageId: string,
  request: SipRequest,
  destination: Peer,
  handle: { dialogId: () => string; onResponse: (response: SipResponse) => void },
): ClientTransaction {
  const transactionId = randomUUID();
  const pass = (response: SipResponse) => {
    handle.onResponse(response);
    app.send(encodeSip(fromNetwork(response, destination), transactionId, handle.dialogId()));
  };
  const transaction = core.layer.request(request, destination, {
    onProvisional: (response) => {
      if (response.status > 100) pass(response);
    },
  });
  core.sent.set(transactionId, transaction);
  app.send(encodeRequestSent(messageId, fromApplication(transaction.request, destination), transactionId));
  void transaction.outcome.then((outcome) => {
    core.sent.delete(transactionId);
    pass(asResponse(core, transaction.request, outcome));
  });
  return transaction;
}

/** As sofia-sip does: a request without answer has one all the same, made here. */
function asResponse(core: Core, request: SipRequest, outcome: Outcome): SipResponse {
  if (outcome.kind === 'response') return outcome.response;
  core.log.warn({ method: request.method, outcome: outcome.kind }, 'request of an application failed');
  return makeResponse(request, outcome.kind === 'timeout' ? 408 : 503, { toTag: newTag() });
}
