/** The SIP headers that a recorder reads and writes, apart from those of session timers. */
import packageJson from '../../../package.json' with { type: 'json' };
import type { SipRequest } from './sip-server.ts';

/** Option tags that an SRC may require of us (RFC 3261 section 8.2.2.3). */
const SUPPORTED_EXTENSIONS = ['siprec', 'timer'];

/** In every answer: RFC 3261 sections 8.2.1, 11.2, 13.3.1. RFC 7866 section 11.1.1 keeps `siprec` out of Supported. */
export const COMMON_HEADERS = {
  Allow: 'INVITE, ACK, BYE, CANCEL, UPDATE, INFO, OPTIONS',
  Accept: 'application/sdp, multipart/mixed, application/rs-metadata+xml, application/rs-metadata',
  Supported: 'timer',
  Server: `siprec-ha/${packageJson.version}`,
} as const;

/** RFC 7866 section 6.2: `+sip.srs` in every Contact. The SIP server puts its own address for `localhost`. */
export const contact = ({ uri, transport }: SipRequest): string => {
  // RFC 3261 section 12.1.1: a request to a sips: URI wants a sips: Contact.
  const scheme = /^sips:/i.test(uri) ? 'sips' : 'sip';
  return `<${scheme}:srs@localhost${transport === 'udp' ? '' : `;transport=${transport}`}>;+sip.srs`;
};

/** The number of a request's CSeq. */
export const sequenceNumber = (request: SipRequest): number =>
  Number.parseInt(request.header('CSeq') ?? '', 10) || 0;

/** The entries of a header that is a list of tokens, as written. */
export const tokens = (request: SipRequest, header: string): string[] =>
  (request.header(header) ?? '').split(',').flatMap((token) => token.trim() || []);

/** What the sender requires and a recorder does not know: answered 420. */
export const unsupportedExtensions = (request: SipRequest): string[] =>
  tokens(request, 'Require').filter((tag) => !SUPPORTED_EXTENSIONS.includes(tag.toLowerCase()));

/** Whether a token, such as an option tag or a method, is in a header; without regard to case. */
export const lists = (request: SipRequest, header: string, token: string): boolean =>
  tokens(request, header).some((listed) => listed.toLowerCase() === token.toLowerCase());

/**
 * What the SIP server, too, knows the dialog of an INVITE by. Two with one key are the same call that came by two ways
 * (RFC 3261 section 8.2.2.2), and a second dialog would take the place of the first.
 */
export const dialogKey = (invite: SipRequest): string =>
  `${invite.callId};${/;\s*tag\s*=\s*([^;\s]+)/i.exec(invite.header('From') ?? '')?.[1] ?? ''}`;
