/** One request that we received, until it is answered and its retransmissions have died out (RFC 3261 17.2, RFC 6026 7.1). */
import { SipStateError, type SipTransportError } from './errors.ts';
import {
  type Header,
  makeResponse,
  type SipRequest,
  type SipResponse,
  serialise,
  topVia,
} from './message.ts';
import { type Timing, timers } from './timing.ts';
import { defaultPort, type Peer } from './transport.ts';
import { newTag } from './values.ts';

/** Why an answer did not arrive: nobody acknowledged a failure response, or it could not be sent. */
export type ServerFailure = { kind: 'timeout' } | { kind: 'transport-error'; error: SipTransportError };

export interface ResponseOptions {
  reason?: string;
  headers?: readonly Header[];
  body?: Buffer | string;
}

/** What a server transaction needs from the layer. */
export interface ServerContext {
  timing: Timing;
  send(peer: Peer, bytes: Buffer): Promise<void>;
  onFailure(failure: ServerFailure): void;
  onTerminated(): void;
}

type State = 'proceeding' | 'completed' | 'accepted' | 'confirmed' | 'terminated';

/**
 * Where a response goes (RFC 3261 18.2.2, RFC 3581 4): over TCP and TLS back on the connection, over UDP to the source
 * port if the request asked for rport, else to the port in Via.
 */
export function responseDestination(request: SipRequest, source: Peer): Peer {
  const via = topVia(request);
  if (source.protocol !== 'udp' || via.params.has('rport')) return source;
  return { ...source, port: via.port ?? 5060 };
}

export class ServerTransaction {
  /** As received, with `received` and `rport` filled in the top Via. */
  readonly request: SipRequest;
  readonly source: Peer;
  /** The To tag of every answer, if the request has none. */
  readonly localTag = newTag();
  readonly #context: ServerContext;
  readonly #timers = timers();
  readonly #isInvite: boolean;
  readonly #destination: Peer;
  #state: State = 'proceeding';
  #last: Buffer | undefined;

  /** Made by the layer. */
  constructor(request: SipRequest, source: Peer, context: ServerContext) {
    this.request = request;
    this.source = source;
    this.#context = context;
    this.#isInvite = request.method === 'INVITE';
    this.#destination = responseDestination(request, source);
  }

  /** Whether a final response has been sent. */
  get answered(): boolean {
    return this.#state !== 'proceeding';
  }

  /**
   * Sends a response and gives it back as sent. Via, From, To (with our tag), Call-ID, CSeq and Record-Route are
   * those of the request. Retransmitting a 2xx to INVITE until its ACK is the caller's (`retransmit`).
   * @throws SipStateError after a final response
   */
  respond(status: number, options: ResponseOptions = {}): SipResponse {
    if (this.answered) throw new SipStateError(`${this.request.method} already has its final response`);
    const toTag = status > 100 ? { toTag: this.localTag } : {};
    const response = makeResponse(this.request, status, { ...options, ...toTag });
    this.#last = serialise(response);
    this.#send(this.#last);
    if (status >= 200) this.#complete(status);
    return response;
  }

  /** Sends the last response again. */
  retransmit(): void {
    if (this.#last) this.#send(this.#last);
  }

  /** For the layer: the same request again. */
  receiveAgain(): void {
    // A 2xx is retransmitted by the transaction user alone (RFC 6026 7.1).
    if (this.#state !== 'accepted' && this.#state !== 'confirmed') this.retransmit();
  }

  /** For the layer: an ACK with our branch. True if it was for a failure response, hence ends here. */
  receiveAck(): boolean {
    if (this.#state === 'accepted') return false;
    if (this.#state === 'completed') {
      this.#state = 'confirmed';
      this.#timers.clear();
      this.#linger(this.source.protocol === 'udp' ? this.#context.timing.t4Ms : 0);
    }
    return true;
  }

  /** For the layer: stops all timers. */
  close(): void {
    this.#terminate();
  }

  #complete(status: number): void {
    const { timing } = this.#context;
    const unreliable = this.source.protocol === 'udp';
    if (this.#isInvite && status >= 300) {
      this.#state = 'completed';
      // Timers G and H.
      if (unreliable) this.#timers.backingOff(timing.t1Ms, timing.t2Ms, () => this.retransmit());
      this.#timers.after(timing.t1x64Ms, () => {
        this.#context.onFailure({ kind: 'timeout' });
        this.#terminate();
      });
      return;
    }
    this.#state = this.#isInvite ? 'accepted' : 'completed';
    // Timers L and J: absorb retransmissions of the request.
    this.#linger(this.#isInvite || unreliable ? timing.t1x64Ms : 0);
  }

  #linger(ms: number): void {
    this.#timers.after(ms, () => this.#terminate());
  }

  #send(bytes: Buffer): void {
    const { send } = this.#context;
    const { protocol, address } = this.source;
    const { port = defaultPort(protocol) } = topVia(this.request);
    send(this.#destination, bytes)
      .catch((error: SipTransportError) => {
        // RFC 3261 18.2.2: the connection is gone; the port in Via may take a new one.
        if (protocol === 'udp') throw error;
        return send({ protocol, address, port }, bytes);
      })
      .catch((error: SipTransportError) => {
        this.#context.onFailure({ kind: 'transport-error', error });
        this.#terminate();
      });
  }

  #terminate(): void {
    this.#timers.clear();
    if (this.#state === 'terminated') return;
    this.#state = 'terminated';
    this.#context.onTerminated();
  }
}
