/** What drachtio-server adds to, and takes out of, the SIP messages of an application (`reference/siprec.md` 4.5). */
import { SipParseError } from '../sip/errors.ts';
import {
  type Header,
  header,
  parseFragment,
  type SipMessage,
  withHeader,
  withoutHeaders,
} from '../sip/message.ts';
import type { Protocol } from '../sip/transport.ts';

/** Our own address, as the application may not know it. */
export interface Local {
  protocol: Protocol;
  address: string;
  port: number;
}

/** Dropped, because the transaction or dialog dictates them. */
const IMMUTABLE = ['Via', 'Route', 'Record-Route', 'RSeq', 'Content-Length', 'From', 'To', 'Call-ID', 'CSeq'];
const LOCALHOST_HEADERS = new Set(['from', 'to', 'contact', 'p-asserted-identity']);

/** drachtio-srf sends names in lower case; these do not follow the rule of a capital after each hyphen. */
const UNUSUAL_NAMES: Record<string, string> = {
  'call-id': 'Call-ID',
  cseq: 'CSeq',
  'mime-version': 'MIME-Version',
  'min-se': 'Min-SE',
  rack: 'RAck',
};

function usualName(name: string): string {
  if (name !== name.toLowerCase()) return name;
  return UNUSUAL_NAMES[name] ?? name.replace(/(^|-)[a-z]/g, (letter) => letter.toUpperCase());
}

function replaceLocalhost([name, value]: Header, { address, port }: Local): Header {
  if (!LOCALHOST_HEADERS.has(name.toLowerCase())) return [name, value];
  return [
    name,
    value.replace(/(sips?:(?:[^@\s<>]*@)?)localhost(?::\d+)?(?=$|[;>?,\s])/gi, `$1${address}:${port}`),
  ];
}

/** As drachtio-server writes it: the transport named only if it is not UDP. */
export const contact = ({ protocol, address, port }: Local): string =>
  `<sip:${address}:${port}${protocol === 'udp' ? '' : `;transport=${protocol}`}>`;

/**
 * An application's message, parsed and completed with what does not depend on a transaction.
 * @param requireContentType whether a body without a type is refused; drachtio-server does so for requests only
 * @throws SipParseError on what cannot be read, or has a body of unknown type
 */
export function completeMessage(sip: Buffer, local: Local, requireContentType: boolean): SipMessage {
  const fragment = parseFragment(sip);
  const named = fragment.headers.map(([name, value]) => replaceLocalhost([usualName(name), value], local));
  const message = { ...fragment, headers: named };
  if (fragment.body.length === 0 || header(message, 'Content-Type') !== undefined) return message;
  if (fragment.body.toString('latin1', 0, 3) === 'v=0') {
    return { ...message, headers: withHeader(named, 'Content-Type', 'application/sdp') };
  }
  if (requireContentType) throw new SipParseError('missing content-type');
  return message;
}

/** The headers that an application may decide inside a transaction or dialog. */
export const ownHeaders = (message: SipMessage): Header[] => withoutHeaders(message.headers, ...IMMUTABLE);

/** Adds the Contact that dialogs need, unless the application gave one. */
export const withContact = (headers: readonly Header[], local: Local): readonly Header[] =>
  headers.some(([name]) => name.toLowerCase() === 'contact')
    ? headers
    : withHeader(headers, 'Contact', contact(local));
