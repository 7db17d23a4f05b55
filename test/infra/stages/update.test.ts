/** What a changed deployment file does to stacks that are there: what holds data, addresses or names stays as it is. */
import type { Deployment } from '../../../core/deployment.ts';
import { type Resource, STACKS, type StackName, type Synthesized, synthesizeExample } from '../synth.ts';

/** Resources that hold what cannot be made again, and are left behind when their stack goes. */
const KEPT: Record<string, string> = {
  'AWS::EC2::EIP': 'RetainExceptOnCreate',
  'AWS::Route53::HostedZone': 'RetainExceptOnCreate',
  'AWS::S3::Bucket': 'RetainExceptOnCreate',
  // What a deploy made that then fails may hold recordings already, or cannot be deleted by CloudFormation.
  'AWS::DynamoDB::GlobalTable': 'Retain',
  'AWS::EC2::Volume': 'Retain',
};
/** Resources that hold something too, but nothing that outlives its use. */
const HOLDING = [
  'AWS::DynamoDB::Table',
  'AWS::KMS::Key',
  'AWS::Logs::LogGroup',
  'AWS::SecretsManager::Secret',
  'AWS::SNS::Topic',
  'AWS::SQS::Queue',
  'AWS::SSM::Parameter',
];

/** A slot in another zone, a third region that gets copies, other filters, and another retention. */
const changed = (example: Deployment): Deployment => {
  const [first, second] = example.regions as [Deployment['regions'][number], Deployment['regions'][number]];
  const slot = (name: string, zone: string) => ({ name, zone, callCapacity: 500 });
  const [toWest, toEast] = example.replication as [
    Deployment['replication'][number],
    Deployment['replication'][number],
  ];
  return {
    ...example,
    regions: [
      { ...first, slots: [...first.slots, slot('use1-4', 'us-east-1d')] },
      second,
      { ...second, name: 'eu-west-1', slots: [slot('euw1-1', 'eu-west-1a')] },
    ],
    replication: [
      { ...toWest, filters: { tenants: ['acme'] } },
      toEast,
      { ...toWest, from: 'us-east-1', to: 'eu-west-1' },
    ],
    retention: { days: 100, tenants: { acme: 30 } },
  };
};

let before: Synthesized;
let after: Synthesized;
beforeAll(() => {
  before = synthesizeExample();
  after = synthesizeExample(changed);
});
afterAll(() => {
  before.remove();
  after.remove();
});

const resources = ({ regions }: Synthesized, region: string, stack: StackName): [string, Resource][] =>
  Object.entries((regions[region]?.template(stack).toJSON().Resources ?? {}) as Record<string, Resource>);

describe.each(['us-east-1', 'us-west-2'])('in %s, a changed deployment file', (region) => {
  it('leaves whatever holds data, addresses or names as it is', () => {
    let compared = 0;
    for (const stack of STACKS) {
      const now = Object.fromEntries(resources(after, region, stack));
      for (const [id, resource] of resources(before, region, stack)) {
        if (![...Object.keys(KEPT), ...HOLDING].includes(resource.Type)) continue;
        compared += 1;
        // A global table gets replicas while it works; it is the only one that changes at all.
        const { Replicas: _, ...properties } = resource.Properties ?? {};
        const { Replicas: __, ...propertiesNow } = now[id]?.Properties ?? {};
        expect({ id, type: now[id]?.Type, properties: propertiesNow }).toEqual({
          id,
          type: resource.Type,
          properties,
        });
      }
    }
    expect(compared).toBeGreaterThan(30);
  });

  it('changes nothing of the hosts, disks and tasks of the slots that are there', () => {
    const now = Object.fromEntries(resources(after, region, 'recorders'));
    const ofSlots = resources(before, region, 'recorders').filter(([id]) => id.startsWith('slot'));
    expect(ofSlots.length).toBeGreaterThan(20);
    for (const [id, { Type, Properties }] of ofSlots)
      if (Type !== 'AWS::IAM::Policy')
        expect({ id, Properties: now[id]?.Properties }).toEqual({ id, Properties });
  });

  it('would lose nothing that cannot be made again, were the stack deleted', () => {
    let kept = 0;
    for (const stack of STACKS)
      for (const [id, { Type, DeletionPolicy, UpdateReplacePolicy }] of resources(before, region, stack))
        if (Type in KEPT) {
          kept += 1;
          expect({ id, DeletionPolicy, UpdateReplacePolicy }).toEqual({
            id,
            ...{ DeletionPolicy: KEPT[Type], UpdateReplacePolicy: 'Retain' },
          });
        }
    expect(kept).toBe(region === 'us-east-1' ? 10 : 8); // the first has the table and the zone
    for (const [stack, prefix, policy] of [
      ['storage', 'key', 'RetainExceptOnCreate'],
      ['recorders', 'spoolkey', 'Retain'],
    ] as const) {
      const [key] = resources(before, region, stack).filter(([id]) => id.startsWith(prefix));
      expect(key?.[1].DeletionPolicy).toBe(policy);
    }
  });
});
