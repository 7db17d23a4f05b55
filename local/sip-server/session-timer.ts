/** Session-Expires as drachtio-server negotiates it (RFC 4028, `reference/siprec.md` 5.6). */
import { type Header, header, type SipMessage } from '../sip/message.ts';
import { parseParams } from '../sip/values.ts';

/** Smallest interval that is accepted, in seconds (RFC 4028 section 5). */
export const MIN_SESSION_SECONDS = 90;

export interface SessionExpires {
  seconds: number;
  /** As written; undefined if the sender leaves it open. */
  refresher?: 'uac' | 'uas';
}

export function sessionExpires(message: SipMessage): SessionExpires | undefined {
  const value = header(message, 'Session-Expires');
  const seconds = Number.parseInt(value ?? '', 10);
  if (value === undefined || Number.isNaN(seconds)) return undefined;
  const refresher = parseParams(value.slice(value.indexOf(';') + 1))
    .get('refresher')
    ?.toLowerCase();
  return refresher === 'uac' || refresher === 'uas' ? { seconds, refresher } : { seconds };
}

/**
 * The timer of a new dialog, and the header that announces it: the application's own if it gave one, else the
 * offer's if that names a refresher. An offer that names none is declined (drachtio's `default-refresher="none"`).
 */
export function answerSessionTimer(
  invite: SipMessage,
  answer: SipMessage,
): { timer?: SessionExpires; headers: readonly Header[] } {
  const own = sessionExpires(answer);
  if (own) return { timer: { ...own, seconds: Math.max(own.seconds, MIN_SESSION_SECONDS) }, headers: [] };
  const offer = sessionExpires(invite);
  if (!offer?.refresher) return { headers: [] };
  const seconds = Math.max(offer.seconds, MIN_SESSION_SECONDS);
  return {
    timer: { seconds, refresher: offer.refresher },
    headers: [['Session-Expires', `${seconds};refresher=${offer.refresher}`]],
  };
}
