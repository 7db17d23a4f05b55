import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { type DecodedPacket, decode, encode, type OptAnswer, type RecordType } from 'dns-packet';
import { DnsListenError, type DnsServer, startDnsServer } from '../../../local/dns-server/server.ts';
import type { Zone } from '../../../local/dns-server/zone.ts';
import { exampleZone, healthy, SERVICE, slotAddress, slotRecord } from './example-zone.ts';

const ADDRESS = '127.0.0.1';
const AA = 1 << 10;
const RD = 1 << 8;

let server: DnsServer;
let zone: Zone;
const errors: Error[] = [];

beforeAll(async () => {
  server = await startDnsServer({
    address: ADDRESS,
    port: 0,
    zone: () => zone,
    health: healthy,
    onError: (error) => errors.push(error),
  });
});
afterAll(() => server.close());
beforeEach(() => {
  zone = exampleZone(slotRecord('s1'), slotAddress('s1', '192.0.2.1'));
  errors.length = 0;
});

function question(name: string, type: RecordType, udpPayloadSize?: number, ednsVersion = 0): Buffer {
  const opt: OptAnswer = {
    type: 'OPT',
    name: '.',
    udpPayloadSize: udpPayloadSize ?? 0,
    ednsVersion,
    extendedRcode: 0,
    flags: 0,
    flag_do: false,
    options: [],
  };
  return encode({
    type: 'query',
    id: 4711,
    flags: RD,
    questions: [{ name, type }],
    ...(udpPayloadSize && { additionals: [opt] }),
  });
}

/** Sends datagrams in order and returns the first that comes back, with its size. */
async function askUdp(...queries: Buffer[]): Promise<DecodedPacket & { rcode: string; bytes: number }> {
  const socket = createSocket('udp4');
  try {
    for (const query of queries) socket.send(query, server.port, ADDRESS);
    const [reply] = (await once(socket, 'message')) as [Buffer];
    return { ...(decode(reply) as DecodedPacket & { rcode: string }), bytes: reply.length };
  } finally {
    socket.close();
  }
}

/** Writes the chunks to one connection and reads that many replies. */
async function askTcp(chunks: Buffer[], count: number): Promise<(DecodedPacket & { rcode: string })[]> {
  const socket = connect(server.port, ADDRESS);
  await once(socket, 'connect');
  socket.setNoDelay(true);
  for (const chunk of chunks) await new Promise((sent) => socket.write(chunk, sent));
  const replies: (DecodedPacket & { rcode: string })[] = [];
  let received = Buffer.alloc(0);
  while (replies.length < count) {
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    received = Buffer.concat([received, chunk]);
    while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
      const end = 2 + received.readUInt16BE(0);
      replies.push(decode(received.subarray(2, end)) as DecodedPacket & { rcode: string });
      received = received.subarray(end);
    }
  }
  socket.destroy();
  return replies;
}

function framed(message: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}

describe('over UDP', () => {
  it('answers an SRV query with the target address in the additional section', async () => {
    const reply = await askUdp(question(SERVICE, 'SRV'));
    expect(reply).toMatchObject({
      id: 4711,
      type: 'response',
      rcode: 'NOERROR',
      flag_aa: true,
      flag_rd: true,
    });
    expect(reply.flag_ra).toBe(false);
    expect(reply.answers).toMatchObject([
      { type: 'SRV', ttl: 30, data: { priority: 10, weight: 100, port: 5060, target: 's1.rec.example.com' } },
    ]);
    expect(reply.additionals).toMatchObject([{ type: 'A', name: 's1.rec.example.com', data: '192.0.2.1' }]);
  });

  it('repeats the case of the question', async () => {
    const reply = await askUdp(question('S1.Rec.Example.COM', 'A'));
    expect(reply.questions).toMatchObject([{ name: 'S1.Rec.Example.COM' }]);
    expect(reply.answers).toMatchObject([{ name: 'S1.Rec.Example.COM', data: '192.0.2.1' }]);
  });

  it('sees a changed zone at once', async () => {
    zone = exampleZone(slotAddress('s1', '192.0.2.99'));
    const reply = await askUdp(question('s1.rec.example.com', 'A'));
    expect(reply.answers).toMatchObject([{ data: '192.0.2.99' }]);
  });

  it('serves NS, TXT, NAPTR, AAAA and SOA', async () => {
    zone = exampleZone(
      { name: 'rec.example.com', type: 'TXT', ttlSeconds: 60, values: [['one', 'two']] },
      { name: 'rec.example.com', type: 'AAAA', ttlSeconds: 60, values: ['2001:db8::1'] },
      {
        name: 'rec.example.com',
        type: 'NAPTR',
        ttlSeconds: 60,
        values: [
          { order: 1, preference: 2, flags: 's', services: 'SIP+D2U', regexp: '', replacement: SERVICE },
        ],
      },
    );
    const data = async (type: RecordType) =>
      (await askUdp(question('rec.example.com', type))).answers?.map(
        (answer) => 'data' in answer && answer.data,
      );
    expect(await data('NS')).toEqual(['ns1.example.net', 'ns2.example.net']);
    expect(await data('TXT')).toEqual([[Buffer.from('one'), Buffer.from('two')]]);
    expect(await data('AAAA')).toEqual(['2001:db8::1']);
    expect(await data('NAPTR')).toMatchObject([{ services: 'SIP+D2U', replacement: SERVICE }]);
    expect(await data('SOA')).toMatchObject([{ mname: 'ns1.example.net', minimum: 60 }]);
  });

  it('leaves the additional section out when only that does not fit', async () => {
    zone = exampleZone(slotRecord('s1'), {
      name: 's1.rec.example.com',
      type: 'A',
      ttlSeconds: 1,
      values: Array.from({ length: 20 }, (_, i) => `192.0.2.${i}`),
    });
    const reply = await askUdp(question(SERVICE, 'SRV'));
    expect(reply).toMatchObject({ flag_tc: false, additionals: [] });
    expect(reply.answers).toHaveLength(1);
  });

  it('fits eight SRV records into 512 bytes, as Route 53 does', async () => {
    zone = exampleZone(...Array.from({ length: 8 }, (_, index) => slotRecord(`use1-${index + 1}`)));
    const reply = await askUdp(question(SERVICE, 'SRV'));
    expect(reply.flag_tc).toBe(false);
    expect(reply.answers).toHaveLength(8);
    expect(new Set(reply.answers?.map(({ name }) => name))).toEqual(new Set([SERVICE]));
  });

  it('truncates past 512 bytes, or past what EDNS offers, and TCP gives all', async () => {
    const values = Array.from({ length: 40 }, (_, index) => `192.0.2.${index}`);
    zone = exampleZone({ name: 'pool.rec.example.com', type: 'A', ttlSeconds: 1, values });
    const plain = await askUdp(question('pool.rec.example.com', 'A'));
    expect(plain).toMatchObject({ flag_tc: true, rcode: 'NOERROR', answers: [] });
    expect(plain.bytes).toBeLessThanOrEqual(512);
    expect(await askUdp(question('pool.rec.example.com', 'A', 600))).toMatchObject({ flag_tc: true });
    const large = await askUdp(question('pool.rec.example.com', 'A', 4096));
    expect(large).toMatchObject({ flag_tc: false, additionals: [{ type: 'OPT', ednsVersion: 0 }] });
    expect(large.answers).toHaveLength(40);
    const [overTcp] = await askTcp([framed(question('pool.rec.example.com', 'A'))], 1);
    expect(overTcp).toMatchObject({ flag_tc: false });
    expect(overTcp?.answers).toHaveLength(40);
  });

  it('says REFUSED outside the zone, and for a class other than IN', async () => {
    expect(await askUdp(question('www.example.net', 'A'))).toMatchObject({
      rcode: 'REFUSED',
      flag_aa: false,
    });
    const chaos = encode({ id: 1, questions: [{ name: 'rec.example.com', type: 'TXT', class: 'CH' }] });
    expect(await askUdp(chaos)).toMatchObject({ rcode: 'REFUSED' });
  });

  it('says NOTIMP to other opcodes and to ANY', async () => {
    const notify = question('rec.example.com', 'SOA');
    notify.writeUInt16BE(4 << 11, 2);
    expect(await askUdp(notify)).toMatchObject({ id: 4711, rcode: 'NOTIMP', opcode: 'NOTIFY' });
    expect(await askUdp(question('rec.example.com', 'ANY' as RecordType))).toMatchObject({ rcode: 'NOTIMP' });
  });

  it('says BADVERS to an unknown EDNS version', async () => {
    const reply = await askUdp(question('s1.rec.example.com', 'A', 4096, 1));
    expect(reply).toMatchObject({
      answers: [],
      additionals: [{ type: 'OPT', extendedRcode: 1, ednsVersion: 0 }],
    });
  });

  it.each([
    ['a header that promises more than follows', Buffer.from('000a00000001000000000000', 'hex')],
    ['a name that points at itself', Buffer.from('000a00000001000000000000c00c00010001', 'hex')],
    ['no question', Buffer.from('000a00000000000000000000', 'hex')],
    ['a label that is not text', Buffer.from('000a0000000100000000000002fffe0000010001', 'hex')],
  ])('says FORMERR to %s', async (_, rubbish) => {
    expect(await askUdp(rubbish)).toMatchObject({ id: 10, rcode: 'FORMERR', answers: [] });
  });

  it('keeps silent to a reply and to less than a header, and lives on', async () => {
    const reply = question('s1.rec.example.com', 'A');
    reply.writeUInt16BE(0x8000 | AA, 2);
    expect(
      await askUdp(Buffer.alloc(0), Buffer.from('0102', 'hex'), reply, question(SERVICE, 'SRV')),
    ).toMatchObject({
      rcode: 'NOERROR',
      answers: [{ type: 'SRV' }],
    });
  });

  it('survives every possible cut and bit error of a query', async () => {
    const query = question(SERVICE, 'SRV', 4096);
    const broken: Buffer[] = [];
    for (let end = 0; end < query.length; end++) broken.push(query.subarray(0, end));
    for (let bit = 0; bit < query.length * 8; bit++) {
      const copy = Buffer.from(query);
      copy[bit >> 3] = (copy[bit >> 3] as number) ^ (1 << (bit & 7));
      broken.push(copy);
    }
    for (const message of broken) await askUdp(message, question('s1.rec.example.com', 'A'));
    expect(errors).toEqual([]);
    expect(await askUdp(query)).toMatchObject({ rcode: 'NOERROR' });
  });

  it('says SERVFAIL, and reports, when the zone itself fails', async () => {
    const broken = await startDnsServer({
      address: ADDRESS,
      port: 0,
      zone: () => {
        throw new Error('no zone');
      },
      health: healthy,
      onError: (error) => errors.push(error),
    });
    const socket = createSocket('udp4');
    socket.send(question(SERVICE, 'SRV'), broken.port, ADDRESS);
    const [reply] = (await once(socket, 'message')) as [Buffer];
    socket.close();
    await broken.close();
    expect(decode(reply)).toMatchObject({ id: 4711, rcode: 'SERVFAIL' });
    expect(errors).toMatchObject([{ message: 'no zone' }]);
  });
});

describe('over TCP', () => {
  it('answers several queries in one segment and one query in several', async () => {
    const srv = framed(question(SERVICE, 'SRV'));
    const a = framed(question('s1.rec.example.com', 'A'));
    const joined = Buffer.concat([srv, a]);
    const replies = await askTcp([joined.subarray(0, 1), joined.subarray(1, 9), joined.subarray(9)], 2);
    expect(replies).toMatchObject([{ answers: [{ type: 'SRV' }] }, { answers: [{ type: 'A' }] }]);
  });

  it('survives a client that resets', async () => {
    const socket = connect(server.port, ADDRESS);
    await once(socket, 'connect');
    socket.write(Buffer.from('00', 'hex'));
    socket.resetAndDestroy();
    await once(socket, 'close');
    const [reply] = await askTcp([framed(question(SERVICE, 'SRV'))], 1);
    expect(reply).toMatchObject({ rcode: 'NOERROR' });
  });

  it('closes its connections when it closes', async () => {
    const other = await startDnsServer({
      address: ADDRESS,
      port: 0,
      zone: () => zone,
      health: healthy,
      onError: () => {},
    });
    const socket = connect(other.port, ADDRESS);
    await once(socket, 'connect');
    const ended = once(socket, 'close');
    await other.close();
    await ended;
    expect(socket.destroyed).toBe(true);
  });
});

describe('a port that is taken', () => {
  const start = (port: number) =>
    startDnsServer({ address: ADDRESS, port, zone: () => zone, health: healthy, onError: () => {} });

  it('is named in the error: TCP', async () => {
    const taken = createServer().listen(0, ADDRESS);
    await once(taken, 'listening');
    const { port } = taken.address() as { port: number };
    const error = await start(port).catch((reason: unknown) => reason);
    taken.close();
    expect(error).toBeInstanceOf(DnsListenError);
    expect(error).toMatchObject({ address: ADDRESS, port });
    expect((error as Error).message).toContain(`${ADDRESS}:${port}`);
  });

  it('is named in the error: UDP, and the TCP port is let go', async () => {
    const taken = createSocket('udp4');
    taken.bind(0, ADDRESS);
    await once(taken, 'listening');
    const { port } = taken.address();
    await expect(start(port)).rejects.toThrow(DnsListenError);
    const probe = createServer().listen(port, ADDRESS);
    await once(probe, 'listening');
    probe.close();
    taken.close();
  });
});
