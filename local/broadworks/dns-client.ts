/** Asks one given DNS server: over UDP, and over TCP when the answer is truncated (RFC 7766). */
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import { type Answer, type DecodedPacket, decode, encode, type RecordType } from 'dns-packet';

const ATTEMPT_TIMEOUT_MS = 1_000;
const ATTEMPTS = 2;

export interface DnsServerAddress {
  address: string;
  port: number;
}

export interface DnsReply {
  /** NOERROR or NXDOMAIN; anything else is an error. */
  rcode: string;
  answers: Answer[];
  additionals: Answer[];
}

/** The DNS server did not answer, or answered with an error; `cause` is the last failure. */
export class DnsQueryError extends Error {
  readonly question: string;

  constructor(server: DnsServerAddress, question: string, why: string, cause?: unknown) {
    super(`DNS query ${question} at ${server.address}:${server.port}: ${why}`, { cause });
    this.name = 'DnsQueryError';
    this.question = question;
  }
}

/** @throws DnsQueryError */
export async function queryDns(server: DnsServerAddress, name: string, type: RecordType): Promise<DnsReply> {
  const question = `${name} ${type}`;
  const query = encode({ type: 'query', id: randomInt(0x1_0000), questions: [{ name, type }] });
  let reply: DecodedPacket & { rcode?: string };
  try {
    reply = await askUdp(server, query);
    if (reply.flag_tc) reply = await askTcp(server, query);
  } catch (error) {
    throw new DnsQueryError(server, question, (error as Error).message, error);
  }
  const rcode = reply.rcode ?? 'unknown';
  if (rcode !== 'NOERROR' && rcode !== 'NXDOMAIN') throw new DnsQueryError(server, question, rcode);
  return { rcode, answers: reply.answers ?? [], additionals: reply.additionals ?? [] };
}

async function askUdp({ address, port }: DnsServerAddress, query: Buffer): Promise<DecodedPacket> {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  try {
    // Connected, so that a closed port is an error at once and strangers' datagrams are not seen.
    socket.connect(port, address);
    await once(socket, 'connect');
    for (let attempt = 1; ; attempt++) {
      socket.send(query);
      try {
        const [message] = (await once(socket, 'message', {
          signal: AbortSignal.timeout(ATTEMPT_TIMEOUT_MS),
        })) as [Buffer];
        return decodeReply(message, query);
      } catch (error) {
        if ((error as Error).name !== 'AbortError') throw error;
        if (attempt === ATTEMPTS) throw new Error(`no answer to ${ATTEMPTS} queries`);
      }
    }
  } finally {
    socket.close();
  }
}

async function askTcp({ address, port }: DnsServerAddress, query: Buffer): Promise<DecodedPacket> {
  const socket = connect({ host: address, port, signal: AbortSignal.timeout(ATTEMPT_TIMEOUT_MS) });
  try {
    const length = Buffer.alloc(2);
    length.writeUInt16BE(query.length);
    socket.write(Buffer.concat([length, query]));
    let received: Buffer = Buffer.alloc(0);
    for await (const chunk of socket) {
      received = Buffer.concat([received, chunk as Buffer]);
      if (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
        return decodeReply(received.subarray(2, 2 + received.readUInt16BE(0)), query);
      }
    }
    throw new Error('the connection ended before the answer did');
  } finally {
    socket.destroy();
  }
}

function decodeReply(message: Buffer, query: Buffer): DecodedPacket {
  const reply = decode(message);
  if (reply.type !== 'response' || reply.id !== query.readUInt16BE(0)) {
    throw new Error('the answer belongs to another query');
  }
  return reply;
}
