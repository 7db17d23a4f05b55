/** What can go wrong below the transaction user. */
import type { SipRequest } from './message.ts';

/**
 * Bytes that are not a SIP message we can work with.
 *
 * `request` is set when it was a request of which enough is readable to answer it with `status`
 * (RFC 3261 8.2.6: a usable top Via is there).
 */
export class SipParseError extends Error {
  override readonly name = 'SipParseError';
  readonly status: number;
  readonly request: SipRequest | undefined;

  constructor(message: string, { status = 400, request }: { status?: number; request?: SipRequest } = {}) {
    super(message);
    this.status = status;
    this.request = request;
  }
}

/** A local port could not be opened, or a message could not be handed to the network. */
export class SipTransportError extends Error {
  override readonly name = 'SipTransportError';
  /** System error code such as ECONNREFUSED or EADDRINUSE, or ECLOSED when the transport itself was closed. */
  readonly code: string;

  constructor(message: string, code: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

/** The transaction user asked for what the transaction's state forbids, such as a second final response. */
export class SipStateError extends Error {
  override readonly name = 'SipStateError';
}
