/** An SRC under the control of a test: every request when the test wants it, and media in bursts instead of real time. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { parse } from 'sdp-transform';
import { makeCall, type Shape, type SimulatedCall, type StreamMode } from '../../local/broadworks/call.ts';
import { CODECS, type Codec } from '../../local/broadworks/g711.ts';
import { contact, makeInvite } from '../../local/broadworks/messages.ts';
import { encodeRtp, type RtpDestination, tonePairs, tonePayload } from '../../local/broadworks/rtp-tone.ts';
import { makeOffer } from '../../local/broadworks/sdp.ts';
import { Dialog } from '../../local/sip/dialog.ts';
import {
  callId,
  cseq,
  type Header,
  makeRequest,
  type SipRequest,
  type SipResponse,
} from '../../local/sip/message.ts';
import { type ClientTransaction, TransactionLayer } from '../../local/sip/transaction.ts';
import { openTransport, type Peer, type Protocol, type TlsOptions } from '../../local/sip/transport.ts';
import { newCallId, newTag } from '../../local/sip/values.ts';
import { HOST } from './recorder.ts';

const PLATFORM = { domain: 'recorder.example.com' };
export const PACKETS_PER_SECOND = 50;

export interface CallShape {
  transport?: Protocol;
  mode?: StreamMode;
  shape?: Shape;
  codec?: Codec;
}

export class Src {
  readonly layer: TransactionLayer;
  readonly #recorder: Omit<Peer, 'protocol'>;
  readonly #calls = new Map<string, SrcCall>();
  readonly #speakers: Speaker[] = [];
  #callNumber = 0;

  /** @param tls what it shows, and whom it trusts; `sipPort` is then that for TLS */
  static async start(sipPort: number, tls?: TlsOptions): Promise<Src> {
    const transport = await openTransport({ address: HOST, port: 0, ...(tls && { tls }) });
    return new Src(new TransactionLayer(transport), sipPort);
  }

  private constructor(layer: TransactionLayer, sipPort: number) {
    this.layer = layer;
    this.#recorder = { address: HOST, port: sipPort };
    layer.on('request', (transaction) => {
      transaction.respond(200);
      if (transaction.request.method === 'BYE')
        this.#calls.get(callId(transaction.request))?.endedByRecorder.resolve(transaction.request);
    });
  }

  /** A call that is described, and not yet offered. Odd ones are outgoing, even ones incoming. */
  async call({
    transport = 'udp',
    mode = 'dual',
    shape = 'broadworks',
    codec = 'pcmu',
  }: CallShape = {}): Promise<SrcCall> {
    const callNumber = ++this.#callNumber;
    const pair = tonePairs()[callNumber] as [number, number];
    const tones = mode === 'dual' ? pair.map((hz) => [hz]) : [pair];
    const speakers: Speaker[] = [];
    for (const hz of tones) speakers.push(await this.speaker(codec, hz));
    const rtpPorts = speakers.map(({ port }) => port);
    const facts = makeCall({ callNumber, localAddress: HOST, codec, mode, rtpPorts });
    return this.#register(
      new SrcCall(this, { ...this.#recorder, protocol: transport }, facts, shape, speakers),
    );
  }

  /** A dual-stream call whose media somebody else sends, from these ports. */
  callFromPorts(rtpPorts: number[]): SrcCall {
    const callNumber = ++this.#callNumber;
    const facts = makeCall({ callNumber, localAddress: HOST, codec: 'pcmu', mode: 'dual', rtpPorts });
    return this.#register(new SrcCall(this, { ...this.#recorder, protocol: 'udp' }, facts, 'broadworks', []));
  }

  #register(call: SrcCall): SrcCall {
    this.#calls.set(call.facts.sipCallId, call);
    return call;
  }

  async speaker(codec: Codec, frequenciesHz: number[], address: string = HOST): Promise<Speaker> {
    const speaker = await Speaker.open(codec, frequenciesHz, address);
    this.#speakers.push(speaker);
    return speaker;
  }

  /** A request outside any dialog. */
  async request(method: string, transport: Protocol = 'udp', extra: Header[] = []): Promise<SipResponse> {
    const request = makeRequest(method, `sip:${PLATFORM.domain}`, [
      ['Max-Forwards', '70'],
      ['From', `<sip:src@example.com>;tag=${newTag()}`],
      ['To', `<sip:${PLATFORM.domain}>`],
      ['Call-ID', newCallId('example.com')],
      ['CSeq', `1 ${method}`],
      ...extra,
    ]);
    return finalOf(this.layer.request(request, { ...this.#recorder, protocol: transport }));
  }

  async close(): Promise<void> {
    this.layer.close();
    await this.layer.transport.close();
    await Promise.all(this.#speakers.map((speaker) => speaker.close()));
  }
}

export async function finalOf(transaction: ClientTransaction): Promise<SipResponse> {
  const outcome = await transaction.outcome;
  if (outcome.kind !== 'response') throw new Error(`${transaction.request.method}: ${outcome.kind}`);
  return outcome.response;
}

/** Body and headers of what carries SDP and metadata. */
export function multipart(sdp: string, metadata: string | Buffer): { headers: Header[]; body: Buffer } {
  const part = (type: string, extra: string) => `--example\r\nContent-Type: ${type}\r\n${extra}\r\n`;
  return {
    headers: [['Content-Type', 'multipart/mixed;boundary=example']],
    body: Buffer.concat([
      Buffer.from(`${part('application/sdp', '')}${sdp}\r\n`),
      Buffer.from(part('application/rs-metadata+xml', 'Content-Disposition: recording-session\r\n')),
      Buffer.from(metadata),
      Buffer.from('\r\n--example--\r\n'),
    ]),
  };
}

export const SDP: Header = ['Content-Type', 'application/sdp'];
export const METADATA: Header[] = [
  ['Content-Type', 'application/rs-metadata+xml'],
  ['Content-Disposition', 'recording-session'],
];

export class SrcCall {
  readonly facts: SimulatedCall;
  readonly speakers: Speaker[];
  readonly peer: Peer;
  /** The BYE of the recorder. */
  readonly endedByRecorder = Promise.withResolvers<SipRequest>();
  readonly #src: Src;
  readonly #shape: Shape;
  #dialog: Dialog | undefined;
  #version = 0;

  constructor(src: Src, peer: Peer, facts: SimulatedCall, shape: Shape, speakers: Speaker[]) {
    this.#src = src;
    this.peer = peer;
    this.facts = facts;
    this.#shape = shape;
    this.speakers = speakers;
  }

  get dialog(): Dialog {
    if (!this.#dialog) throw new Error('the call is not up');
    return this.#dialog;
  }

  /** The next offer of all its streams; the version of its `o=` line grows. */
  offer(paused = false): string {
    return makeOffer(this.facts, { localAddress: HOST, version: ++this.#version, paused });
  }

  /** The INVITE as BroadWorks, or a client by RFC 7866, sends it. */
  invite(sdp: string = this.offer()): SipRequest {
    const { transport } = this.#src.layer;
    const local = { address: HOST, port: transport.port, transport: this.peer.protocol };
    return makeInvite(this.facts, this.#shape, PLATFORM, local, sdp);
  }

  /** Sends an INVITE; what comes of it is the caller's business. */
  send(invite: SipRequest, onProvisional: () => void = () => {}): ClientTransaction {
    return this.#src.layer.request(invite, this.peer, { onProvisional });
  }

  /** INVITE, 200, ACK. Fails if the answer is another. */
  async start(invite: SipRequest = this.invite()): Promise<SipResponse> {
    const transaction = this.send(invite);
    const response = await finalOf(transaction);
    if (response.status !== 200) throw new Error(`INVITE: ${response.status} ${response.reason}`);
    this.answered(transaction, response);
    return response;
  }

  /** The INVITE has its 200: acknowledges it, and the call is up. */
  answered(transaction: ClientTransaction, response: SipResponse): void {
    this.#dialog = Dialog.asClient(transaction.request, response);
    this.#acknowledge(transaction);
    this.aim(response.body.toString());
  }

  /** A request inside the dialog; a 2xx to an INVITE is acknowledged, and its answer is where media goes from then on. */
  async request(method: string, headers: Header[] = [], body: string | Buffer = ''): Promise<SipResponse> {
    const { transport } = this.#src.layer;
    const local = { address: HOST, port: transport.port, transport: this.peer.protocol };
    const own = method === 'INVITE' || method === 'UPDATE' ? [contact(this.facts, this.#shape, local)] : [];
    const request = this.dialog.request(method, [...own, ...headers], body);
    const transaction = this.#src.layer.request(request, this.peer);
    const response = await finalOf(transaction);
    if (method === 'INVITE' && response.status === 200) {
      this.#acknowledge(transaction);
      this.aim(response.body.toString());
    }
    return response;
  }

  #acknowledge(transaction: ClientTransaction): void {
    transaction.acknowledge(this.dialog.ack(cseq(transaction.request).seq), this.peer);
  }

  /** Points each speaker at the port of its m-line. */
  aim(answer: string): void {
    const { media, connection } = parse(answer);
    for (const [index, speaker] of this.speakers.entries()) {
      const address = media[index]?.connection?.ip ?? connection?.ip;
      if (address && media[index]?.port) speaker.destination = { address, port: media[index].port };
    }
  }

  /** All speak at the same time; it has arrived when this resolves. */
  async speak(packets: number = PACKETS_PER_SECOND): Promise<void> {
    for (let packet = 0; packet < packets; packet++)
      await Promise.all(this.speakers.map((speaker) => speaker.send(1)));
  }

  bye(): Promise<SipResponse> {
    return this.request('BYE');
  }
}

/** One RTP stream with a tone. */
export class Speaker {
  codec: Codec;
  destination: RtpDestination | undefined;
  readonly frequenciesHz: number[];
  /** Last on a packet's way out: encryption. */
  protect = (packet: Buffer): Buffer => packet;
  readonly #socket: Socket;
  #sequence = 1_000;
  #packetTime = 0;
  #marker = true;

  static async open(codec: Codec, frequenciesHz: number[], address: string): Promise<Speaker> {
    const socket = createSocket('udp4');
    socket.bind(0, address);
    await once(socket, 'listening');
    return new Speaker(codec, frequenciesHz, socket);
  }

  private constructor(codec: Codec, frequenciesHz: number[], socket: Socket) {
    this.codec = codec;
    this.frequenciesHz = frequenciesHz;
    this.#socket = socket;
  }

  get port(): number {
    return this.#socket.address().port;
  }

  /** Packets of 20 ms, one right after the other. */
  async send(packets: number): Promise<void> {
    for (let packet = 0; packet < packets; packet++) await this.#send(this.protect(this.#next()));
  }

  /** The network loses the next packets. */
  lose(packets: number): void {
    for (let packet = 0; packet < packets; packet++) this.#next();
  }

  #next(): Buffer {
    const payload = tonePayload(this.codec, this.frequenciesHz, this.#packetTime * 160);
    const bytes = encodeRtp({
      payloadType: CODECS[this.codec].payloadType,
      marker: this.#marker,
      sequence: this.#sequence++,
      timestamp: this.#packetTime++ * 160,
      ssrc: this.port,
      payload,
    });
    this.#marker = false;
    return bytes;
  }

  /** Sends one packet made elsewhere, as it is. */
  sendPacket(packet: Buffer): Promise<void> {
    return this.#send(packet);
  }

  #send(packet: Buffer): Promise<void> {
    const { destination } = this;
    if (!destination) throw new Error('the speaker has no destination');
    return new Promise((resolve, reject) => {
      this.#socket.send(packet, destination.port, destination.address, (error) =>
        error ? reject(error) : resolve(),
      );
    });
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#socket.close(() => resolve()));
  }
}
