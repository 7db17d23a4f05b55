import type { Template } from 'aws-cdk-lib/assertions';
import {
  type Resource,
  resourcesOf,
  STACKS,
  type StackName,
  type Synthesized,
  synthesizeExample,
} from '../synth.ts';

let synthesized: Synthesized;
beforeAll(() => {
  synthesized = synthesizeExample();
});
afterAll(() => synthesized.remove());

/** Every value of this key, however deep. */
function valuesOf(key: string, node: unknown): unknown[] {
  if (typeof node !== 'object' || node === null) return [];
  return Object.entries(node).flatMap(([name, value]) => (name === key ? [value] : valuesOf(key, value)));
}

interface Statement {
  Action: string | string[];
  Resource: unknown;
  Condition?: unknown;
}

/** Of roles, whether they are resources of their own or not. */
const policyDocuments = (template: Template): { Statement: Statement[] }[] => [
  ...Object.values(resourcesOf(template, 'AWS::IAM::Policy')).map(
    ({ Properties }) => Properties.PolicyDocument,
  ),
  ...Object.values(resourcesOf(template, 'AWS::IAM::Role')).flatMap(({ Properties }) =>
    (Properties.Policies ?? []).map((policy: { PolicyDocument: unknown }) => policy.PolicyDocument),
  ),
];

/** What stacks read from others of their region while they are deployed. */
const READS: Partial<Record<StackName, StackName[]>> = {
  index: ['storage'],
  replication: ['index', 'storage'],
  retention: ['index'],
  api: ['index'],
  edge: ['api', 'dns'],
  recorders: ['dns', 'network'],
};

/** Where a resource may hold a `*`, and why. */
const WILDCARDS: [action: string, resource: RegExp][] = [
  ...[
    'ec2:DescribeAddresses', // none of these has resources
    'ec2:DescribeInstances',
    'ec2:DescribeManagedPrefixLists',
    'ec2:DescribeVolumes',
    'ecr:GetAuthorizationToken',
    'ecs:DiscoverPollEndpoint',
    'cloudwatch:PutMetricData', // narrowed to a namespace
    'ssm:UpdateInstanceInformation',
    'ssmmessages:CreateControlChannel',
    'ssmmessages:CreateDataChannel',
    'ssmmessages:OpenControlChannel',
    'ssmmessages:OpenDataChannel',
  ].map((action): [string, RegExp] => [action, /^\*$/]),
  // One instance comes after another: narrowed to those of the slot by their tags.
  ['ec2:AssociateAddress', /^arn:aws:ec2:[\w-]+:111122223333:(instance|network-interface)\/\*$/],
  ['ec2:AttachVolume', /^arn:aws:ec2:[\w-]+:111122223333:instance\/\*$/],
  ['ec2:DetachVolume', /^arn:aws:ec2:[\w-]+:111122223333:instance\/\*$/],
  ['ecs:Poll', /:container-instance\/siprec-recorders\/\*$/], // ids of its own cluster
  ['ecs:StartTelemetrySession', /:container-instance\/siprec-recorders\/\*$/],
  ['ecs:UpdateContainerInstancesState', /:container-instance\/siprec-recorders\/\*$/],
  // The id is the group's only unknown: its name is the slot's.
  ['autoscaling:CompleteLifecycleAction', /:autoScalingGroup:\*:autoScalingGroupName\/siprec-[\w-]+$/],
  ['autoscaling:RecordLifecycleActionHeartbeat', /:autoScalingGroup:\*:autoScalingGroupName\/siprec-[\w-]+$/],
  ['logs:CreateLogStream', /:log-group:\/siprec\/host:log-stream:[\w-]+\/\*$/], // streams of the slot
  ['logs:PutLogEvents', /:log-group:\/siprec\/host:log-stream:[\w-]+\/\*$/],
  ['s3:ListMultipartUploadParts', /^arn:aws:s3:::siprec-recordings-[\w-]+\/rec\/[\w-]+\/\*$/],
  ['xray:PutTelemetryRecords', /^\*$/], // X-Ray has no resources
  ['xray:PutTraceSegments', /^\*$/],
  ['s3:GetObject', /^arn:aws:s3:::siprec-recordings-[\w-]+\/rec\/([\w-]+|\*)\/\*$/], // keys below the recordings
  ['s3:PutObject', /^arn:aws:s3:::siprec-recordings-[\w-]+\/((rec|deletions)\/[\w-]+|holds)\/\*$/],
  ['s3:AbortMultipartUpload', /^arn:aws:s3:::siprec-recordings-[\w-]+\/((rec|deletions)\/[\w-]+|holds)\/\*$/],
  ['s3:DeleteObject', /^arn:aws:s3:::siprec-recordings-[\w-]+\/(rec|deletions)\/[\w-]+\/\*$/],
  ['s3:DeleteObjectVersion', /^arn:aws:s3:::siprec-recordings-[\w-]+\/(rec|deletions)\/[\w-]+\/\*$/],
  ['kms:GenerateDataKey', /^arn:aws:kms:[\w-]+:111122223333:key\/\*$/], // narrowed by the key's alias
  ['kms:Decrypt', /^arn:aws:kms:[\w-]+:111122223333:key\/\*$/], // narrowed by the key's alias
  ['dynamodb:ListStreams', /^\*$/], // has no resources; what a stream holds is read by its ARN
  ['route53:ListHostedZonesByName', /^\*$/], // has no resources
  ['route53:GetChange', /^arn:aws:route53:::change\/\*$/], // an id is known when the change is made
  // The id of a zone that the deployment makes is known when it is made; changes are narrowed to record names.
  ['route53:ListResourceRecordSets', /^arn:aws:route53:::hostedzone\/\*$/],
  ['route53:ChangeResourceRecordSets', /^arn:aws:route53:::hostedzone\/\*$/],
];

/** All resources of a type, of all stacks of both regions. */
const all = (type: string): Resource[] =>
  Object.values(synthesized.regions).flatMap(({ template }) =>
    STACKS.flatMap((name) => Object.values(resourcesOf(template(name), type))),
  );

function expectTlsOnly(policy: Resource, action: string): void {
  expect(policy.Properties.PolicyDocument.Statement).toContainEqual(
    expect.objectContaining({
      Effect: 'Deny',
      Action: action,
      Condition: { Bool: { 'aws:SecureTransport': 'false' } },
    }),
  );
}

/** What is given under a condition only; with a resource: where it is given on that. */
const NARROWED: [action: string, resource?: RegExp][] = [
  ['kms:Decrypt'],
  ['kms:GenerateDataKey'],
  ['route53:ChangeResourceRecordSets'],
  ['cloudwatch:PutMetricData'],
  ['ecs:Poll'],
  ['ec2:AssociateAddress', /instance/],
  ['ec2:AttachVolume', /instance/],
  ['ec2:DetachVolume', /instance/],
];

describe('the stages of the example', () => {
  it('have stacks of the same names in every region', () => {
    for (const [region, { assembly }] of Object.entries(synthesized.regions))
      expect(assembly.stacks.map((stack) => [stack.stackName, stack.environment.name])).toEqual(
        expect.arrayContaining(STACKS.map((name) => [`siprec-${name}`, `aws://111122223333/${region}`])),
      );
  });

  it('hold no references from one region to another', () => {
    for (const [region, { assembly, template }] of Object.entries(synthesized.regions)) {
      const ids = new Set(assembly.artifacts.map(({ id }) => id));
      for (const stack of assembly.stacks)
        for (const dependency of stack.dependencies) expect(ids).toContain(dependency.id);
      for (const name of STACKS) {
        const json = template(name).toJSON();
        for (const output of valuesOf('Fn::GetStackOutput', json))
          expect(output).toMatchObject({ Region: region });
        expect(Object.keys(template(name).findResources('Custom::CrossRegionExportReader'))).toEqual([]);
      }
    }
  });

  // No output is exported: CloudFormation looks it up when the reader is deployed, and then lets both go their own ways. So each stack can be
  // changed or deleted alone, and deployed alone once those that it reads from are there.
  it('have stacks that read from few others, and hold none of them', () => {
    for (const { template } of Object.values(synthesized.regions))
      for (const name of STACKS) {
        const json = template(name).toJSON();
        expect(valuesOf('Fn::ImportValue', json)).toEqual([]);
        expect(valuesOf('Export', json.Outputs)).toEqual([]);
        for (const { StackName } of valuesOf('Fn::GetStackOutput', json) as { StackName: string }[])
          expect((READS[name] ?? []).map((stack) => `siprec-${stack}`)).toContain(StackName);
      }
  });

  it('keep every log for a time that is said', () => {
    const logs = all('AWS::Logs::LogGroup');
    expect(logs.length).toBeGreaterThan(20);
    for (const { Properties } of logs) expect([90, 365]).toContain(Properties.RetentionInDays);
  });

  it('have buckets that are private, encrypted, and refuse whoever comes without TLS', () => {
    const buckets = Object.values(synthesized.regions).flatMap(({ template }) =>
      STACKS.flatMap((name) => Object.entries(resourcesOf(template(name), 'AWS::S3::Bucket'))),
    );
    expect(buckets).toHaveLength(4);
    const policies = all('AWS::S3::BucketPolicy');
    expect(policies).toHaveLength(4);
    for (const policy of policies) expectTlsOnly(policy, 's3:*');
    for (const [id, { Properties }] of buckets) {
      expect(Object.values(Properties.PublicAccessBlockConfiguration)).toEqual([true, true, true, true]);
      expect(Properties.BucketEncryption).toBeDefined();
      expect(policies.filter((policy) => policy.Properties.Bucket.Ref === id)).toHaveLength(2); // one in each region
    }
  });

  it('have queues and topics that are encrypted, and refuse whoever comes without TLS', () => {
    const [queues, topics] = [all('AWS::SQS::Queue'), all('AWS::SNS::Topic')];
    expect([queues.length, topics.length]).toEqual([8, 4]);
    for (const { Properties } of queues) expect(Properties.SqsManagedSseEnabled).toBe(true);
    for (const { Properties } of topics) expect(Properties.KmsMasterKeyId).toBeDefined();
    const [ofQueues, ofTopics] = [all('AWS::SQS::QueuePolicy'), all('AWS::SNS::TopicPolicy')];
    expect([ofQueues.length, ofTopics.length]).toEqual([8, 4]);
    for (const policy of ofQueues) expectTlsOnly(policy, 'sqs:*');
    for (const policy of ofTopics) expectTlsOnly(policy, 'sns:Publish');
  });

  it('have a role for each function alone', () => {
    const roles = Object.entries(synthesized.regions).flatMap(([region, { template }]) =>
      STACKS.flatMap((name) =>
        Object.values(resourcesOf(template(name), 'AWS::Lambda::Function')).map(
          ({ Properties }) => `${region} ${name} ${Properties.Role['Fn::GetAtt'][0]}`,
        ),
      ),
    );
    expect(roles.length).toBeGreaterThanOrEqual(16);
    expect(new Set(roles).size).toBe(roles.length);
  });

  it('come out the same each time', () => {
    const again = synthesizeExample();
    try {
      for (const [region, { template }] of Object.entries(synthesized.regions))
        for (const name of STACKS)
          expect(again.regions[region]?.template(name).toJSON()).toEqual(template(name).toJSON());
    } finally {
      again.remove();
    }
  });

  it('give no one more than named actions, and a wildcard resource only where it is argued', () => {
    let statements = 0;
    for (const { template } of Object.values(synthesized.regions))
      for (const name of STACKS)
        for (const document of policyDocuments(template(name)))
          for (const { Action, Resource, Condition } of document.Statement) {
            statements += 1;
            for (const action of [Action].flat()) {
              expect(action).toMatch(/^[a-z0-9]+:[A-Za-z]+$/);
              for (const resource of [Resource].flat()) {
                if (!JSON.stringify(resource).includes('*')) continue;
                const argued = WILDCARDS.filter(([allowed]) => allowed === action).map(
                  ([, pattern]) => pattern,
                );
                expect({ action, resource, argued: argued.some((p) => p.test(String(resource))) }).toEqual({
                  action,
                  resource,
                  argued: true,
                });
              }
            }
            const isNarrowed = NARROWED.some(
              ([narrowed, resource]) =>
                [Action].flat().includes(narrowed) && (resource?.test(JSON.stringify(Resource)) ?? true),
            );
            if (isNarrowed) expect({ Action, Condition }).toEqual({ Action, Condition: expect.anything() });
          }
    expect(statements).toBe(218);
  });

  it('take no managed policy but the one that API Gateway needs for its logs', () => {
    const managed = Object.values(synthesized.regions).flatMap(({ template }) =>
      STACKS.flatMap((name) => valuesOf('ManagedPolicyArns', template(name).toJSON())),
    );
    const names = JSON.stringify(managed).match(/policy\/[\w/-]+/g);
    expect([...new Set(names)].sort()).toEqual(['policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs']);
  });
});
