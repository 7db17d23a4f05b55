/**
 * Session timers (RFC 4028 section 9): what a recorder answers to the Session-Expires of an INVITE, re-INVITE or UPDATE.
 * The time itself is kept by the SIP server, which ends a dialog that nobody refreshes.
 */
import { lists } from './headers.ts';
import type { SipRequest } from './sip-server.ts';

/** The smallest interval that RFC 4028 section 5 allows to demand. */
export const MIN_SESSION_SECONDS = 90;

interface RequestedTimer {
  seconds: number;
  refresher: string | undefined;
}

/** `1800;refresher=uac`, in its long or its short form (section 4); undefined if there is none that can be read. */
function requestedTimer(request: SipRequest): RequestedTimer | undefined {
  const [interval = '', ...parameters] = (
    request.header('Session-Expires') ??
    request.header('x') ??
    ''
  ).split(';');
  if (!/^\s*\d{1,9}\s*$/.test(interval)) return undefined;
  const refresher = parameters
    .map((text) => /^\s*refresher\s*=\s*(uac|uas)\s*$/i.exec(text)?.[1])
    .find(Boolean);
  return { seconds: Number(interval), refresher: refresher?.toLowerCase() };
}

const knowsTimers = (request: SipRequest): boolean => lists(request, 'Supported', 'timer');

/** Whether the request is to be refused with 422 and Min-SE: only a sender that knows session timers can be. */
export const isIntervalTooSmall = (request: SipRequest): boolean =>
  knowsTimers(request) && (requestedTimer(request)?.seconds ?? MIN_SESSION_SECONDS) < MIN_SESSION_SECONDS;

/**
 * The headers that a 2xx must have. The interval stays as it was asked for, and the SRC refreshes whenever that may be
 * chosen (table 2): then it learns of a dead recorder, too. Without a Session-Expires in the request there is no timer.
 */
export function sessionTimerHeaders(request: SipRequest): Record<string, string> {
  const timer = requestedTimer(request);
  // One below 90 comes here only from a proxy in front of a sender that cannot be told: it may not be raised, nor kept.
  if (!timer || timer.seconds < MIN_SESSION_SECONDS) return {};
  if (!knowsTimers(request)) return { 'Session-Expires': `${timer.seconds};refresher=uas` };
  return { 'Session-Expires': `${timer.seconds};refresher=${timer.refresher ?? 'uac'}`, Require: 'timer' };
}
