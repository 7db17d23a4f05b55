import { fleetTableName, loadReportSchema, regionSwitchName } from '../../../core/fleet.ts';
import { FLEET_TABLE } from '../../../functions/shared/environment.ts';
import { HOSTED_ZONE_ID, STEERED_NAMES, ZONE } from '../../../functions/steer-traffic/constants.ts';
import { TooManySlotsError } from '../../../infra/stacks/steering-stack.ts';
import { resourcesOf, STACKS, type Synthesized, synthesizeExample, theResource } from '../synth.ts';

const REGIONS = ['us-east-1', 'us-west-2'] as const;
const NAMES = ['_sip._udp.siprec.rec.example.com', '_sip._tcp.siprec.rec.example.com'];

let synthesized: Synthesized;
beforeAll(() => {
  synthesized = synthesizeExample();
});
afterAll(() => synthesized.remove());

const template = (region: string, of = synthesized) => {
  const found = of.regions[region];
  if (!found) throw new Error(`no region ${region}`);
  return found.template('steering');
};

interface Statement {
  Action: string | string[];
  Resource: unknown;
  Condition?: unknown;
}

const statements = (region: string, of = synthesized): Statement[] =>
  theResource(template(region, of), 'AWS::IAM::Policy')[1].Properties.PolicyDocument.Statement;

describe.each(REGIONS)('the fleet of %s', (region) => {
  it('reports into a table whose old items go by themselves, and which tells of new ones', () => {
    const [, table] = theResource(template(region), 'AWS::DynamoDB::Table');
    expect(table.Properties).toMatchObject({
      TableName: fleetTableName(synthesized.deployment),
      KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
      BillingMode: 'PAY_PER_REQUEST',
      TimeToLiveSpecification: { AttributeName: 'expiresAt', Enabled: true },
      StreamSpecification: { StreamViewType: 'NEW_IMAGE' },
      SSESpecification: { SSEEnabled: true },
    });
    expect(Object.keys(loadReportSchema.shape)).toContain('expiresAt');
    expect(table.DeletionPolicy).toBe('Delete');
  });

  it('has a switch that is open until an operator says otherwise, also after the next deploy', () => {
    const [, { Properties }] = theResource(template(region), 'AWS::SSM::Parameter');
    // The same text in every deploy: CloudFormation writes the value only when a property changes.
    expect(Properties).toEqual({
      Name: regionSwitchName(synthesized.deployment),
      Type: 'String',
      Value: 'open',
      AllowedPattern: '^(open|closed)$',
      Description: 'open: recorders of this region take calls; closed: they answer 503 to new ones',
    });
  });
});

describe.each(REGIONS)('steer-traffic in %s', (region) => {
  const theFunction = () => theResource(template(region), 'AWS::Lambda::Function');

  it('knows its own slots and no others', () => {
    const { Variables } = theFunction()[1].Properties.Environment;
    const slots = synthesized.deployment.regions
      .find(({ name }) => name === region)
      ?.slots.map(({ name }) => name);
    expect(JSON.parse(Variables[STEERED_NAMES])).toEqual(
      Object.fromEntries(NAMES.map((name) => [name, slots])),
    );
    expect(Variables).toMatchObject({
      [ZONE]: 'rec.example.com',
      [FLEET_TABLE]: { Ref: theResource(template(region), 'AWS::DynamoDB::Table')[0] },
    });
    expect(Object.keys(Variables)).not.toContain(HOSTED_ZONE_ID);
  });

  it('runs alone, every minute, and is not called again when it fails', () => {
    const [id, { Properties }] = theFunction();
    expect(Properties.ReservedConcurrentExecutions).toBe(1);
    const [, rule] = theResource(template(region), 'AWS::Events::Rule');
    expect(rule.Properties).toMatchObject({
      ScheduleExpression: 'rate(1 minute)',
      State: 'ENABLED',
      Targets: [{ Arn: { 'Fn::GetAtt': [id, 'Arn'] }, RetryPolicy: { MaximumRetryAttempts: 0 } }],
    });
    const [, invocation] = theResource(template(region), 'AWS::Lambda::EventInvokeConfig');
    expect(invocation.Properties).toMatchObject({ MaximumRetryAttempts: 0, MaximumEventAgeInSeconds: 60 });
  });

  it('also runs when a slot has changed its state, but not at every report', () => {
    const [, { Properties }] = theResource(template(region), 'AWS::Lambda::EventSourceMapping');
    expect(Properties).toMatchObject({ StartingPosition: 'LATEST', MaximumRetryAttempts: 0 });
    expect(
      Properties.FilterCriteria.Filters.map(({ Pattern }: { Pattern: string }) => JSON.parse(Pattern)),
    ).toEqual([
      { eventName: ['INSERT', 'MODIFY'], dynamodb: { NewImage: { stateChanged: { BOOL: [true] } } } },
    ]);
    expect(Object.keys(loadReportSchema.shape)).toContain('stateChanged');
  });

  it('may change the weights of its region by UPSERT of these SRV names, and nothing else in Route 53', () => {
    const route53 = statements(region).flatMap(({ Action, Resource, Condition }) =>
      [Action]
        .flat()
        .filter((action) => action.startsWith('route53:'))
        .map((action) => ({ action, Resource, ...(Condition ? { Condition } : {}) })),
    );
    const zones = 'arn:aws:route53:::hostedzone/*'; // its id is known when it is made
    expect(route53).toHaveLength(4);
    expect(route53).toEqual(
      expect.arrayContaining([
        { action: 'route53:ListHostedZonesByName', Resource: '*' },
        { action: 'route53:ListResourceRecordSets', Resource: zones },
        { action: 'route53:GetChange', Resource: 'arn:aws:route53:::change/*' },
        {
          action: 'route53:ChangeResourceRecordSets',
          Resource: zones,
          Condition: {
            'ForAllValues:StringEquals': {
              'route53:ChangeResourceRecordSetsNormalizedRecordNames': NAMES,
              'route53:ChangeResourceRecordSetsRecordTypes': ['SRV'],
              'route53:ChangeResourceRecordSetsActions': ['UPSERT'],
            },
          },
        },
      ]),
    );
    // Route 53's condition keys compare normalised names.
    for (const name of NAMES) expect(name).toMatch(/^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/);
  });

  it('may read and write items of its table, read its stream, and no more', () => {
    const actions = statements(region)
      .flatMap(({ Action }) => Action)
      .filter((action) => !action.startsWith('route53:'));
    expect(actions.sort()).toEqual([
      'dynamodb:DescribeStream',
      'dynamodb:GetItem',
      'dynamodb:GetRecords',
      'dynamodb:GetShardIterator',
      'dynamodb:ListStreams',
      'dynamodb:PutItem',
      'xray:PutTelemetryRecords',
      'xray:PutTraceSegments',
    ]);
  });

  it('is the only one with rights in Route 53', () => {
    for (const stack of STACKS.filter((name) => name !== 'steering')) {
      const found = synthesized.regions[region]?.template(stack).toJSON();
      expect(JSON.stringify(found)).not.toMatch(/"route53:/);
    }
  });
});

describe('what depends on the deployment', () => {
  it('is the zone alone where its id is known', () => {
    const existing = synthesizeExample((example) => ({
      ...example,
      dns: { ...example.dns, hostedZoneId: 'Z0123456789ABC' },
    }));
    try {
      const [, { Properties }] = theResource(template('us-west-2', existing), 'AWS::Lambda::Function');
      expect(Properties.Environment.Variables[HOSTED_ZONE_ID]).toBe('Z0123456789ABC');
      const zoned = statements('us-west-2', existing).filter(({ Action }) =>
        [Action].flat().some((action) => /^route53:(Change|List)/.test(action)),
      );
      expect(zoned.map(({ Action, Resource }) => [Action, Resource])).toEqual([
        ['route53:ChangeResourceRecordSets', 'arn:aws:route53:::hostedzone/Z0123456789ABC'],
        ['route53:ListResourceRecordSets', 'arn:aws:route53:::hostedzone/Z0123456789ABC'],
      ]);
    } finally {
      existing.remove();
    }
  });

  it('is refused where a function cannot be told of all slots', () => {
    expect(() =>
      synthesizeExample((example) => {
        const services = Array.from({ length: 40 }, (_, index) => ({
          name: `service-number-${index}`,
          transports: ['udp' as const, 'tcp' as const],
        }));
        return { ...example, dns: { ...example.dns, services } };
      }),
    ).toThrow(TooManySlotsError);
  });

  it('is nothing in the parameter of the region, or a deploy would open a closed one', () => {
    const other = synthesizeExample((example) => ({
      ...example,
      dns: { zone: 'other.example.com', services: [{ name: 'second', transports: ['tcp'] }] },
      regions: example.regions.map((region) => ({ ...region, slots: region.slots.slice(1) })),
    }));
    try {
      for (const region of REGIONS)
        expect(resourcesOf(template(region, other), 'AWS::SSM::Parameter')).toEqual(
          resourcesOf(template(region), 'AWS::SSM::Parameter'),
        );
    } finally {
      other.remove();
    }
  });
});
