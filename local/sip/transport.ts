/** UDP and TCP on one local address and port (RFC 3261 section 18). Knows messages, not transactions. */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { EventEmitter, once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket as TcpSocket } from 'node:net';
import { SipParseError, SipTransportError } from './errors.ts';
import { parseMessage, type SipMessage } from './message.ts';
import { streamReader } from './stream.ts';

export type Protocol = 'udp' | 'tcp';

/** The other end, as destination and as source. Address is an IP literal or a name the system can resolve. */
export interface Peer {
  protocol: Protocol;
  address: string;
  port: number;
}

export interface TransportOptions {
  /** Local IP address. */
  address: string;
  /** 0 lets the system choose; UDP and TCP then share the chosen port. */
  port: number;
  /** Default both. */
  protocols?: readonly Protocol[];
}

interface TransportEvents {
  message: [message: SipMessage, source: Peer];
  /** Bytes that were no usable message; `error.request` is set if they can be answered. */
  malformed: [error: SipParseError, source: Peer];
  /** A TCP connection, of either direction, is gone; nothing more comes from that peer over it. */
  disconnected: [peer: Peer, error: Error | undefined];
}

/** Attempts to find a port free for both UDP and TCP when the system chooses. */
const PORT_ATTEMPTS = 20;
/** As large as the kernel grants: a burst of 4 kB INVITEs must survive one busy event loop turn. */
const UDP_RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024;

const connectionKey = (address: string, port: number): string => `${address}|${port}`;

const asTransportError = (error: NodeJS.ErrnoException, what: string): SipTransportError =>
  new SipTransportError(`${what}: ${error.message}`, error.code ?? 'EUNKNOWN', error);

const closedError = (): SipTransportError =>
  new SipTransportError('the SIP transport has been closed', 'ECLOSED');

/**
 * Opens the sockets.
 * @throws SipTransportError, with the system's code (EADDRINUSE, EADDRNOTAVAIL, EACCES)
 */
export async function openTransport(options: TransportOptions): Promise<SipTransport> {
  const protocols = options.protocols ?? ['udp', 'tcp'];
  for (let attempt = 1; ; attempt++) {
    try {
      const tcp = protocols.includes('tcp') ? await listenTcp(options.address, options.port) : undefined;
      const port = tcp ? (tcp.address() as AddressInfo).port : options.port;
      try {
        const udp = protocols.includes('udp') ? await bindUdp(options.address, port) : undefined;
        return new SipTransport(options.address, udp?.address().port ?? port, udp, tcp);
      } catch (error) {
        tcp?.close();
        throw error;
      }
    } catch (cause) {
      const error = cause as NodeJS.ErrnoException;
      const retry = options.port === 0 && error.code === 'EADDRINUSE' && attempt < PORT_ATTEMPTS;
      if (!retry) throw asTransportError(error, `cannot open SIP port ${options.address}:${options.port}`);
    }
  }
}

async function listenTcp(host: string, port: number): Promise<Server> {
  const server = createServer({ noDelay: true });
  server.listen({ host, port });
  await once(server, 'listening');
  return server;
}

async function bindUdp(address: string, port: number): Promise<UdpSocket> {
  const type = address.includes(':') ? 'udp6' : 'udp4';
  const socket = createSocket({ type, recvBufferSize: UDP_RECEIVE_BUFFER_BYTES });
  socket.bind({ address, port });
  try {
    await once(socket, 'listening');
  } catch (error) {
    socket.close();
    throw error;
  }
  return socket;
}

export class SipTransport extends EventEmitter<TransportEvents> {
  readonly address: string;
  readonly port: number;
  readonly #udp: UdpSocket | undefined;
  readonly #tcp: Server | undefined;
  readonly #connections = new Map<string, TcpSocket>();
  #closed: Promise<void> | undefined;

  /** Use `openTransport`. */
  constructor(address: string, port: number, udp: UdpSocket | undefined, tcp: Server | undefined) {
    super();
    this.address = address;
    this.port = port;
    this.#udp = udp;
    this.#tcp = tcp;
    udp?.on('message', (bytes, remote) => {
      const source: Peer = { protocol: 'udp', address: remote.address, port: remote.port };
      // Keep-alives of a few CR, LF or NUL bytes are common on UDP.
      if (bytes.some((byte) => byte > 32)) this.#receive(bytes, source);
    });
    // After binding, errors of the socket itself are those of sends, which the callback of send reports.
    udp?.on('error', () => undefined);
    tcp?.on('connection', (socket) => this.#adopt(socket));
  }

  /**
   * Sends one message. Over TCP a connection that is open to this peer, in either direction, is used again.
   * Resolved when the system took the bytes: over UDP that says nothing about arrival, and a closed port at
   * the other end is not seen.
   * @throws SipTransportError when it cannot be sent (refused, unreachable, too large, closed)
   */
  async send(peer: Peer, bytes: Buffer): Promise<void> {
    if (this.#closed) throw closedError();
    await (peer.protocol === 'udp' ? this.#sendUdp(peer, bytes) : this.#sendTcp(peer, bytes));
  }

  /** Closes all sockets and connections at once. Resolved when the ports are free; may be called again. */
  close(): Promise<void> {
    this.#closed ??= this.#closeAll();
    return this.#closed;
  }

  async #closeAll(): Promise<void> {
    const { promise: udpClosed, resolve: udpDone } = Promise.withResolvers<void>();
    const { promise: tcpClosed, resolve: tcpDone } = Promise.withResolvers<void>();
    if (this.#udp) this.#udp.close(udpDone);
    else udpDone();
    if (this.#tcp) this.#tcp.close(() => tcpDone());
    else tcpDone();
    for (const socket of this.#connections.values()) socket.destroy();
    await Promise.all([udpClosed, tcpClosed]);
  }

  #sendUdp({ address, port }: Peer, bytes: Buffer): Promise<void> {
    const udp = this.#udp;
    return new Promise((resolve, reject) => {
      if (!udp) {
        reject(new SipTransportError('this SIP transport has no UDP socket', 'EPROTONOSUPPORT'));
        return;
      }
      udp.send(bytes, port, address, (error) => {
        if (error)
          reject(asTransportError(error, `cannot send ${bytes.length} bytes to udp ${address}:${port}`));
        else resolve();
      });
    });
  }

  #sendTcp({ address, port }: Peer, bytes: Buffer): Promise<void> {
    const socket = this.#connections.get(connectionKey(address, port)) ?? this.#connect(address, port);
    return new Promise((resolve, reject) => {
      let failure: Error | undefined;
      const onError = (error: Error) => {
        failure = error;
      };
      // The callback of a write to a failing socket can come without the socket's own error.
      socket.once('error', onError);
      socket.write(bytes, (error) => {
        socket.off('error', onError);
        const cause = failure ?? error;
        if (cause) reject(asTransportError(cause, `cannot send to tcp ${address}:${port}`));
        else resolve();
      });
    });
  }

  #connect(host: string, port: number): TcpSocket {
    const socket = connect({ host, port, localAddress: this.address, noDelay: true });
    this.#watch(socket, { protocol: 'tcp', address: host, port });
    return socket;
  }

  #adopt(socket: TcpSocket): void {
    const { remoteAddress: address, remotePort: port } = socket;
    // The peer can be gone before the connection is handed over; then there is nobody to talk to.
    if (address === undefined || port === undefined) socket.destroy();
    else this.#watch(socket, { protocol: 'tcp', address, port });
  }

  #watch(socket: TcpSocket, peer: Peer): void {
    const key = connectionKey(peer.address, peer.port);
    const read = streamReader();
    let failure: Error | undefined;
    this.#connections.set(key, socket);
    socket.on('data', (chunk) => {
      if (!socket.writable) return;
      const { messages, pings, error } = read(chunk);
      for (const bytes of messages) this.#receive(bytes, peer);
      if (pings > 0) socket.write('\r\n'.repeat(pings));
      if (error) {
        this.emit('malformed', error, peer);
        // Unlike `destroy`, this lets an answer that the listener has just written go out.
        socket.destroySoon();
      }
    });
    socket.on('error', (error) => {
      failure = error;
    });
    socket.on('close', () => {
      if (this.#connections.get(key) === socket) this.#connections.delete(key);
      this.emit('disconnected', peer, failure);
    });
  }

  #receive(bytes: Buffer, source: Peer): void {
    let message: SipMessage;
    try {
      message = parseMessage(bytes);
    } catch (error) {
      if (!(error instanceof SipParseError)) throw error;
      this.emit('malformed', error, source);
      return;
    }
    this.emit('message', message, source);
  }
}
