/** UDP, TCP and TLS on one local address (RFC 3261 section 18). Knows messages, not transactions. */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { EventEmitter, once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket as TcpSocket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { SipParseError, SipTransportError } from './errors.ts';
import { parseMessage, type SipMessage } from './message.ts';
import { streamReader } from './stream.ts';
import { connectTls, createTlsServer, type TlsOptions } from './tls.ts';

export type { TlsOptions } from './tls.ts';

export type Protocol = 'udp' | 'tcp' | 'tls';

/** RFC 3261 19.1.2. */
export const defaultPort = (protocol: Protocol): number => (protocol === 'tls' ? 5061 : 5060);

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
  protocols?: readonly ('udp' | 'tcp')[];
  /** Default: no TLS, in neither direction. */
  tls?: TlsOptions;
}

interface TransportEvents {
  message: [message: SipMessage, source: Peer];
  /** Bytes that were no usable message; `error.request` is set if they can be answered. */
  malformed: [error: SipParseError, source: Peer];
  /** A TCP or TLS connection, of either direction, is gone; nothing more comes from that peer over it. */
  disconnected: [peer: Peer, error: Error | undefined];
  /** Somebody could not connect over TLS: too old a version, a certificate that is missing or not trusted. */
  refused: [error: SipTransportError];
}

/** Attempts to find a port free for both UDP and TCP when the system chooses. */
const PORT_ATTEMPTS = 20;
/** As large as the kernel grants: a burst of 4 kB INVITEs must survive one busy event loop turn. */
const UDP_RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024;

const connectionKey = ({ protocol, address, port }: Peer): string => [protocol, address, port].join('|');

const asTransportError = (error: NodeJS.ErrnoException, what: string): SipTransportError =>
  new SipTransportError(`${what}: ${error.message}`, error.code ?? 'EUNKNOWN', error);

const closedError = (): SipTransportError =>
  new SipTransportError('the SIP transport has been closed', 'ECLOSED');

interface Sockets {
  udp?: UdpSocket;
  tcp?: Server;
  tls?: Server;
}

/**
 * Opens the sockets.
 * @throws SipTransportError, with the system's code (EADDRINUSE, EADDRNOTAVAIL, EACCES), or OpenSSL's for a
 *   certificate or key that cannot be used
 */
export async function openTransport(options: TransportOptions): Promise<SipTransport> {
  const sockets = await openPlain(options);
  const { address, tls } = options;
  try {
    if (tls) sockets.tls = await listen(createTlsServer(tls), address, tls.port);
  } catch (error) {
    sockets.udp?.close();
    sockets.tcp?.close();
    throw asTransportError(error as Error, `cannot open SIP port ${address}:${tls?.port} for TLS`);
  }
  return new SipTransport(options, sockets);
}

/** UDP and TCP, on one port. */
async function openPlain({ address, port, protocols = ['udp', 'tcp'] }: TransportOptions): Promise<Sockets> {
  for (let attempt = 1; ; attempt++) {
    try {
      const tcp = protocols.includes('tcp')
        ? await listen(createServer({ noDelay: true }), address, port)
        : undefined;
      try {
        const udp = protocols.includes('udp') ? await bindUdp(address, tcp ? portOf(tcp) : port) : undefined;
        return { ...(udp && { udp }), ...(tcp && { tcp }) };
      } catch (error) {
        tcp?.close();
        throw error;
      }
    } catch (cause) {
      const error = cause as NodeJS.ErrnoException;
      const retry = port === 0 && error.code === 'EADDRINUSE' && attempt < PORT_ATTEMPTS;
      if (!retry) throw asTransportError(error, `cannot open SIP port ${address}:${port}`);
    }
  }
}

const portOf = (socket: UdpSocket | Server): number => (socket.address() as AddressInfo).port;

async function listen(server: Server, host: string, port: number): Promise<Server> {
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
  /** Of UDP and TCP; as asked for if there is neither. */
  readonly port: number;
  /** Undefined without TLS. */
  readonly tlsPort: number | undefined;
  readonly #sockets: Sockets;
  readonly #tls: TlsOptions | undefined;
  readonly #connections = new Map<string, TcpSocket>();
  /** What came in over TLS and has not shaken hands yet is no connection, but it would keep the port open. */
  readonly #handshakes = new Set<TcpSocket>();
  #closed: Promise<void> | undefined;

  /** Use `openTransport`. */
  constructor({ address, port, tls }: TransportOptions, sockets: Sockets) {
    super();
    const { udp, tcp, tls: tlsServer } = sockets;
    const plain = udp ?? tcp;
    this.address = address;
    this.port = plain ? portOf(plain) : port;
    this.tlsPort = tlsServer && portOf(tlsServer);
    this.#sockets = sockets;
    this.#tls = tls;
    udp?.on('message', (bytes, remote) => {
      const source: Peer = { protocol: 'udp', address: remote.address, port: remote.port };
      // Keep-alives of a few CR, LF or NUL bytes are common on UDP.
      if (bytes.some((byte) => byte > 32)) this.#receive(bytes, source);
    });
    // After binding, errors of the socket itself are those of sends, which the callback of send reports.
    udp?.on('error', () => undefined);
    tcp?.on('connection', (socket) => this.#adopt(socket, 'tcp'));
    tlsServer?.on('connection', (socket: TcpSocket) => this.#shakeHands(socket));
    tlsServer?.on('secureConnection', (socket: TLSSocket) => this.#adopt(socket, 'tls'));
    tlsServer?.on('tlsClientError', (error: Error, { authorizationError }: TLSSocket) =>
      this.emit(
        'refused',
        asTransportError(error, `TLS refused: ${authorizationError ?? 'handshake failed'}`),
      ),
    );
  }

  /** The local port of a protocol: what Via and Contact name. */
  portOf(protocol: Protocol): number {
    return (protocol === 'tls' ? this.tlsPort : undefined) ?? this.port;
  }

  /**
   * Sends one message. Over TCP and TLS a connection that is open to this peer, in either direction, is used again.
   * Resolved when the system took the bytes: over UDP that says nothing about arrival, and a closed port at
   * the other end is not seen.
   * @throws SipTransportError when it cannot be sent (refused, unreachable, not trusted, too large, closed)
   */
  async send(peer: Peer, bytes: Buffer): Promise<void> {
    if (this.#closed) throw closedError();
    await (peer.protocol === 'udp' ? this.#sendUdp(peer, bytes) : this.#sendOverStream(peer, bytes));
  }

  /** Closes all sockets and connections at once. Resolved when the ports are free; may be called again. */
  close(): Promise<void> {
    this.#closed ??= this.#closeAll();
    return this.#closed;
  }

  async #closeAll(): Promise<void> {
    const { udp, tcp, tls } = this.#sockets;
    const closed = [udp, tcp, tls].map(
      (socket) => new Promise<void>((resolve) => (socket ? socket.close(() => resolve()) : resolve())),
    );
    for (const socket of [...this.#connections.values(), ...this.#handshakes]) socket.destroy();
    await Promise.all(closed);
  }

  #sendUdp({ address, port }: Peer, bytes: Buffer): Promise<void> {
    const { udp } = this.#sockets;
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

  #sendOverStream(peer: Peer, bytes: Buffer): Promise<void> {
    const { protocol, address, port } = peer;
    const socket = this.#connections.get(connectionKey(peer)) ?? this.#connect(peer);
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
        if (cause) reject(asTransportError(cause, `cannot send to ${protocol} ${address}:${port}`));
        else resolve();
      });
    });
  }

  #connect(peer: Peer): TcpSocket {
    const to = { host: peer.address, port: peer.port, localAddress: this.address };
    const overTls = () => {
      if (this.#tls) return connectTls(this.#tls, to);
      throw new SipTransportError('this SIP transport has no TLS', 'EPROTONOSUPPORT');
    };
    const socket = peer.protocol === 'tls' ? overTls() : connect({ ...to, noDelay: true });
    this.#watch(socket, peer);
    return socket;
  }

  #shakeHands(socket: TcpSocket): void {
    this.#handshakes.add(socket);
    socket.on('close', () => this.#handshakes.delete(socket));
  }

  #adopt(socket: TcpSocket, protocol: Protocol): void {
    const { remoteAddress: address, remotePort: port } = socket;
    // The peer can be gone before the connection is handed over; then there is nobody to talk to.
    if (address === undefined || port === undefined) socket.destroy();
    else this.#watch(socket, { protocol, address, port });
  }

  #watch(socket: TcpSocket, peer: Peer): void {
    const key = connectionKey(peer);
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
