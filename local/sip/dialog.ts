/** A dialog: the state that in-dialog requests are made of and checked against (RFC 3261 section 12). */
import { SipParseError } from './errors.ts';
import {
  callId,
  cseq,
  type Header,
  headerValues,
  makeRequest,
  requiredHeader,
  type SipMessage,
  type SipRequest,
  type SipResponse,
} from './message.ts';
import { defaultPort, type Peer, type Protocol } from './transport.ts';
import { parseNameAddr, parseUri } from './values.ts';

export class Dialog {
  readonly callId: string;
  readonly localTag: string;
  readonly remoteTag: string;
  /** Our From and the other side's, as header values with their tags. */
  readonly local: string;
  readonly remote: string;
  /** The other side's Contact URI: the Request-URI of what we send. */
  remoteTarget: string;
  /** Route values, first hop first. */
  readonly routeSet: readonly string[];
  /** CSeq of our last request. */
  localSeq: number;

  private constructor(
    parts: Pick<Dialog, 'callId' | 'local' | 'remote' | 'remoteTarget' | 'routeSet' | 'localSeq'>,
  ) {
    this.callId = parts.callId;
    this.local = parts.local;
    this.remote = parts.remote;
    this.localTag = parseNameAddr(parts.local).params.get('tag') ?? '';
    this.remoteTag = parseNameAddr(parts.remote).params.get('tag') ?? '';
    this.remoteTarget = parts.remoteTarget;
    this.routeSet = parts.routeSet;
    this.localSeq = parts.localSeq;
  }

  /** From our request and its 2xx (or tagged 1xx). Without a usable Contact the To URI is the target. */
  static asClient(request: SipRequest, response: SipResponse): Dialog {
    return new Dialog({
      callId: callId(response),
      local: requiredHeader(response, 'From'),
      remote: requiredHeader(response, 'To'),
      remoteTarget: contactUri(response) ?? parseNameAddr(requiredHeader(response, 'To')).uri,
      routeSet: recordRoute(response).reverse(),
      localSeq: cseq(request).seq,
    });
  }

  /** From their request and our response to it. Without a usable Contact the From URI is the target. */
  static asServer(request: SipRequest, response: SipResponse): Dialog {
    return new Dialog({
      callId: callId(request),
      local: requiredHeader(response, 'To'),
      remote: requiredHeader(request, 'From'),
      remoteTarget: contactUri(request) ?? parseNameAddr(requiredHeader(request, 'From')).uri,
      routeSet: recordRoute(request),
      localSeq: 0,
    });
  }

  /** The next request in this dialog, without Via. For the ACK of a 2xx use `ack`. */
  request(method: string, headers: readonly Header[] = [], body?: Buffer | string): SipRequest {
    this.localSeq++;
    return this.#make(method, this.localSeq, headers, body);
  }

  /** The ACK of a 2xx to the INVITE with that CSeq, without Via (RFC 3261 13.2.2.4). */
  ack(inviteSeq: number, headers: readonly Header[] = [], body?: Buffer | string): SipRequest {
    return this.#make('ACK', inviteSeq, headers, body);
  }

  /** Target refresh (RFC 3261 12.2): after a re-INVITE or UPDATE, or a 2xx to one. No usable Contact, no change. */
  refreshTarget(message: SipMessage): void {
    this.remoteTarget = contactUri(message) ?? this.remoteTarget;
  }

  /** The URI where its requests go next: the first route, or the remote target. */
  get nextHop(): string {
    const [route] = this.routeSet;
    return route === undefined ? this.remoteTarget : parseNameAddr(route).uri;
  }

  #make(method: string, seq: number, headers: readonly Header[], body?: Buffer | string): SipRequest {
    const { uri, routes } = this.#route();
    return makeRequest(
      method,
      uri,
      [
        ['Max-Forwards', '70'],
        ...routes.map((route): Header => ['Route', route]),
        ['From', this.local],
        ['To', this.remote],
        ['Call-ID', this.callId],
        ['CSeq', `${seq} ${method}`],
        ...headers,
      ],
      body,
    );
  }

  /** RFC 3261 12.2.1.1: a first hop without `lr` is a strict router and takes the Request-URI. */
  #route(): { uri: string; routes: readonly string[] } {
    const [first, ...others] = this.routeSet;
    if (first === undefined) return { uri: this.remoteTarget, routes: [] };
    const { uri } = parseNameAddr(first);
    if (parseUri(uri).params.has('lr')) return { uri: this.remoteTarget, routes: this.routeSet };
    return { uri, routes: [...others, `<${this.remoteTarget}>`] };
  }
}

/** What a peer writes here is not checked on arrival, so what cannot be used is left out. */
function usable(nameAddr: string): string | undefined {
  try {
    const { uri } = parseNameAddr(nameAddr);
    parseUri(uri);
    return uri;
  } catch (error) {
    if (error instanceof SipParseError) return undefined;
    throw error;
  }
}

const contactUri = (message: SipMessage): string | undefined =>
  usable(headerValues(message, 'Contact')[0] ?? '');

const recordRoute = (message: SipMessage): string[] =>
  headerValues(message, 'Record-Route').filter((route) => usable(route) !== undefined);

/**
 * Where a `sip:` or `sips:` URI with an address leads without DNS (RFC 3263 4.1, 4.2): its transport or UDP, its port
 * or the transport's own. A host name is left to the system's resolver. @throws SipParseError if it is no SIP URI
 */
export function uriDestination(uri: string): Peer {
  const { scheme, host, port, params } = parseUri(uri);
  // RFC 3261 26.2.2: a sips URI is reached over TLS, whatever transport it names below that.
  const transport = scheme === 'sips' ? 'tls' : params.get('transport')?.toLowerCase();
  const protocol: Protocol = transport === 'tcp' || transport === 'tls' ? transport : 'udp';
  return { protocol, address: host.replace(/^\[(.*)\]$/, '$1'), port: port ?? defaultPort(protocol) };
}
