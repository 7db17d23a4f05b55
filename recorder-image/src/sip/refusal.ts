/** Why a request is not granted, and what its sender is told (`reference`: RFC 3261 section 21, RFC 7866 section 6.2). */
import { randomInt } from 'node:crypto';
import { SdpError } from '../sdp/offer.ts';
import { NothingToRecordError, SessionOverError } from './recording-session.ts';
import { MIN_SESSION_SECONDS } from './session-timer.ts';

export interface Refusal {
  status: number;
  why: string;
  headers?: Record<string, string>;
}

/** RFC 3261 section 20.43. */
const WARNINGS = { mediaType: 304, mediaFormat: 305, miscellaneous: 399 } as const;

/** Seconds that an SRC should stay away from a recorder that is going, or whose region is closed. */
const NODE_RETRY_AFTER = '60';
/** RFC 3261 section 14.2: chosen between 0 and 10, so that both ends don't meet again. */
const MAX_OVERLAP_RETRY_SECONDS = 10;

/** With a Warning, which tells the SRC's operator. */
export const refuse = (
  status: number,
  why: string,
  warning: keyof typeof WARNINGS = 'miscellaneous',
): Refusal => ({
  status,
  why,
  headers: { Warning: `${WARNINGS[warning]} siprec-ha "${why.replaceAll(/["\\\r\n]/g, ' ')}"` },
});

export const FOREIGN: Refusal = {
  status: 403,
  why: 'the address is in no network of a source of the deployment',
};
export const DRAINING: Refusal = {
  status: 503,
  why: 'draining',
  headers: { 'Retry-After': NODE_RETRY_AFTER },
};
export const REGION_CLOSED: Refusal = {
  status: 503,
  why: 'the region is closed',
  headers: { 'Retry-After': NODE_RETRY_AFTER },
};
/** Without Retry-After: only this call goes elsewhere, the next may find room (RFC 3261 section 21.5.4). */
export const FULL: Refusal = { status: 503, why: 'full' };
export const INTERVAL_TOO_SMALL: Refusal = {
  status: 422,
  why: 'session interval too small',
  headers: { 'Min-SE': String(MIN_SESSION_SECONDS) },
};
/** RFC 3261 section 8.2.3; what is understood is in Accept, as in every answer. */
export const NOT_UNDERSTOOD: Refusal = {
  status: 415,
  why: 'a part of the body that must be understood is not',
};
/** RFC 3261 section 8.2.2.2. */
export const MERGED: Refusal = { status: 482, why: 'the same INVITE came by another way' };
export const METHOD_NOT_ALLOWED: Refusal = { status: 405, why: 'method not allowed' };
export const NO_DIALOG: Refusal = { status: 481, why: 'there is no dialog' };
/** RFC 3311 section 5.2: our offer has no answer yet. */
export const OFFER_PENDING: Refusal = { status: 491, why: 'an offer of ours has no answer yet' };

/** RFC 3261 section 12.2.2. */
export const OUT_OF_ORDER: Refusal = { status: 500, why: 'its CSeq is below that of an earlier request' };

/** A request that must wait for the answer to another (RFC 3261 section 14.2, RFC 3311 section 5.2). */
export const overlap = (): Refusal => ({
  status: 500,
  why: 'another request of the dialog has no answer yet',
  headers: { 'Retry-After': String(randomInt(MAX_OVERLAP_RETRY_SECONDS + 1)) },
});

export const unsupported = (extensions: string[]): Refusal => ({
  status: 420,
  why: 'unknown extension',
  headers: { Unsupported: extensions.join(', ') },
});

/** Whatever is not the SRC's mistake is ours: a 503 sends the call to the next recorder (RFC 3263 section 4.3). */
export function refusalFor(error: unknown): Refusal {
  if (error instanceof NothingToRecordError)
    return refuse(488, error.message, error.hasAudio ? 'mediaFormat' : 'mediaType');
  if (error instanceof SdpError) return refuse(488, error.message);
  return { status: 503, why: 'it cannot be recorded here' };
}

/** Inside a dialog there is no next recorder; what its end overtakes is told so (RFC 3261 section 15.1.2). */
export function refusalInDialog(error: unknown): Refusal {
  if (error instanceof SessionOverError) return { status: 487, why: error.message };
  const refusal = refusalFor(error);
  return refusal.status === 503 ? { ...refusal, status: 500 } : refusal;
}
