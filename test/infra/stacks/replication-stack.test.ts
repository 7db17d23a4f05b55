import { copyTargets } from '../../../core/copy-jobs.ts';
import type { Deployment } from '../../../core/deployment.ts';
import { MAX_ENVIRONMENT_BYTES, rulesOf, rulesSize } from '../../../core/replication-rules.ts';

import {
  COPY_QUEUE,
  MANIFEST_EVENTS,
  RECORDING_PLACES,
  REPLICATION_RULES,
} from '../../../functions/shared/environment.ts';
import { resourcesOf, type Synthesized, synthesizeExample, theResource } from '../synth.ts';

let synthesized: Synthesized;
beforeAll(() => {
  synthesized = synthesizeExample();
});
afterAll(() => synthesized.remove());

const REGIONS: [region: string, target: string][] = [
  ['us-east-1', 'us-west-2'],
  ['us-west-2', 'us-east-1'],
];
const template = (region: string, stack: 'replication' | 'index' | 'storage' = 'replication') => {
  const found = synthesized.regions[region];
  if (!found) throw new Error(`no region ${region}`);
  return found.template(stack);
};
const bucket = (region: string) => `siprec-recordings-111122223333-${region}`;

describe.each(REGIONS)('replication from %s to %s', (region, target) => {
  const replicate = () => theResource(template(region), 'AWS::Lambda::Function', 'replicaterecording');

  it('knows both places: bucket, and key by its alias', () => {
    const { Variables } = replicate()[1].Properties.Environment;
    const place = (name: string) => ({
      bucket: bucket(name),
      kmsKeyId: `arn:aws:kms:${name}:111122223333:alias/siprec-recordings`,
    });
    expect(JSON.parse(Variables[RECORDING_PLACES])).toEqual({
      [region]: place(region),
      [target]: place(target),
    });
  });

  it('works on the copy queue of its region, and gives back single messages', () => {
    const [functionId] = replicate();
    const [, { Properties }] = theResource(template(region), 'AWS::Lambda::EventSourceMapping');
    expect(Properties).toMatchObject({
      FunctionName: { Ref: functionId },
      FunctionResponseTypes: ['ReportBatchItemFailures'],
      BatchSize: 10,
      ScalingConfig: { MaximumConcurrency: 20 },
    });
    const { StackName, OutputName } = Properties.EventSourceArn['Fn::GetStackOutput'];
    expect(StackName).toBe('siprec-storage');
    expect(JSON.stringify(template(region, 'storage').toJSON().Outputs[OutputName])).toMatch(/"copyjobs[^d]/);
  });

  it('may read both places, write the copies of its own recordings, and no more', () => {
    const [, policy] = theResource(template(region), 'AWS::IAM::Policy', 'replicaterecording');
    const statements: { Action: unknown; Resource: unknown; Condition: unknown }[] =
      policy.Properties.PolicyDocument.Statement;
    const both = [region, target].sort();
    const objects = (...regions: string[]) =>
      regions.map((name) => `arn:aws:s3:::${bucket(name)}/rec/${region}/*`);
    const keys = (...regions: string[]) => regions.map((name) => `arn:aws:kms:${name}:111122223333:key/*`);
    expect(
      statements
        .slice(1, 6)
        .map(({ Action, Resource }) => [[Action].flat().sort().join(), [Resource].flat().sort()]),
    ).toEqual([
      ['s3:GetObject', objects(...both)],
      ['kms:Decrypt', keys(...both)],
      ['s3:ListBucket', both.map((name) => `arn:aws:s3:::${bucket(name)}`)],
      ['s3:AbortMultipartUpload,s3:PutObject', objects(target)],
      ['kms:GenerateDataKey', keys(target)],
    ]);
    expect(statements.slice(6).map(({ Action }) => [Action].flat().join())).toEqual([
      'dynamodb:BatchGetItem,dynamodb:PutItem,dynamodb:Query',
      'sqs:ChangeMessageVisibility,sqs:DeleteMessage,sqs:GetQueueAttributes,sqs:GetQueueUrl,sqs:ReceiveMessage',
    ]);
    expect(statements[6]?.Condition).toEqual({
      'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': ['REC#*', 'CALL#*'] },
    });
    for (const index of [2, 5])
      expect(statements[index]?.Condition).toEqual({
        'ForAnyValue:StringEquals': { 'kms:ResourceAliases': 'alias/siprec-recordings' },
      });
  });

  it('is asked for by index-recording, which may send jobs and nothing else', () => {
    const [, indexRecording] = theResource(template(region, 'index'), 'AWS::Lambda::Function');
    const { Variables } = indexRecording.Properties.Environment;
    expect(JSON.parse(Variables[REPLICATION_RULES])).toEqual([
      { to: target, mode: 'onCompletion', priority: 50 },
    ]);
    expect(Variables).toHaveProperty(COPY_QUEUE);
  });

  it('sets off no copies of copies: what it writes at the target matches no event filter there', () => {
    const [, targetBucket] = theResource(template(target, 'storage'), 'AWS::S3::Bucket', 'recordings');
    const written = `rec/${region}/2026/11/23/01KAR7V0000000000000000000/manifest.json`;
    for (const { Event, Filter } of targetBucket.Properties.NotificationConfiguration.QueueConfigurations) {
      const prefix = Filter.S3Key.Rules.find(({ Name }: { Name: string }) => Name === 'prefix').Value;
      expect(written.startsWith(prefix)).toBe(false);
      expect(Event).not.toMatch(/Copy|\*/);
    }
  });
});

describe.each(REGIONS)('the sweep of what is copied from %s to %s', (region, target) => {
  const sweep = () => theResource(template(region), 'AWS::Lambda::Function', 'sweeprecordings');

  it('runs every five minutes, one at a time, and is not tried again', () => {
    const [functionId, { Properties }] = sweep();
    expect(Properties).toMatchObject({ Timeout: 300, ReservedConcurrentExecutions: 1 });
    expect(JSON.parse(Properties.Environment.Variables[REPLICATION_RULES])).toMatchObject([{ to: target }]);
    expect(Properties.Environment.Variables).toHaveProperty(MANIFEST_EVENTS);
    const [, rule] = theResource(template(region), 'AWS::Events::Rule');
    expect(rule.Properties).toMatchObject({
      ScheduleExpression: 'rate(5 minutes)',
      Targets: [
        {
          Arn: { 'Fn::GetAtt': [functionId, 'Arn'] },
          RetryPolicy: { MaximumRetryAttempts: 0, MaximumEventAgeInSeconds: 300 },
        },
      ],
    });
  });

  it('may read, ask for work, and write where it is and what is damaged; no recording', () => {
    const [, policy] = theResource(template(region), 'AWS::IAM::Policy', 'sweeprecordings');
    const statements: { Action: unknown; Condition: unknown }[] = policy.Properties.PolicyDocument.Statement;
    expect(statements.slice(1).map(({ Action }) => [Action].flat().sort().join())).toEqual([
      's3:GetObject',
      'kms:Decrypt',
      's3:ListBucket',
      'dynamodb:BatchGetItem,dynamodb:UpdateItem',
      'dynamodb:GetItem,dynamodb:PutItem',
      'sqs:GetQueueAttributes,sqs:SendMessage', // the copy queue
      'sqs:SendMessage',
    ]);
    expect(statements[5]?.Condition).toEqual({
      'ForAllValues:StringEquals': { 'dynamodb:LeadingKeys': [`SWEEP#${region}`, `REPLICATION#${region}`] },
    });
  });
});

describe('rules as large as the deployment file takes them', () => {
  it('fit into the environment of every function that has them, with its longest names', () => {
    const name = 'a'.repeat(20);
    const largest = (replication: Deployment['replication']) => {
      for (let count = 0; ; count++) {
        const users = Array.from({ length: count + 1 }, (_, index) => `user${index}@example.com`);
        const next = replication.map((target, index) =>
          index === 0 ? { ...target, filters: { users } } : target,
        );
        const { bytes, limit } = rulesSize(rulesOf({ replication: next }, 'us-east-1'));
        if (bytes > limit) return { count, next };
      }
    };
    const full = synthesizeExample((example) => {
      const { count, next } = largest(example.replication);
      expect(count).toBeGreaterThan(100);
      const users = (next[0]?.filters?.users ?? []).slice(0, count);
      const [first, ...others] = example.replication as [Deployment['replication'][0]];
      return { ...example, name, replication: [{ ...first, filters: { users } }, ...others] };
    });
    try {
      for (const stack of ['index', 'replication'] as const) {
        const template = full.regions['us-east-1']?.template(stack) as never;
        for (const { Properties } of Object.values(resourcesOf(template, 'AWS::Lambda::Function'))) {
          const variables = Object.entries(Properties.Environment.Variables).map(
            ([variable, value]) =>
              // Addresses of queues are known only once they exist: host, account, and a name of at most 80 characters.
              `${variable}${typeof value === 'string' ? value : 'x'.repeat(140)}`,
          );
          expect(Buffer.byteLength(variables.join(''))).toBeLessThan(MAX_ENVIRONMENT_BYTES);
        }
      }
    } finally {
      full.remove();
    }
  });
});

describe('a region from which nothing is copied', () => {
  it('has no copy queue and no replication stack, and indexes without them', () => {
    const oneWay = synthesizeExample((example) => ({
      ...example,
      replication: example.replication.filter(({ from }) => from === 'us-east-1'),
    }));
    try {
      expect(copyTargets(oneWay.deployment, 'us-west-2')).toEqual([]);
      const west = oneWay.regions['us-west-2'];
      expect(Object.keys(resourcesOf(west?.template('storage') as never, 'AWS::SQS::Queue'))).toHaveLength(2);
      expect(() => west?.template('replication')).toThrow('no stack replication');
      const [, indexRecording] = theResource(west?.template('index') as never, 'AWS::Lambda::Function');
      expect(indexRecording.Properties.Environment.Variables).not.toHaveProperty(COPY_QUEUE);
      expect(oneWay.regions['us-east-1']?.template('replication')).toBeDefined();
    } finally {
      oneWay.remove();
    }
  });
});
