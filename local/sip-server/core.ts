/** What both directions share: the SIP stack, the applications, and what is open between them. */
import type { Logger } from 'pino';
import { type SipMessage, serialise } from '../sip/message.ts';
import type { Timers } from '../sip/timing.ts';
import type { ClientTransaction, ServerTransaction, TransactionLayer } from '../sip/transaction.ts';
import type { Peer } from '../sip/transport.ts';
import type { App, Apps } from './apps.ts';
import type { Local } from './completion.ts';
import type { DialogTable, OwnedDialog } from './dialogs.ts';
import type { SipOnTheWire } from './wire.ts';

/** A request from the network that its application has still to answer. */
export interface PendingRequest {
  transaction: ServerTransaction;
  app: App;
  dialog: OwnedDialog | undefined;
  /** Stops the wait for the application. */
  stopWaiting: () => void;
}

export interface Core {
  layer: TransactionLayer;
  apps: Apps;
  dialogs: DialogTable;
  /** By the transaction id that the application knows. */
  pending: Map<string, PendingRequest>;
  /** Requests of applications that have no final response yet, by transaction id. */
  sent: Map<string, ClientTransaction>;
  timers: Timers;
  log: Logger;
}

export const localOf = ({ layer }: Core, { protocol }: Peer): Local => ({
  protocol,
  address: layer.transport.address,
  port: layer.transport.portOf(protocol),
});

/**
 * Forgets a dialog. What its application has still to answer is answered with 500, as sofia-sip does when
 * drachtio-server clears a dialog; RFC 3261 15.1.2 would have 487.
 */
export function endDialog({ dialogs, pending }: Core, dialog: OwnedDialog): void {
  dialogs.remove(dialog);
  for (const [id, request] of pending) {
    if (request.dialog !== dialog) continue;
    pending.delete(id);
    request.stopWaiting();
    request.transaction.respond(500);
  }
}

export const fromNetwork = (message: SipMessage, peer: Peer): SipOnTheWire => ({
  source: 'network',
  peer,
  bytes: serialise(message),
});

export const fromApplication = (message: SipMessage, peer: Peer): SipOnTheWire => ({
  source: 'application',
  peer,
  bytes: serialise(message),
});
