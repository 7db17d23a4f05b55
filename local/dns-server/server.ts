/** The sockets of the DNS server: one port, UDP and TCP (RFC 1035 section 4.2, RFC 7766). */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket as TcpSocket } from 'node:net';
import { replyTo, serverFailure } from './message.ts';
import { answerQuestion, type Health, type Question, type Zone } from './zone.ts';

/** A connection that sends nothing for this long is closed (RFC 7766 section 6.2.3: a few seconds). */
const TCP_IDLE_MS = 10_000;
/** Random free TCP ports tried for one that is free for UDP too. */
const PORT_ATTEMPTS = 20;

export interface DnsServerOptions {
  /** IP address to listen on. */
  address: string;
  /** 0 lets the system choose a port that is free for both UDP and TCP. */
  port: number;
  /** The zone as it is now; read for every query. */
  zone: () => Zone;
  health: Health;
  /** Uniform in [0, 1). */
  random?: () => number;
  /** Told of failures of the server itself, which clients see as SERVFAIL. */
  onError: (error: Error) => void;
}

export interface DnsServer {
  port: number;
  close(): Promise<void>;
}

/** The address or port cannot be had; `cause` is the system's error. */
export class DnsListenError extends Error {
  readonly address: string;
  readonly port: number;

  constructor(address: string, port: number, cause: Error & { code?: string }) {
    const why = cause.code === 'EADDRINUSE' ? 'something else already listens there' : cause.message;
    super(`DNS server cannot listen on ${address}:${port} (UDP and TCP): ${why}`, { cause });
    this.name = 'DnsListenError';
    this.address = address;
    this.port = port;
  }
}

/**
 * Starts answering.
 * @throws DnsListenError when the address or port cannot be had
 */
export async function startDnsServer(options: DnsServerOptions): Promise<DnsServer> {
  const { zone, health, random = Math.random, onError } = options;
  const answer = (question: Question) => answerQuestion(zone(), question, health, random);
  const reply = (query: Buffer, transport: 'udp' | 'tcp'): Buffer | undefined => {
    try {
      return replyTo(query, transport, answer);
    } catch (error) {
      onError(error as Error);
      return serverFailure(query);
    }
  };

  const { tcp, udp, port } = await listenOnBoth(options.address, options.port);
  const connections = new Set<TcpSocket>();
  tcp.on('connection', (socket) => {
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
    serveConnection(socket, (query) => reply(query, 'tcp'));
  });
  udp.on('message', (query, client) => {
    const message = reply(query, 'udp');
    if (message) udp.send(message, client.port, client.address);
  });
  udp.on('error', onError);
  tcp.on('error', onError);

  return {
    port,
    async close() {
      for (const socket of connections) socket.destroy();
      await Promise.all([closed(udp), closed(tcp)]);
    },
  };
}

/** Cuts a TCP stream into messages by their two-byte length, and answers each in turn. */
function serveConnection(socket: TcpSocket, reply: (query: Buffer) => Buffer | undefined): void {
  let pending: Buffer = Buffer.alloc(0);
  socket.setTimeout(TCP_IDLE_MS, () => socket.destroy());
  // A client that resets its connection has lost interest in the answer; 'close' follows.
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk) => {
    pending = Buffer.concat([pending, chunk]);
    while (pending.length >= 2) {
      const end = 2 + pending.readUInt16BE(0);
      if (pending.length < end) break;
      const message = reply(pending.subarray(2, end));
      pending = pending.subarray(end);
      if (message) socket.write(withLength(message));
    }
  });
}

function withLength(message: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}

async function listenOnBoth(
  address: string,
  wantedPort: number,
): Promise<{ tcp: Server; udp: UdpSocket; port: number }> {
  for (let attempt = 1; ; attempt++) {
    const tcp = createServer();
    const udp = createSocket(address.includes(':') ? 'udp6' : 'udp4');
    let port = wantedPort;
    try {
      tcp.listen(port, address);
      await once(tcp, 'listening');
      port = (tcp.address() as AddressInfo).port;
      udp.bind(port, address);
      await once(udp, 'listening');
      return { tcp, udp, port };
    } catch (error) {
      await Promise.all([closed(udp), tcp.listening ? closed(tcp) : undefined]);
      const cause = error as Error & { code?: string };
      const tryAnother = wantedPort === 0 && cause.code === 'EADDRINUSE' && attempt < PORT_ATTEMPTS;
      if (!tryAnother) throw new DnsListenError(address, port, cause);
    }
  }
}

function closed(closable: { close(done: () => void): unknown }): Promise<void> {
  return new Promise((resolve) => {
    closable.close(() => resolve());
  });
}
