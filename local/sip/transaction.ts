/** The transaction layer: matches messages to transactions, answers what needs no transaction user (RFC 3261 17). */
import { EventEmitter } from 'node:events';
import { type ClientContext, ClientTransaction } from './client-transaction.ts';
import { type SipParseError, SipTransportError } from './errors.ts';
import {
  callId,
  cseq,
  fromTag,
  header,
  isRequest,
  makeResponse,
  type SipMessage,
  type SipRequest,
  type SipResponse,
  serialise,
  topVia,
} from './message.ts';
import { responseDestination, type ServerFailure, ServerTransaction } from './server-transaction.ts';
import { type Timing, timing } from './timing.ts';
import type { Peer, SipTransport } from './transport.ts';
import { BRANCH_COOKIE, formatVia, newBranch, newTag, splitOutsideQuotes, type Via } from './values.ts';

export type { ClientTransaction, Outcome } from './client-transaction.ts';
export type { ResponseOptions, ServerFailure, ServerTransaction } from './server-transaction.ts';

export interface LayerOptions {
  /** T1 in ms, from which every timer derives; default 500. */
  t1Ms?: number;
  /** Treat every request as if it asked for rport (drachtio-server does). Default false: RFC 3581. */
  forceRport?: boolean;
}

interface LayerEvents {
  /** A new request, never a retransmission, an ACK or a CANCEL. It must be answered with `respond`. */
  request: [transaction: ServerTransaction];
  /** An ACK that belongs to a 2xx, retransmissions included. */
  ack: [ack: SipRequest, source: Peer];
  /** An INVITE without final response is cancelled. The CANCEL has its 200; answer the INVITE with 487. */
  cancel: [invite: ServerTransaction, cancel: SipRequest, source: Peer];
  /** A response that belongs to no transaction, such as a late one. */
  stray: [response: SipResponse, source: Peer];
  /** No usable message. It has been answered where that was possible. */
  malformed: [error: SipParseError, source: Peer];
  /** An answer did not arrive. The transaction has ended. */
  failed: [transaction: ServerTransaction, failure: ServerFailure];
}

/** Identifies a server transaction (RFC 3261 17.2.3); an ACK or CANCEL has the key of its INVITE. */
function serverKey(request: SipRequest): string {
  const via = topVia(request);
  const branch = via.params.get('branch');
  const method = request.method === 'ACK' || request.method === 'CANCEL' ? 'INVITE' : request.method;
  // RFC 4475 3.2.1: the cookie alone is no branch, and tells nobody apart.
  if (branch?.startsWith(BRANCH_COOKIE) && branch !== BRANCH_COOKIE)
    return [branch, via.host, via.port ?? 5060, method].join('|');
  // RFC 2543 peers: without To tag, which an ACK has and its INVITE has not.
  return [callId(request), fromTag(request), cseq(request).seq, via.host, via.port, branch, method].join('|');
}

const clientKey = (branch: string | undefined, method: string): string => `${branch}|${method}`;

/** Fills `received` and `rport` (RFC 3261 18.2.1, RFC 3581 4). */
function noteSource(request: SipRequest, source: Peer, forceRport: boolean): SipRequest {
  const via = topVia(request);
  const wantsRport = forceRport || via.params.has('rport');
  if (!wantsRport && via.host === source.address) return request;
  const params = new Map(via.params).set('received', source.address);
  if (wantsRport) params.set('rport', String(source.port));
  const [, ...others] = splitOutsideQuotes(header(request, 'Via') ?? '', ',');
  const value = [formatVia({ ...via, params }), ...others].join(', ');
  const index = request.headers.findIndex(([name]) => name.toLowerCase() === 'via');
  return { ...request, headers: request.headers.with(index, ['Via', value]) };
}

export class TransactionLayer extends EventEmitter<LayerEvents> {
  readonly transport: SipTransport;
  readonly timing: Timing;
  readonly #forceRport: boolean;
  readonly #clients = new Map<string, ClientTransaction>();
  readonly #servers = new Map<string, ServerTransaction>();

  /** The transport is used, not owned: close it after the layer. */
  constructor(transport: SipTransport, { t1Ms, forceRport = false }: LayerOptions = {}) {
    super();
    this.transport = transport;
    this.timing = timing(t1Ms);
    this.#forceRport = forceRport;
    transport.on('message', (message, source) => this.#receive(message, source));
    transport.on('malformed', (error, source) => this.#refuse(error, source));
    transport.on('disconnected', (peer, error) => this.#disconnected(peer, error));
  }

  /**
   * Sends a request in a new client transaction.
   *
   * @param request without our Via, which is added; not an ACK
   * @param handlers.onProvisional called for every 1xx, 100 included
   */
  request(
    request: SipRequest,
    destination: Peer,
    handlers: { onProvisional?: (response: SipResponse) => void } = {},
  ): ClientTransaction {
    return this.#start(this.withVia(request, destination), destination, handlers.onProvisional);
  }

  /** The request with a Via of ours on top and a new branch, for what is sent outside a transaction. */
  withVia(request: SipRequest, destination: Peer): SipRequest {
    const { address } = this.transport;
    const via: Via = {
      protocol: destination.protocol,
      host: address.includes(':') ? `[${address}]` : address,
      port: this.transport.portOf(destination.protocol),
      params: new Map([
        ['branch', newBranch()],
        ['rport', undefined],
      ]),
    };
    return { ...request, headers: [['Via', formatVia(via)], ...request.headers] };
  }

  /** Ends every transaction: pending requests get a `transport-error` with code ECLOSED. */
  close(): void {
    const error = new SipTransportError('the transaction layer has been closed', 'ECLOSED');
    for (const transaction of [...this.#clients.values()]) transaction.close(error);
    for (const transaction of [...this.#servers.values()]) transaction.close();
  }

  #start(
    request: SipRequest,
    destination: Peer,
    onProvisional: ClientContext['onProvisional'] = () => {},
  ): ClientTransaction {
    const key = clientKey(topVia(request).params.get('branch'), request.method);
    const transaction = new ClientTransaction(request, destination, {
      timing: this.timing,
      send: (peer, bytes) => this.transport.send(peer, bytes),
      withVia: (other, peer) => this.withVia(other, peer),
      start: (other, peer) => this.#start(other, peer),
      onProvisional,
      onTerminated: () => this.#clients.delete(key),
    });
    this.#clients.set(key, transaction);
    return transaction;
  }

  #receive(message: SipMessage, source: Peer): void {
    if (isRequest(message)) this.#receiveRequest(noteSource(message, source, this.#forceRport), source);
    else this.#receiveResponse(message, source);
  }

  #receiveResponse(response: SipResponse, source: Peer): void {
    const key = clientKey(topVia(response).params.get('branch'), cseq(response).method);
    const transaction = this.#clients.get(key);
    if (transaction) transaction.receive(response);
    else this.emit('stray', response, source);
  }

  #receiveRequest(request: SipRequest, source: Peer): void {
    const key = serverKey(request);
    const known = this.#servers.get(key);
    if (request.method === 'ACK') {
      if (!known?.receiveAck()) this.emit('ack', request, source);
    } else if (request.method === 'CANCEL') {
      this.#receiveCancel(request, source, known);
    } else if (known) {
      known.receiveAgain();
    } else {
      const transaction = this.#serve(key, request, source);
      if (!this.emit('request', transaction)) transaction.respond(501);
    }
  }

  #receiveCancel(cancel: SipRequest, source: Peer, invite: ServerTransaction | undefined): void {
    const key = `CANCEL|${serverKey(cancel)}`;
    const known = this.#servers.get(key);
    if (known) {
      known.receiveAgain();
      return;
    }
    const transaction = this.#serve(key, cancel, source);
    transaction.respond(invite ? 200 : 481);
    if (invite && !invite.answered) this.emit('cancel', invite, cancel, source);
  }

  #serve(key: string, request: SipRequest, source: Peer): ServerTransaction {
    const transaction: ServerTransaction = new ServerTransaction(request, source, {
      timing: this.timing,
      send: (peer, bytes) => this.transport.send(peer, bytes),
      onFailure: (failure) => this.emit('failed', transaction, failure),
      onTerminated: () => this.#servers.delete(key),
    });
    this.#servers.set(key, transaction);
    return transaction;
  }

  /** Statelessly, since what came may not even be matched to itself again. */
  #refuse(error: SipParseError, source: Peer): void {
    if (error.request) {
      const request = noteSource(error.request, source, this.#forceRport);
      const response = makeResponse(request, error.status, { toTag: newTag() });
      // Nobody waits for this answer to arrive: a peer that sends rubbish and is gone needs no report.
      this.transport.send(responseDestination(request, source), serialise(response)).catch(() => undefined);
    }
    this.emit('malformed', error, source);
  }

  /** RFC 3261 17.1.4: a request whose connection is gone is reported at once, not after 32 seconds. */
  #disconnected({ protocol, address, port }: Peer, cause: Error | undefined): void {
    const error = new SipTransportError(
      `connection to ${protocol} ${address}:${port} is gone${cause ? `: ${cause.message}` : ''}`,
      (cause as NodeJS.ErrnoException | undefined)?.code ?? 'ECONNRESET',
      cause,
    );
    for (const transaction of [...this.#clients.values()]) {
      const { destination } = transaction;
      const same = destination.protocol === protocol && destination.address === address;
      if (same && destination.port === port) transaction.fail(error);
    }
  }
}
