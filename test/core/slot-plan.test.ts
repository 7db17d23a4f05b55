import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Deployment, MAX_SLOTS_PER_SERVICE, parseDeployment } from '../../core/deployment.ts';
import { MAX_ANSWER_BYTES, srvAnswerBytes } from '../../core/dns-limits.ts';
import { planNaptr, planSlots, serviceDomain, srvName, srvNamesOfRegion } from '../../core/slot-plan.ts';
import { parseRdata } from '../../local/dns-server/rdata.ts';
import { seededRandom } from '../fixtures/mutate.ts';

const example = parseDeployment(
  readFileSync(join(import.meta.dirname, '../../deployments/example.yaml'), 'utf8'),
  'example.yaml',
);

/** A deployment by chance: 1 to 3 regions and services, each slot in some of the services. */
function randomDeployment(random: () => number): Deployment {
  const below = (limit: number): number => Math.floor(random() * limit);
  const services = Array.from({ length: 1 + below(3) }, (_, index) => ({
    name: `s${index}`,
    transports: random() < 0.5 ? (['udp'] as const) : (['udp', 'tcp'] as const),
  }));
  const regions = ['us-east-1', 'us-west-2', 'eu-central-1'].slice(0, 1 + below(3)).map((name, r) => ({
    name,
    tier: 10 * below(3),
    slots: Array.from({ length: 1 + below(2) }, (_, s) => ({
      name: `r${r}s${s}`,
      zone: `${name}a`,
      callCapacity: 1 + below(10_000),
      ...((r || s) && // the first one serves all, so that no service is without
        random() < 0.5 && { services: services.map((service) => service.name).slice(0, 1 + below(3)) }),
    })),
  }));
  const file = { ...example, dns: { ...example.dns, services }, regions, replication: [] };
  return parseDeployment(JSON.stringify(file), 'random'); // JSON is YAML
}

describe('planSlots', () => {
  it('plans the slots of the example in the order of the file', () => {
    const plan = planSlots(example);
    expect(plan.map(({ name }) => name)).toEqual([
      'use1-1',
      'use1-2',
      'use1-3',
      'usw2-1',
      'usw2-2',
      'usw2-3',
    ]);
    expect(plan[3]).toEqual({
      name: 'usw2-1',
      region: 'us-west-2',
      zone: 'us-west-2a',
      callCapacity: 1000,
      host: 'usw2-1.rec.example.com',
      healthCheck: { port: 8080, path: '/healthz', intervalSeconds: 10, failureThreshold: 2 },
      srvRecords: ['udp', 'tcp'].map((transport) => ({
        name: `_sip._${transport}.siprec.rec.example.com`,
        setIdentifier: 'usw2-1',
        priority: 20,
        weight: 1000,
        port: 5060,
        target: 'usw2-1.rec.example.com',
        ttlSeconds: 30,
      })),
    });
  });

  it('sends TLS to its own port', () => {
    const services = [{ name: 'siprec', transports: ['tcp' as const, 'tls' as const] }];
    const [slot] = planSlots({ ...example, dns: { ...example.dns, services } });
    expect(slot?.srvRecords.map(({ name, port }) => `${name}:${port}`)).toEqual([
      '_sip._tcp.siprec.rec.example.com:5060',
      '_sips._tcp.siprec.rec.example.com:5061',
    ]);
  });

  it('takes the ports that it is given for each slot', () => {
    const ports = new Map(
      planSlots(example).map(({ name }, index) => [
        name,
        { sip: 6000 + index, sips: 8000 + index, health: 7000 + index },
      ]),
    );
    for (const [index, slot] of planSlots(example, (name) => ports.get(name) as never).entries()) {
      expect(slot.srvRecords.map(({ port }) => port)).toEqual([6000 + index, 6000 + index]);
      expect(slot.healthCheck.port).toBe(7000 + index);
    }
  });

  it('puts a slot only into the services that it names', () => {
    const [east, west] = example.regions as [Deployment['regions'][number], Deployment['regions'][number]];
    const [first, second] = east.slots as [(typeof east.slots)[number], (typeof east.slots)[number]];
    const plan = planSlots({
      ...example,
      dns: { ...example.dns, services: [...example.dns.services, { name: 'second', transports: ['udp'] }] },
      regions: [
        { ...east, slots: [{ ...first, services: ['second'] }, second] },
        { ...west, slots: [] },
      ],
    });
    expect(plan.map(({ srvRecords }) => srvRecords.map(({ name }) => name))).toEqual([
      ['_sip._udp.second.rec.example.com'],
      [
        '_sip._udp.siprec.rec.example.com',
        '_sip._tcp.siprec.rec.example.com',
        '_sip._udp.second.rec.example.com',
      ],
    ]);
  });

  it('keeps all that a slot has when other slots come and go', () => {
    const [east, west] = example.regions as [Deployment['regions'][number], Deployment['regions'][number]];
    const before = planSlots(example).find(({ name }) => name === 'use1-2');
    const after = planSlots({
      ...example,
      regions: [
        west,
        { ...east, slots: [{ name: 'new', zone: 'us-east-1a', callCapacity: 1 }, ...east.slots.slice(1)] },
      ],
    });
    expect(after.find(({ name }) => name === 'use1-2')).toEqual(before);
  });

  it('holds for any deployment: DNS sees each slot once per name, within its limits', () => {
    const random = seededRandom(1);
    for (let round = 0; round < 200; round += 1) {
      const deployment = randomDeployment(random);
      const plan = planSlots(deployment);
      const records = plan.flatMap(({ srvRecords }) => srvRecords);
      expect(new Set(plan.map(({ host }) => host)).size).toBe(plan.length);
      // Route 53: name, type and set identifier together are unique.
      expect(new Set(records.map(({ name, setIdentifier }) => `${name} ${setIdentifier}`)).size).toBe(
        records.length,
      );
      const expected = new Set(
        deployment.dns.services.flatMap(({ name, transports }) =>
          transports.map((transport) => srvName(deployment, name, transport)),
        ),
      );
      for (const name of expected) {
        const answers = records.filter((record) => record.name === name);
        expect(answers.length).toBeGreaterThan(0);
        expect(answers.length).toBeLessThanOrEqual(MAX_SLOTS_PER_SERVICE);
        const targets = answers.map(({ target }) => target);
        expect(srvAnswerBytes(name, targets)).toBeLessThanOrEqual(MAX_ANSWER_BYTES);
        // RFC 2782: a target has an address of its own and is nothing else; the plan has no CNAME at all.
        for (const target of targets) {
          expect(plan.filter(({ host }) => host === target)).toHaveLength(1);
          expect(
            deployment.dns.services.map((service) => serviceDomain(deployment, service.name)),
          ).not.toContain(target);
        }
      }
      for (const slot of plan)
        for (const record of slot.srvRecords) {
          expect(expected).toContain(record.name);
          expect(record).toMatchObject({
            setIdentifier: slot.name,
            target: slot.host,
            weight: slot.callCapacity,
          });
          expect(record.weight).toBeLessThanOrEqual(65_535);
        }
    }
  });
});

describe('names of a service', () => {
  it('are what the administrator enters, and what RFC 2782 makes of it', () => {
    expect(serviceDomain(example, 'siprec')).toBe('siprec.rec.example.com');
    expect(srvName(example, 'siprec', 'tcp')).toBe('_sip._tcp.siprec.rec.example.com');
    expect(srvName(example, 'siprec', 'tls')).toBe('_sips._tcp.siprec.rec.example.com');
  });
});

describe('srvNamesOfRegion', () => {
  it('is every record of the region, by its name, and none of another', () => {
    const plan = planSlots(example);
    expect(srvNamesOfRegion(plan, 'us-west-2')).toEqual({
      '_sip._udp.siprec.rec.example.com': ['usw2-1', 'usw2-2', 'usw2-3'],
      '_sip._tcp.siprec.rec.example.com': ['usw2-1', 'usw2-2', 'usw2-3'],
    });
    expect(srvNamesOfRegion(plan, 'eu-west-1')).toEqual({});
  });
});

describe('planNaptr', () => {
  const withServices = (services: Deployment['dns']['services']): Deployment => ({
    ...example,
    dns: { ...example.dns, services },
  });

  it('has nothing for services that do not ask for it', () => {
    expect(planNaptr(example)).toEqual([]);
  });

  it('names the SRV names of the transports, the first one first (RFC 3263)', () => {
    const deployment = withServices([
      { name: 'siprec', transports: ['tls', 'tcp', 'udp'], naptr: true },
      { name: 'plain', transports: ['udp'] },
    ]);
    expect(planNaptr(deployment)).toEqual([
      {
        name: 'siprec.rec.example.com',
        values: [
          '10 50 "s" "SIPS+D2T" "" _sips._tcp.siprec.rec.example.com.',
          '20 50 "s" "SIP+D2T" "" _sip._tcp.siprec.rec.example.com.',
          '30 50 "s" "SIP+D2U" "" _sip._udp.siprec.rec.example.com.',
        ],
        ttlSeconds: 300,
      },
    ]);
  });

  it('is understood by the DNS server as Route 53 would', () => {
    const [set] = planNaptr(withServices([{ name: 'siprec', transports: ['udp'], naptr: true }]));
    expect(parseRdata('NAPTR', set?.values[0] ?? '')).toEqual({
      order: 10,
      preference: 50,
      flags: 's',
      services: 'SIP+D2U',
      regexp: '',
      replacement: '_sip._udp.siprec.rec.example.com',
    });
  });
});
