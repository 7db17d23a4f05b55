import { DnsCache } from '../../../local/broadworks/dns-cache.ts';
import { type DnsServer, startDnsServer } from '../../../local/dns-server/server.ts';
import type { RecordSet, Zone } from '../../../local/dns-server/zone.ts';
import { until } from '../../helpers/until.ts';
import { exampleZone, healthy } from '../dns-server/example-zone.ts';

const ADDRESS = '127.0.0.1';
const NAME = '_sip._udp.siprec.rec.example.com';

let zone: Zone;
let queries = 0;
let server: DnsServer;

beforeAll(async () => {
  server = await startDnsServer({
    address: ADDRESS,
    port: 0,
    zone: () => {
      queries++;
      return zone;
    },
    health: healthy,
    onError: (error) => {
      throw error;
    },
  });
});
afterAll(() => server.close());
beforeEach(() => {
  queries = 0;
});

const srv = (ttlSeconds: number, ...weights: number[]): RecordSet => ({
  name: NAME,
  type: 'SRV',
  ttlSeconds,
  values: weights.map((weight) => ({ priority: 10, weight, port: 5060, target: 's1.rec.example.com' })),
});

const ask = (cache: DnsCache) => cache.query({ address: ADDRESS, port: server.port }, NAME, 'SRV');

async function weights(cache: DnsCache): Promise<(number | undefined)[]> {
  const { answers } = await ask(cache);
  return answers.flatMap((answer) => (answer.type === 'SRV' ? [answer.data.weight] : []));
}

it('answers from memory until the TTL is over', async () => {
  const cache = new DnsCache();
  zone = exampleZone(srv(1, 7));
  expect(await weights(cache)).toEqual([7]);
  zone = exampleZone(srv(1, 8));
  expect(await weights(cache)).toEqual([7]);
  expect(queries).toBe(1);
  await until(async () => (await weights(cache))[0] === 8);
  expect(queries).toBe(2);
});

it('asks once for those who ask at the same time', async () => {
  const cache = new DnsCache();
  zone = exampleZone(srv(30, 7));
  await Promise.all([ask(cache), ask(cache), ask(cache)]);
  expect(queries).toBe(1);
});

it('does not remember that a name was not there', async () => {
  const cache = new DnsCache();
  zone = exampleZone();
  expect(await weights(cache)).toEqual([]);
  zone = exampleZone(srv(30, 7));
  expect(await weights(cache)).toEqual([7]);
});

it('does not remember failures', async () => {
  const cache = new DnsCache();
  const nobody = { address: ADDRESS, port: 9 };
  await expect(cache.query(nobody, NAME, 'SRV')).rejects.toThrow('DNS query');
  zone = exampleZone(srv(30, 7));
  expect(await weights(cache)).toEqual([7]);
});
