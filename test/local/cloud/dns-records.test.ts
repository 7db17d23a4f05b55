import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ListHealthChecksCommand, Route53Client } from '@aws-sdk/client-route-53';
import { type Deployment, parseDeployment } from '../../../core/deployment.ts';
import { planNaptr, planSlots } from '../../../core/slot-plan.ts';
import { publishZone } from '../../../local/cloud/dns-records.ts';
import { listRecordSets } from '../../../local/dns-server/route53-zone.ts';
import { EMULATOR_START_TIMEOUT_MS, startTestEmulator, type TestEmulator } from '../../helpers/emulator.ts';

const FILE = join(import.meta.dirname, '../../../deployments/local.yaml');
const ADDRESS = '127.0.0.1';
const PORTS: Record<string, { sip: number; health: number }> = {
  'use1-1': { sip: 15_060, health: 18_080 },
  'use1-2': { sip: 15_061, health: 18_081 },
  'usw2-1': { sip: 15_062, health: 18_082 },
  'usw2-2': { sip: 15_063, health: 18_083 },
};

let emulator: TestEmulator;
let route53: Route53Client;
let deployment: Deployment;

beforeAll(async () => {
  emulator = await startTestEmulator();
  const { endpoint, credentials } = emulator;
  route53 = new Route53Client({ endpoint, credentials, region: 'us-east-1' });
  deployment = parseDeployment(readFileSync(FILE, 'utf8'), FILE);
}, EMULATOR_START_TIMEOUT_MS);
afterAll(async () => {
  route53?.destroy();
  await emulator?.stop();
});

const planned = () =>
  planSlots(deployment, (name) => ({ ...(PORTS[name] as { sip: number; health: number }), sips: 0 }));

const publish = (plan = planned()) => publishZone(route53, deployment.dns.zone, plan, ADDRESS);

const withoutLastSlot = () => planned().slice(0, -1);

/** Name, type, identifier and value of every record but the zone's own. */
async function records(hostedZoneId: string): Promise<string[]> {
  const sets = await listRecordSets(route53, hostedZoneId);
  return sets
    .filter(({ Type }) => Type !== 'SOA' && Type !== 'NS')
    .map(({ Name, Type, SetIdentifier = '-', ResourceRecords }) =>
      [Name, Type, SetIdentifier, ResourceRecords?.map(({ Value }) => Value)].join(' '),
    )
    .sort();
}

describe('the published zone', () => {
  it('has an A record, a health check and SRV records of every slot', async () => {
    const { hostedZoneId, checks } = await publish();
    const found = await records(hostedZoneId);
    expect(found).toHaveLength(4 * 3);
    expect(found).toContain('use1-2.rec.example.com. A - 127.0.0.1');
    for (const transport of ['udp', 'tcp'])
      expect(found).toContainEqual(
        expect.stringMatching(
          `^_sip\\._${transport}\\.siprec\\.rec\\.example\\.com\\. SRV \\S+ 10 100 15062 usw2-1\\.rec\\.example\\.com\\.?$`,
        ),
      );
    expect(checks).toHaveLength(4);
    expect(checks[0]).toMatchObject({
      slot: 'use1-1',
      address: ADDRESS,
      port: 18_080,
      path: '/healthz',
      intervalSeconds: 10,
      failureThreshold: 2,
    });
    const srv = (await listRecordSets(route53, hostedZoneId)).filter(({ Type }) => Type === 'SRV');
    const checkIds = new Set(checks.map(({ id }) => id));
    for (const record of srv) {
      expect(record.MultiValueAnswer).toBe(true);
      expect(checkIds).toContain(record.HealthCheckId);
    }
  });

  it('stays the same when it is published again', async () => {
    const first = await publish();
    const before = await records(first.hostedZoneId);
    const second = await publish();
    expect(second).toEqual(first);
    expect(await records(second.hostedZoneId)).toEqual(before);
    const { HealthChecks } = await route53.send(new ListHealthChecksCommand({}));
    expect(HealthChecks).toHaveLength(4);
  });

  it('loses the records of a slot that the deployment file no longer has', async () => {
    const { hostedZoneId } = await publish();
    await publish(withoutLastSlot());
    const left = await records(hostedZoneId);
    expect(left).toHaveLength(3 * 3);
    expect(left.filter((record) => record.includes('usw2-2'))).toEqual([]);
  });

  it('has NAPTR records where the deployment asks for them', async () => {
    const asked = {
      ...deployment,
      dns: {
        ...deployment.dns,
        services: deployment.dns.services.map((service) => ({ ...service, naptr: true })),
      },
    };
    const naptr = planNaptr(asked);
    const { hostedZoneId } = await publishZone(route53, deployment.dns.zone, planned(), ADDRESS, naptr);
    expect(await records(hostedZoneId)).toContain(
      'siprec.rec.example.com. NAPTR - 10 50 "s" "SIP+D2U" "" _sip._udp.siprec.rec.example.com.,20 50 "s" "SIP+D2T" "" _sip._tcp.siprec.rec.example.com.',
    );
    const { hostedZoneId: again } = await publish();
    expect((await records(again)).filter((record) => record.includes('NAPTR'))).toEqual([]);
  });
});
