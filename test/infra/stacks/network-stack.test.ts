import { resourcesOf, type Synthesized, synthesizeExample } from '../synth.ts';

let synthesized: Synthesized;
beforeAll(() => {
  synthesized = synthesizeExample();
});
afterAll(() => synthesized.remove());

const template = (region: string, of = synthesized) => {
  const found = of.regions[region];
  if (!found) throw new Error(`no region ${region}`);
  return found.template('network');
};
const subnets = (region: string, of = synthesized) =>
  Object.fromEntries(
    Object.entries(resourcesOf(template(region, of), 'AWS::EC2::Subnet')).map(([id, { Properties }]) => [
      Properties.AvailabilityZone as string,
      { id, cidr: Properties.CidrBlock as string },
    ]),
  );

describe('the network of a region', () => {
  it('has a public subnet in each zone of its slots, and no NAT gateway', () => {
    expect(Object.keys(subnets('us-east-1'))).toEqual(['us-east-1a', 'us-east-1b', 'us-east-1c']);
    for (const { Properties } of Object.values(resourcesOf(template('us-east-1'), 'AWS::EC2::Subnet')))
      expect(Properties.MapPublicIpOnLaunch).toBe(true);
    expect(resourcesOf(template('us-east-1'), 'AWS::EC2::NatGateway')).toEqual({});
  });

  it('moves no subnet when a slot in another zone comes first', () => {
    const changed = synthesizeExample((example) => ({
      ...example,
      regions: example.regions.map((region) => ({
        ...region,
        slots: [
          { name: `${region.name}-new`, zone: `${region.name}f`, callCapacity: 10 },
          ...region.slots.slice(1),
        ],
      })),
    }));
    try {
      const [before, after] = [subnets('us-west-2'), subnets('us-west-2', changed)];
      expect(after['us-west-2f']?.cidr).toBe('10.60.80.0/20');
      for (const zone of ['us-west-2b', 'us-west-2c']) expect(after[zone]).toEqual(before[zone]);
    } finally {
      changed.remove();
    }
  });

  it('leads to S3 and DynamoDB without the internet', () => {
    const endpoints = Object.values(resourcesOf(template('us-west-2'), 'AWS::EC2::VPCEndpoint'));
    expect(endpoints.map(({ Properties }) => [Properties.ServiceName, Properties.VpcEndpointType])).toEqual([
      ['com.amazonaws.us-west-2.s3', 'Gateway'],
      ['com.amazonaws.us-west-2.dynamodb', 'Gateway'],
    ]);
  });

  it('keeps flow logs', () => {
    const [log] = Object.values(resourcesOf(template('us-east-1'), 'AWS::EC2::FlowLog'));
    expect(log?.Properties).toMatchObject({ ResourceType: 'VPC', TrafficType: 'ALL' });
  });
});
