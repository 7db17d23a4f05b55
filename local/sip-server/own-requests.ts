/** Requests that the server sends by itself: the BYE that ends a dead dialog, and session refreshes (RFC 4028). */
import type { Header } from '../sip/message.ts';
import { contact } from './completion.ts';
import { type Core, endDialog, fromApplication, localOf } from './core.ts';
import type { OwnedDialog } from './dialogs.ts';
import { MIN_SESSION_SECONDS, type SessionExpires, sessionExpires } from './session-timer.ts';
import { encodeSip } from './wire.ts';

/** Ends a dialog towards both sides; drachtio-srf knows it by the transaction id `unsolicited`. */
export function terminate(
  core: Core,
  dialog: OwnedDialog,
  why: 'ACK timeout' | 'Session timer expired',
): void {
  core.log.warn({ dialog: dialog.id, why }, 'dialog terminated');
  const bye = dialog.sip.request('BYE', [['Reason', `SIP ;cause=200 ;text="${why}"`]]);
  const { request, destination } = core.layer.request(bye, dialog.destination);
  dialog.app.send(encodeSip(fromApplication(request, destination), 'unsolicited', dialog.id));
  endDialog(core, dialog);
}

/** @param weRefresh whether the refresh is ours; else the dialog ends when theirs does not come in time */
export function restartSessionTimer(
  core: Core,
  dialog: OwnedDialog,
  expires: SessionExpires,
  weRefresh: boolean,
): void {
  dialog.startSessionTimer(expires, weRefresh, {
    refresh: () => void refresh(core, dialog, expires),
    expired: () => terminate(core, dialog, 'Session timer expired'),
  });
}

/** A re-INVITE with the SDP that stands. Its failure is left to the other side's timer. */
async function refresh(core: Core, dialog: OwnedDialog, { seconds }: SessionExpires): Promise<void> {
  const { destination } = dialog;
  const type: Header[] = dialog.localSdp.length > 0 ? [['Content-Type', 'application/sdp']] : [];
  const headers: Header[] = [
    ['Session-Expires', `${seconds};refresher=uac`],
    ['Min-SE', String(MIN_SESSION_SECONDS)],
    ['Contact', contact(localOf(core, destination))],
    ...type,
  ];
  const invite = dialog.sip.request('INVITE', headers, dialog.localSdp);
  const transaction = core.layer.request(invite, destination);
  const outcome = await transaction.outcome;
  if (outcome.kind !== 'response' || outcome.response.status >= 300) {
    core.log.warn({ dialog: dialog.id, outcome: outcome.kind }, 'session refresh failed');
    return;
  }
  transaction.acknowledge(dialog.sip.ack(dialog.sip.localSeq), destination);
  const answer = sessionExpires(outcome.response);
  if (answer) restartSessionTimer(core, dialog, answer, answer.refresher !== 'uas');
}
