import { planNaptr, planSlots } from '../../../core/slot-plan.ts';
import { type Resource, resourcesOf, type Synthesized, synthesizeExample, theResource } from '../synth.ts';

const REGIONS = ['us-east-1', 'us-west-2'] as const;

let synthesized: Synthesized;
beforeAll(() => {
  synthesized = synthesizeExample();
});
afterAll(() => synthesized.remove());

const template = (region: string, of = synthesized) => {
  const found = of.regions[region];
  if (!found) throw new Error(`no region ${region}`);
  return found.template('dns');
};
const records = (region: string, type: string, of = synthesized): [id: string, Resource][] =>
  Object.entries(resourcesOf(template(region, of), 'AWS::Route53::RecordSet')).filter(
    ([, { Properties }]) => Properties.Type === type,
  );
const slotsOf = (region: string) =>
  planSlots(synthesized.deployment).filter((slot) => slot.region === region);

/** What a `Fn::GetAtt` names. */
const attribute = (value: unknown): [id: string, name: string] =>
  (value as { 'Fn::GetAtt': [string, string] })['Fn::GetAtt'];

describe.each(REGIONS)('the slots of %s', (region) => {
  it('each have an Elastic IP that outlives the stack, by the name of the slot', () => {
    const addresses = Object.values(resourcesOf(template(region), 'AWS::EC2::EIP'));
    expect(
      addresses.map(({ Properties }) =>
        Properties.Tags.find(({ Key }: { Key: string }) => Key === 'siprec-ha:slot'),
      ),
    ).toEqual(slotsOf(region).map(({ name }) => ({ Key: 'siprec-ha:slot', Value: name })));
    for (const { DeletionPolicy, Properties } of addresses)
      expect([DeletionPolicy, Properties.Domain]).toEqual(['RetainExceptOnCreate', 'vpc']);
  });

  it('have their records as planned: one value each, and multivalue answer', () => {
    const found = records(region, 'SRV').map(([, { Properties }]) => Properties);
    expect(
      found.map(({ Name, SetIdentifier, TTL, MultiValueAnswer, ResourceRecords }) => [
        ...[Name, SetIdentifier, TTL, MultiValueAnswer],
        ResourceRecords,
      ]),
    ).toEqual(
      slotsOf(region).flatMap((slot) =>
        slot.srvRecords.map(({ name, priority, weight, port, target }) => [
          ...[name, slot.name, '30', true],
          [`${priority} ${weight} ${port} ${target}`],
        ]),
      ),
    );
    for (const { ResourceRecords } of found) expect(ResourceRecords).toHaveLength(1);
  });

  it('have records that follow the health of the same slot, whose address they lead to', () => {
    const checks = resourcesOf(template(region), 'AWS::Route53::HealthCheck');
    const addresses = resourcesOf(template(region), 'AWS::EC2::EIP');
    const addressOf = (slot: string) =>
      Object.entries(addresses).find(([, { Properties }]) =>
        Properties.Tags.some(({ Value }: { Value: string }) => Value === slot),
      )?.[0];
    const hosts = new Map(
      records(region, 'A').map(
        ([
          ,
          {
            Properties: { Name, ResourceRecords, TTL },
          },
        ]) => {
          expect(TTL).toBe('300');
          expect(ResourceRecords).toHaveLength(1);
          return [Name as string, attribute(ResourceRecords[0])];
        },
      ),
    );
    for (const [, { Properties }] of records(region, 'SRV')) {
      const slot = slotsOf(region).find(({ name }) => name === Properties.SetIdentifier);
      const [checkId, id] = attribute(Properties.HealthCheckId);
      expect(id).toBe('HealthCheckId');
      const config = checks[checkId]?.Properties.HealthCheckConfig;
      expect(config).toEqual({
        Type: 'HTTP',
        IPAddress: { 'Fn::GetAtt': [addressOf(slot?.name as string), 'PublicIp'] },
        Port: 8080,
        ResourcePath: '/healthz',
        RequestInterval: 10,
        FailureThreshold: 2,
      });
      expect(hosts.get(slot?.host as string)).toEqual(attribute(config.IPAddress));
    }
    expect(Object.keys(checks)).toHaveLength(slotsOf(region).length);
    expect(Object.keys(addresses)).toHaveLength(slotsOf(region).length);
  });

  it('need nothing that works at run time: no function, no custom resource, no alarm', () => {
    const types = Object.values(template(region).toJSON().Resources as Record<string, Resource>).map(
      ({ Type }) => Type,
    );
    expect([...new Set(types)].sort()).toEqual(
      [
        ...['AWS::EC2::EIP', 'AWS::Route53::HealthCheck', 'AWS::Route53::RecordSet'],
        ...(region === 'us-east-1' ? ['AWS::Route53::HostedZone'] : []),
      ].sort(),
    );
  });

  it('know nobody: no import, no other stack; and hold nobody up: what others read is no export', () => {
    const json = template(region).toJSON();
    expect(JSON.stringify(json)).not.toMatch(/Fn::ImportValue|Fn::GetStackOutput|"Export"/);
    const stack = synthesized.regions[region]?.assembly.stacks.find(
      ({ stackName }) => stackName === 'siprec-dns',
    );
    expect(stack?.dependencies.filter(({ id }) => !id.endsWith('.assets'))).toEqual([]);
  });
});

describe('the zone', () => {
  it('is made by the first region, kept, and can be changed again when us-east-1 is lost', () => {
    const [id, zone] = theResource(template('us-east-1'), 'AWS::Route53::HostedZone');
    expect(zone.Properties).toEqual({
      Name: 'rec.example.com.',
      HostedZoneFeatures: { EnableAcceleratedRecovery: true },
    });
    expect(zone.DeletionPolicy).toBe('RetainExceptOnCreate');
    for (const [, { Properties }] of [...records('us-east-1', 'A'), ...records('us-east-1', 'SRV')]) {
      expect(Properties.HostedZoneId).toEqual({ Ref: id });
      expect(Properties.HostedZoneName).toBeUndefined();
    }
    expect(template('us-east-1').toJSON().Outputs.NameServers.Value).toEqual({
      'Fn::Join': [' ', { 'Fn::GetAtt': [id, 'NameServers'] }],
    });
  });

  it('is known to the others by its name', () => {
    for (const [, { Properties }] of [...records('us-west-2', 'A'), ...records('us-west-2', 'SRV')]) {
      expect(Properties.HostedZoneName).toBe('rec.example.com.');
      expect(Properties.HostedZoneId).toBeUndefined();
    }
  });

  it('is the one whose id the deployment file gives', () => {
    const existing = synthesizeExample((example) => ({
      ...example,
      dns: { ...example.dns, hostedZoneId: 'Z0123456789ABC' },
    }));
    try {
      for (const region of REGIONS) {
        expect(resourcesOf(template(region, existing), 'AWS::Route53::HostedZone')).toEqual({});
        const all = Object.values(resourcesOf(template(region, existing), 'AWS::Route53::RecordSet'));
        expect(all.length).toBeGreaterThan(0);
        for (const { Properties } of all)
          expect([Properties.HostedZoneId, Properties.HostedZoneName]).toEqual(['Z0123456789ABC', undefined]);
        expect(template(region, existing).toJSON().Outputs).not.toHaveProperty('NameServers');
      }
    } finally {
      existing.remove();
    }
  });
});

describe('NAPTR records', () => {
  it('are not made unless asked for', () => {
    for (const region of REGIONS) expect(records(region, 'NAPTR')).toEqual([]);
  });

  it('are of the first region alone, and of no slot', () => {
    const asked = synthesizeExample((example) => ({
      ...example,
      dns: { ...example.dns, services: [{ name: 'siprec', transports: ['tls', 'udp'], naptr: true }] },
    }));
    try {
      const [planned] = planNaptr(asked.deployment);
      const found = records('us-east-1', 'NAPTR', asked).map(([, { Properties }]) => Properties);
      expect(found).toMatchObject([
        { Name: 'siprec.rec.example.com', TTL: '300', ResourceRecords: planned?.values },
      ]);
      expect(found[0]).not.toHaveProperty('SetIdentifier');
      expect(records('us-west-2', 'NAPTR', asked)).toEqual([]);
    } finally {
      asked.remove();
    }
  });
});
