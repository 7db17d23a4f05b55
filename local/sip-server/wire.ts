/**
 * drachtio-server's wire protocol between server and applications, as values (`reference/siprec.md` 4.1 to 4.3):
 * frames `<decimal byte length>#<message>`, messages `field|field|...` and, if SIP follows, CRLF and the raw SIP.
 */
import { randomUUID } from 'node:crypto';
import type { Peer } from '../sip/transport.ts';

/** More digits than this in a length disconnect an application (drachtio's client.cpp). */
const MAX_LENGTH_DIGITS = 5;
const HASH = '#'.charCodeAt(0);

/** Bytes of an application that are no frame. The connection cannot be read on. */
export class WireError extends Error {
  override readonly name = 'WireError';
}

export type AppMessage =
  | { type: 'authenticate'; id: string; secret: string }
  | { type: 'route' | 'remove_route'; id: string; verb: string }
  | { type: 'ping'; id: string }
  | { type: 'proxy'; id: string }
  | SipFromApp
  | { type: 'unknown'; id: string; name: string };

/** A SIP message of an application; empty strings for what it does not name. */
export interface SipFromApp {
  type: 'sip';
  id: string;
  transactionId: string;
  dialogId: string;
  /** Where to send a request outside a dialog, if not to its Request-URI. */
  routeUri: string;
  sip: Buffer;
}

/** Takes the next bytes of one connection, gives back the messages they complete. @throws WireError */
export function frameReader(): (chunk: Buffer) => Buffer[] {
  let pending: Buffer = Buffer.alloc(0);
  return (chunk) => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    const messages: Buffer[] = [];
    for (;;) {
      const hash = pending.indexOf(HASH);
      const digits = pending.toString('latin1', 0, hash < 0 ? MAX_LENGTH_DIGITS + 1 : hash);
      const complete = hash >= 0;
      if (digits.length > MAX_LENGTH_DIGITS || !(complete ? /^\d+$/ : /^\d*$/).test(digits)) {
        throw new WireError(`not a frame length of up to ${MAX_LENGTH_DIGITS} digits: ${digits}`);
      }
      const end = hash + 1 + Number(digits);
      if (!complete || pending.length < end) return messages;
      messages.push(pending.subarray(hash + 1, end));
      pending = pending.subarray(end);
    }
  };
}

export function encodeFrame(message: Buffer | string): Buffer {
  const bytes = Buffer.from(message);
  return Buffer.concat([Buffer.from(`${bytes.length}#`), bytes]);
}

export function parseAppMessage(message: Buffer): AppMessage {
  const crlf = message.indexOf('\r\n');
  const head = message.toString('utf8', 0, crlf < 0 ? message.length : crlf);
  const [id = '', type = '', first = '', second = '', third = ''] = head.split('|');
  switch (type) {
    case 'authenticate':
      return { type, id, secret: first };
    case 'route':
    case 'remove_route':
      return { type, id, verb: first.toLowerCase() };
    case 'ping':
    case 'proxy':
      return { type, id };
    case 'sip': {
      const sip = crlf < 0 ? Buffer.alloc(0) : message.subarray(crlf + 2);
      return { type, id, transactionId: first, dialogId: second, routeUri: third, sip };
    }
    default:
      return { type: 'unknown', id, name: type };
  }
}

/** Who made a SIP message, who is at its other end, and its bytes. */
export interface SipOnTheWire {
  source: 'network' | 'application';
  peer: Peer;
  bytes: Buffer;
}

const timeOfDay = (): string => new Date().toISOString().slice(11, 23);

/** `source|bytes|proto|addr|port|time` */
const meta = ({ source, peer, bytes }: SipOnTheWire): string[] => [
  source,
  String(bytes.length),
  peer.protocol,
  peer.address,
  String(peer.port),
  timeOfDay(),
];

function withSip(fields: readonly string[], sip: Buffer): Buffer {
  return encodeFrame(Buffer.concat([Buffer.from(`${fields.join('|')}\r\n`), sip]));
}

/** The answer to a message of the application: OK with fields, or NO / NOK with a reason. */
export const encodeReply = (id: string, verdict: 'OK' | 'NO' | 'NOK', ...fields: string[]): Buffer =>
  encodeFrame([randomUUID(), 'response', id, verdict, ...fields].join('|'));

/** A request outside any dialog, with the local address it came to. */
export function encodeNewRequest(
  sip: SipOnTheWire,
  transactionId: string,
  local: { address: string; port: number },
): Buffer {
  const receivedOn = [local.address, String(local.port)];
  return withSip([randomUUID(), 'sip', ...meta(sip), transactionId, '', ...receivedOn, ''], sip.bytes);
}

/** A request inside a dialog, a CANCEL, or a response. `transactionId` is `unsolicited` for a BYE of the server's own. */
export const encodeSip = (sip: SipOnTheWire, transactionId: string, dialogId: string): Buffer =>
  withSip([randomUUID(), 'sip', ...meta(sip), transactionId, dialogId, ''], sip.bytes);

export const encodeResponseSent = (
  id: string,
  sip: SipOnTheWire,
  transactionId: string,
  dialogId: string,
): Buffer =>
  withSip(
    [randomUUID(), 'response', id, 'OK', ...meta(sip), transactionId, dialogId, '', 'Msg sent:', ''],
    sip.bytes,
  );

export const encodeRequestSent = (id: string, sip: SipOnTheWire, transactionId: string): Buffer =>
  withSip([randomUUID(), 'response', id, 'OK', ...meta(sip), transactionId, 'Msg sent:', ''], sip.bytes);
