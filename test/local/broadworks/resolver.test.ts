import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { DnsQueryError } from '../../../local/broadworks/dns-client.ts';
import { locateSipServers, NoSipServerError } from '../../../local/broadworks/resolver.ts';
import { type DnsServer, startDnsServer } from '../../../local/dns-server/server.ts';
import type { RecordSet, Zone } from '../../../local/dns-server/zone.ts';
import { exampleZone, healthy, slotAddress } from '../dns-server/example-zone.ts';

const ADDRESS = '127.0.0.1';
const DOMAIN = 'siprec.rec.example.com';

let server: DnsServer;
let zone: Zone;

beforeAll(async () => {
  server = await startDnsServer({
    address: ADDRESS,
    port: 0,
    zone: () => zone,
    health: healthy,
    onError: (error) => {
      throw error;
    },
  });
});
afterAll(() => server.close());

function srv(
  transport: 'udp' | 'tcp',
  ...values: [priority: number, weight: number, port: number, target: string][]
): RecordSet {
  return {
    name: `_sip._${transport}.${DOMAIN}`,
    type: 'SRV',
    ttlSeconds: 30,
    values: values.map(([priority, weight, port, target]) => ({ priority, weight, port, target })),
  };
}

const locate = (transport: 'udp' | 'tcp' = 'udp', port?: number, domain = DOMAIN) =>
  locateSipServers(
    { domain, transport, ...(port !== undefined && { port }) },
    { address: ADDRESS, port: server.port },
    Math.random,
  );

it('follows SRV of the transport, by priority', async () => {
  zone = exampleZone(
    srv('udp', [20, 1, 5062, 's2.rec.example.com'], [10, 1, 5061, 's1.rec.example.com']),
    srv('tcp', [10, 1, 5070, 's2.rec.example.com']),
    slotAddress('s1', '192.0.2.1'),
    slotAddress('s2', '192.0.2.2'),
  );
  expect(await locate('udp')).toEqual([
    { target: 's1.rec.example.com', address: '192.0.2.1', port: 5061 },
    { target: 's2.rec.example.com', address: '192.0.2.2', port: 5062 },
  ]);
  expect(await locate('tcp')).toEqual([{ target: 's2.rec.example.com', address: '192.0.2.2', port: 5070 }]);
});

it('tries every address of a target, and asks for what no additional section brought', async () => {
  const many = Array.from({ length: 30 }, (_, index) => `192.0.2.${index + 1}`);
  zone = exampleZone(srv('udp', [10, 1, 5060, 'pool.rec.example.com']), {
    name: 'pool.rec.example.com',
    type: 'A',
    ttlSeconds: 60,
    values: many,
  });
  // 30 addresses do not fit beside the SRV record, nor into 512 bytes: this takes a query of its own, and TCP.
  expect((await locate()).map(({ address }) => address)).toEqual(many);
});

it('asks for addresses alone when a port is given', async () => {
  zone = exampleZone(
    srv('udp', [10, 1, 5061, 's1.rec.example.com']),
    { name: DOMAIN, type: 'A', ttlSeconds: 60, values: ['192.0.2.9'] },
    slotAddress('s1', '192.0.2.1'),
  );
  expect(await locate('udp', 5080)).toEqual([{ target: DOMAIN, address: '192.0.2.9', port: 5080 }]);
});

it('falls back to addresses at 5060 without SRV', async () => {
  zone = exampleZone({ name: DOMAIN, type: 'A', ttlSeconds: 60, values: ['192.0.2.9'] });
  expect(await locate()).toEqual([{ target: DOMAIN, address: '192.0.2.9', port: 5060 }]);
});

it('asks nobody about an IP address', async () => {
  expect(await locate('udp', undefined, '192.0.2.77')).toEqual([
    { target: '192.0.2.77', address: '192.0.2.77', port: 5060 },
  ]);
});

it('leaves out a target without address', async () => {
  zone = exampleZone(
    srv('udp', [10, 1, 5060, 'gone.rec.example.com'], [20, 1, 5060, 's1.rec.example.com']),
    slotAddress('s1', '192.0.2.1'),
  );
  expect((await locate()).map(({ target }) => target)).toEqual(['s1.rec.example.com']);
});

it.each<[string, RecordSet[], string]>([
  ['target "."', [srv('udp', [0, 0, 0, '.'])], 'decidedly not available'],
  ['no records at all', [], 'neither _sip._udp.siprec.rec.example.com SRV nor A records'],
  ['only targets without address', [srv('udp', [10, 1, 5060, 'gone.rec.example.com'])], 'no target of'],
])('says that there is no server: %s', async (_, recordSets, why) => {
  zone = exampleZone(...recordSets);
  const locating = locate();
  await expect(locating).rejects.toThrow(NoSipServerError);
  await expect(locating).rejects.toThrow(why);
});

it('says when the DNS server refuses', async () => {
  await expect(locate('udp', undefined, 'siprec.example.net')).rejects.toThrow(DnsQueryError);
  await expect(locate('udp', undefined, 'siprec.example.net')).rejects.toThrow('REFUSED');
});

it('says at once when no DNS server listens', async () => {
  const socket = createSocket('udp4');
  socket.bind(0, ADDRESS);
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  await once(socket, 'close');
  const locating = locateSipServers(
    { domain: DOMAIN, transport: 'udp' },
    { address: ADDRESS, port },
    Math.random,
  );
  await expect(locating).rejects.toThrow(/ECONNREFUSED/);
});

it('gives up on a DNS server that keeps silent', async () => {
  const socket = createSocket('udp4');
  socket.bind(0, ADDRESS);
  await once(socket, 'listening');
  let queries = 0;
  socket.on('message', () => queries++);
  const locating = locateSipServers(
    { domain: DOMAIN, transport: 'udp' },
    { address: ADDRESS, port: socket.address().port },
    Math.random,
  );
  await expect(locating).rejects.toThrow('no answer to 2 queries');
  expect(queries).toBe(2);
  socket.close();
});
