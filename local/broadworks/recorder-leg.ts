/** One recording session with a recorder, seen from the client: INVITE with failover, re-INVITE, BYE. */
import { Dialog, uriDestination } from '../sip/dialog.ts';
import { SipParseError, SipTransportError } from '../sip/errors.ts';
import { cseq, type Header, type SipRequest, type SipResponse } from '../sip/message.ts';
import type { ClientTransaction, Outcome, TransactionLayer } from '../sip/transaction.ts';
import type { Peer } from '../sip/transport.ts';
import type { SipTarget } from './resolver.ts';
import { untilUnreachable } from './unreachable.ts';

/** A BYE without answer is given up after this long, well before timer F (32 s). */
const BYE_TIMEOUT_MS = 4_000;

export interface Attempt {
  target: string;
  address: string;
  port: number;
  /** In words: "200 OK", "503 Service Unavailable", "no response within 1000 ms"... */
  outcome: string;
}

export interface InviteLimits {
  /** Without any response for this long, the next target is tried (BroadWorks: maxResponseWaitTimeMilliseconds). */
  responseWaitMs: number;
  /** After a provisional response, the final one must come within this; no other target is tried then. */
  answerWaitMs: number;
}

export type InviteResult =
  | {
      kind: 'answered';
      session: RecordingSession;
      answer: SipResponse;
      target: SipTarget;
      attempts: Attempt[];
    }
  | { kind: 'failed'; reason: string; attempts: Attempt[] };

/** An established recording session. */
export interface RecordingSession {
  dialog: Dialog;
  peer: Peer;
}

/**
 * Tries the targets in turn until one gives a final answer other than 503 (RFC 3263 section 4.3): a 503, a
 * transport error and total silence lead to the next one; a provisional response commits to its sender.
 */
export async function inviteRecorder(
  layer: TransactionLayer,
  invite: SipRequest,
  targets: SipTarget[],
  transport: Peer['protocol'],
  limits: InviteLimits,
): Promise<InviteResult> {
  const attempts: Attempt[] = [];
  for (const target of targets) {
    const peer: Peer = { protocol: transport, address: target.address, port: target.port };
    const { outcome, transaction } = await attemptInvite(layer, invite, peer, limits);
    attempts.push({ ...target, outcome: describe(outcome, limits) });
    if (outcome.kind === 'response' && outcome.response.status < 300) {
      const session = acknowledge(transaction, outcome.response, peer);
      return { kind: 'answered', session, answer: outcome.response, target, attempts };
    }
    if (!leadsToNextTarget(outcome)) break;
  }
  const last = attempts.at(-1);
  const reason = last ? `${last.target}: ${last.outcome}` : 'no target to try';
  return { kind: 'failed', reason, attempts };
}

function leadsToNextTarget(outcome: Outcome): boolean {
  return outcome.kind === 'response' ? outcome.response.status === 503 : !outcome.provisional;
}

function describe(outcome: Outcome, { responseWaitMs, answerWaitMs }: InviteLimits): string {
  if (outcome.kind === 'response') return `${outcome.response.status} ${outcome.response.reason}`;
  if (outcome.kind === 'transport-error') return `transport error (${outcome.error.message})`;
  return outcome.provisional
    ? `no final response within ${answerWaitMs} ms of the provisional one`
    : `no response within ${responseWaitMs} ms`;
}

async function attemptInvite(
  layer: TransactionLayer,
  invite: SipRequest,
  peer: Peer,
  limits: InviteLimits,
): Promise<{ outcome: Outcome; transaction: ClientTransaction }> {
  const done = new AbortController();
  const silence = Promise.withResolvers<Outcome>();
  let timer = setTimeout(
    () => silence.resolve({ kind: 'timeout', provisional: false }),
    limits.responseWaitMs,
  );
  const transaction = layer.request(invite, peer, {
    onProvisional: () => {
      clearTimeout(timer);
      done.abort();
      timer = setTimeout(() => silence.resolve({ kind: 'timeout', provisional: true }), limits.answerWaitMs);
    },
  });
  const contenders = [transaction.outcome, silence.promise];
  if (peer.protocol === 'udp') contenders.push(unreachable(peer, done.signal));
  const outcome = await Promise.race(contenders);
  clearTimeout(timer);
  done.abort();
  if (outcome.kind !== 'response') abandon(layer, transaction, peer);
  return { outcome, transaction };
}

/** Pending for ever unless the port turns out to be closed: then the outcome of an INVITE sent there. */
async function unreachable(peer: Peer, stop: AbortSignal): Promise<Outcome> {
  const error = await untilUnreachable(peer.address, peer.port, stop);
  if (!error) return new Promise(() => {});
  return {
    kind: 'transport-error',
    provisional: false,
    error: new SipTransportError(error.message, 'ECONNREFUSED', error),
  };
}

/** Cancels an INVITE that nobody waits for any more, and ends the session if its answer comes all the same. */
function abandon(layer: TransactionLayer, transaction: ClientTransaction, peer: Peer): void {
  transaction.cancel();
  void transaction.outcome.then((late) => {
    if (late.kind !== 'response' || late.response.status >= 300) return;
    try {
      sendInSession(layer, acknowledge(transaction, late.response, peer), 'BYE');
    } catch (error) {
      // A late 2xx that cannot be acknowledged: the call has long moved on, and the recorder times out by itself.
      if (!(error instanceof RecorderError)) throw error;
    }
  });
}

/** @throws RecorderError when the 2xx has no usable Contact: no ACK can be addressed then */
function acknowledge(transaction: ClientTransaction, response: SipResponse, peer: Peer): RecordingSession {
  try {
    const dialog = Dialog.asClient(transaction.request, response);
    const session = { dialog, peer: { ...uriDestination(dialog.nextHop), protocol: peer.protocol } };
    transaction.acknowledge(dialog.ack(cseq(transaction.request).seq), session.peer);
    return session;
  } catch (error) {
    if (error instanceof SipParseError) throw new RecorderError(`its 2xx is unusable: ${error.message}`);
    throw error;
  }
}

/**
 * Renegotiates the media with SDP alone.
 * @returns the SDP answer
 * @throws RecorderError when the recorder does not take it
 */
export async function reinvite(
  layer: TransactionLayer,
  session: RecordingSession,
  headers: Header[],
  sdp: string,
): Promise<string> {
  const transaction = sendInSession(layer, session, 'INVITE', headers, sdp);
  const outcome = await transaction.outcome;
  if (outcome.kind !== 'response' || outcome.response.status >= 300) {
    throw new RecorderError(
      `re-INVITE: ${outcome.kind === 'response' ? outcome.response.status : outcome.kind}`,
    );
  }
  transaction.acknowledge(session.dialog.ack(cseq(transaction.request).seq), session.peer);
  return outcome.response.body.toString();
}

/** Ends the session. Resolves with what came of it within 4 seconds. */
export async function bye(layer: TransactionLayer, session: RecordingSession): Promise<Outcome> {
  const timeout = Promise.withResolvers<Outcome>();
  const timer = setTimeout(() => timeout.resolve({ kind: 'timeout', provisional: false }), BYE_TIMEOUT_MS);
  const outcome = await Promise.race([sendInSession(layer, session, 'BYE').outcome, timeout.promise]);
  clearTimeout(timer);
  return outcome;
}

function sendInSession(
  layer: TransactionLayer,
  { dialog, peer }: RecordingSession,
  method: string,
  headers: Header[] = [],
  body = '',
): ClientTransaction {
  // BroadWorks counts CSeq in steps of two.
  dialog.localSeq++;
  return layer.request(dialog.request(method, headers, body), peer);
}

/** The recorder did not behave as a recorder must; the message says how. */
export class RecorderError extends Error {
  constructor(why: string) {
    super(`recorder: ${why}`);
    this.name = 'RecorderError';
  }
}
