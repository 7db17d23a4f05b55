/** One request that we sent, until its final answer or its failure (RFC 3261 17.1, RFC 6026 7.2). */
import { SipStateError, type SipTransportError } from './errors.ts';
import {
  cseq,
  type Header,
  headerValues,
  makeRequest,
  requiredHeader,
  type SipRequest,
  type SipResponse,
  serialise,
  toTag,
} from './message.ts';
import { type Timing, timers } from './timing.ts';
import type { Peer } from './transport.ts';

/**
 * How a request ended. `provisional`: whether a 1xx had come. RFC 3263 4.3 tries the next server after a
 * transport error, a 503, or a timeout without any response; one that sent a 1xx is alive and has the request.
 */
export type Outcome =
  | { kind: 'response'; response: SipResponse }
  | { kind: 'timeout'; provisional: boolean }
  | { kind: 'transport-error'; provisional: boolean; error: SipTransportError };

/** What a client transaction needs from the layer. */
export interface ClientContext {
  timing: Timing;
  send(peer: Peer, bytes: Buffer): Promise<void>;
  withVia(request: SipRequest, destination: Peer): SipRequest;
  /** Starts another transaction with this very request (its Via is in place). */
  start(request: SipRequest, destination: Peer): ClientTransaction;
  onProvisional(response: SipResponse): void;
  onTerminated(): void;
}

type State = 'calling' | 'proceeding' | 'completed' | 'accepted' | 'terminated';

export class ClientTransaction {
  /** As it went out, with our Via. */
  readonly request: SipRequest;
  readonly destination: Peer;
  /** Never rejected: failures are outcomes. */
  readonly outcome: Promise<Outcome>;
  readonly #context: ClientContext;
  readonly #timers = timers();
  readonly #isInvite: boolean;
  #resolve: (outcome: Outcome) => void;
  #state: State = 'calling';
  #stopRetransmitting = () => {};
  #stopTimeout = () => {};
  #final: SipResponse | undefined;
  #ack: { bytes: Buffer; destination: Peer } | undefined;
  #cancel: { headers: readonly Header[]; transaction?: ClientTransaction } | undefined;

  /** Use `TransactionLayer.request`. */
  constructor(request: SipRequest, destination: Peer, context: ClientContext) {
    this.request = request;
    this.destination = destination;
    this.#context = context;
    this.#isInvite = request.method === 'INVITE';
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    this.outcome = promise;
    this.#resolve = resolve;
    this.#start();
  }

  #start(): void {
    const { timing } = this.#context;
    const bytes = serialise(this.request);
    this.#send(this.destination, bytes);
    if (this.destination.protocol === 'udp') {
      const maxMs = this.#isInvite ? Number.POSITIVE_INFINITY : timing.t2Ms;
      // Timers A and E.
      this.#stopRetransmitting = this.#timers.backingOff(timing.t1Ms, maxMs, () =>
        this.#send(this.destination, bytes),
      );
    }
    // Timers B and F.
    this.#stopTimeout = this.#timers.after(timing.t1x64Ms, () => this.#timeOut());
  }

  /**
   * Answers a 2xx to INVITE: sends the ACK, and sends it again for every retransmission of that 2xx
   * (RFC 3261 13.2.2.4).
   *
   * @param ack made by the dialog (`Dialog.ack`), without Via
   * @throws SipStateError if no 2xx has come
   */
  acknowledge(ack: SipRequest, destination: Peer): void {
    if (this.#state !== 'accepted') throw new SipStateError('only a 2xx to INVITE is acknowledged');
    this.#ack = { bytes: serialise(this.#context.withVia(ack, destination)), destination };
    this.#send(destination, this.#ack.bytes);
  }

  /**
   * Cancels an INVITE (RFC 3261 9.1): at once if a provisional response is there, else when one comes. The
   * outcome of the INVITE is then its 487, a final response that was faster, or `timeout` after 64 T1.
   * Nothing happens if it has ended already, or is being cancelled.
   */
  cancel(headers: readonly Header[] = []): void {
    if (!this.#isInvite) throw new SipStateError('only an INVITE is cancelled');
    if (this.#cancel || !this.#pending) return;
    this.#cancel = { headers };
    if (this.#state === 'proceeding') this.#sendCancel();
  }

  /** For the layer: a response that belongs to this transaction. */
  receive(response: SipResponse): void {
    if (response.status < 200) this.#receiveProvisional(response);
    else if (this.#pending) this.#receiveFinal(response);
    else if (this.#final && toTag(response) === toTag(this.#final)) this.#acknowledgeAgain();
  }

  /** For the layer: the network failed under this transaction. */
  fail(error: SipTransportError): void {
    if (!this.#pending) return;
    this.#resolve({ kind: 'transport-error', provisional: this.#state === 'proceeding', error });
    this.#terminate();
  }

  /** For the layer: stops all timers. */
  close(error: SipTransportError): void {
    this.fail(error);
    this.#terminate();
  }

  get #pending(): boolean {
    return this.#state === 'calling' || this.#state === 'proceeding';
  }

  #receiveProvisional(response: SipResponse): void {
    if (!this.#pending) return;
    const first = this.#state === 'calling';
    this.#state = 'proceeding';
    if (this.#isInvite && first) {
      this.#stopRetransmitting();
      this.#stopTimeout();
      if (this.#cancel) this.#sendCancel();
    }
    this.#context.onProvisional(response);
  }

  #receiveFinal(response: SipResponse): void {
    const { timing } = this.#context;
    this.#timers.clear();
    this.#stopRetransmitting();
    this.#final = response;
    const accepted = this.#isInvite && response.status < 300;
    this.#state = accepted ? 'accepted' : 'completed';
    if (this.#isInvite && !accepted) {
      this.#ack = { bytes: serialise(this.#ackForFailure(response)), destination: this.destination };
      this.#send(this.destination, this.#ack.bytes);
    }
    // Timers M, D and K: absorb retransmissions of the final response.
    const inviteMs = accepted || this.destination.protocol === 'udp' ? timing.t1x64Ms : 0;
    const otherMs = this.destination.protocol === 'udp' ? timing.t4Ms : 0;
    this.#timers.after(this.#isInvite ? inviteMs : otherMs, () => this.#terminate());
    this.#resolve({ kind: 'response', response });
  }

  #acknowledgeAgain(): void {
    if (this.#ack) this.#send(this.#ack.destination, this.#ack.bytes);
  }

  #sendCancel(): void {
    const cancel = this.#cancel;
    if (!cancel || cancel.transaction) return;
    const request = this.#sameHop('CANCEL', requiredHeader(this.request, 'To'), cancel.headers);
    cancel.transaction = this.#context.start(request, this.destination);
    this.#timers.after(this.#context.timing.t1x64Ms, () => this.#timeOut());
  }

  #ackForFailure(response: SipResponse): SipRequest {
    return this.#sameHop('ACK', requiredHeader(response, 'To'), []);
  }

  /** CANCEL (RFC 3261 9.1) and the ACK of a failure (17.1.1.3) repeat what routed the INVITE. */
  #sameHop(method: string, to: string, headers: readonly Header[]): SipRequest {
    const { request } = this;
    return makeRequest(method, request.uri, [
      ['Via', headerValues(request, 'Via')[0] ?? ''],
      ['Max-Forwards', '70'],
      ...headerValues(request, 'Route').map((route): Header => ['Route', route]),
      ['From', requiredHeader(request, 'From')],
      ['To', to],
      ['Call-ID', requiredHeader(request, 'Call-ID')],
      ['CSeq', `${cseq(request).seq} ${method}`],
      ...headers,
    ]);
  }

  #send(peer: Peer, bytes: Buffer): void {
    this.#context.send(peer, bytes).catch((error: SipTransportError) => this.fail(error));
  }

  #timeOut(): void {
    this.#resolve({ kind: 'timeout', provisional: this.#state === 'proceeding' });
    this.#terminate();
  }

  #terminate(): void {
    this.#timers.clear();
    this.#stopRetransmitting();
    if (this.#state === 'terminated') return;
    this.#state = 'terminated';
    this.#context.onTerminated();
  }
}
