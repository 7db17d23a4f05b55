import { BY_TENANT_INDEX, BY_TIME_INDEX, entryItems } from '../../../core/index-entries.ts';
import { homeCopyItem, recordingItem, recordingKey } from '../../../core/index-items.ts';
import { makeManifest } from '../../helpers/manifest.ts';
import { resourcesOf, type Synthesized, synthesizeExample, theResource } from '../synth.ts';

let synthesized: Synthesized;
beforeAll(() => {
  synthesized = synthesizeExample();
});
afterAll(() => synthesized.remove());

const template = (region: string, stack: 'index' | 'storage' = 'index') => {
  const found = synthesized.regions[region];
  if (!found) throw new Error(`no region ${region}`);
  return found.template(stack);
};
const table = () => theResource(template('us-east-1'), 'AWS::DynamoDB::GlobalTable')[1];

describe('the index table', () => {
  it('is made once, by the first region, with a replica in every other', () => {
    expect(table().Properties.TableName).toBe('siprec-index');
    expect(
      table()
        .Properties.Replicas.map(({ Region }: { Region: string }) => Region)
        .sort(),
    ).toEqual(['us-east-1', 'us-west-2']);
    expect(resourcesOf(template('us-west-2'), 'AWS::DynamoDB::GlobalTable')).toEqual({});
  });

  it('has the keys that the items have', () => {
    const manifest = makeManifest();
    const tableKeys = Object.keys(recordingKey(manifest.recordingId));
    const entry = entryItems(recordingItem(manifest))[0] ?? {};
    const schema = ([partition, sort]: string[]) => [
      { AttributeName: partition, KeyType: 'HASH' },
      { AttributeName: sort, KeyType: 'RANGE' },
    ];
    const indexKeys: [string, string[]][] = [
      [BY_TIME_INDEX, ['timePk', 'timeSk']],
      [BY_TENANT_INDEX, ['tenantPk', 'timeSk']],
    ];
    const keys = [...new Set([...tableKeys, ...indexKeys.flatMap(([, names]) => names)])];
    expect(tableKeys).toEqual(['pk', 'sk']);
    for (const item of [homeCopyItem(manifest, 'bucket'), recordingItem(manifest)]) {
      expect(Object.keys(item)).toEqual(expect.arrayContaining(tableKeys));
      // Only entries are in the indexes.
      for (const [, names] of indexKeys) for (const name of names) expect(item).not.toHaveProperty(name);
    }
    expect(Object.keys(entry)).toEqual(expect.arrayContaining(keys));
    expect(table().Properties).toMatchObject({
      KeySchema: schema(tableKeys),
      GlobalSecondaryIndexes: indexKeys.map(([IndexName, names]) => ({
        IndexName,
        KeySchema: schema(names),
        Projection: { ProjectionType: 'ALL' },
      })),
    });
    expect(table().Properties.AttributeDefinitions).toEqual(
      keys.map((AttributeName) => ({ AttributeName, AttributeType: 'S' })),
    );
  });

  it('can be restored in every region, and neither be deleted with its stack nor by mistake', () => {
    for (const replica of table().Properties.Replicas)
      expect(replica).toMatchObject({
        DeletionProtectionEnabled: true,
        PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
        GlobalSecondaryIndexes: [{ IndexName: BY_TIME_INDEX }, { IndexName: BY_TENANT_INDEX }],
      });
    expect(table().DeletionPolicy).toBe('Retain');
    expect(table().Properties).toMatchObject({
      BillingMode: 'PAY_PER_REQUEST',
      SSESpecification: { SSEEnabled: true },
    });
  });
});

describe.each(['us-east-1', 'us-west-2'])('index-recording in %s', (region) => {
  it('works on the queue of its region, and gives back single messages', () => {
    const [functionId] = theResource(template(region), 'AWS::Lambda::Function');
    const [, mapping] = theResource(template(region), 'AWS::Lambda::EventSourceMapping');
    const { EventSourceArn, ...rest } = mapping.Properties;
    expect(rest).toEqual({
      BatchSize: 10,
      FunctionName: { Ref: functionId },
      FunctionResponseTypes: ['ReportBatchItemFailures'],
    });
    const { StackName, Region, OutputName } = EventSourceArn['Fn::GetStackOutput'];
    expect([StackName, Region]).toEqual(['siprec-storage', region]);
    const [queueId] = Object.entries(resourcesOf(template(region, 'storage'), 'AWS::SQS::Queue')).find(
      ([id, { Properties }]) => id.startsWith('manifestevents') && Properties.RedrivePolicy,
    ) as [string, unknown];
    expect(template(region, 'storage').toJSON().Outputs[OutputName].Value).toEqual({
      'Fn::GetAtt': [queueId, 'Arn'],
    });
  });

  it('may read its own recordings, write the index, and no more', () => {
    const [, policy] = theResource(template(region), 'AWS::IAM::Policy');
    const statements = policy.Properties.PolicyDocument.Statement;
    const bucket = `arn:aws:s3:::siprec-recordings-111122223333-${region}`;
    expect(statements.map(({ Action }: { Action: unknown }) => [Action].flat().join())).toEqual([
      'xray:PutTelemetryRecords,xray:PutTraceSegments',
      's3:GetObject',
      'kms:Decrypt',
      's3:ListBucket', // without it, S3 says 403 of an object that is gone
      'dynamodb:DeleteItem,dynamodb:GetItem,dynamodb:PutItem,dynamodb:Query',
      'sqs:SendMessage',
      'sqs:ChangeMessageVisibility,sqs:DeleteMessage,sqs:GetQueueAttributes,sqs:GetQueueUrl,sqs:ReceiveMessage',
    ]);
    expect(statements.slice(1, 4).map(({ Resource }: { Resource: unknown }) => Resource)).toEqual([
      `${bucket}/rec/${region}/*`,
      `arn:aws:kms:${region}:111122223333:key/*`,
      bucket,
    ]);
    expect(statements[2].Condition).toEqual({
      'ForAnyValue:StringEquals': { 'kms:ResourceAliases': 'alias/siprec-recordings' },
    });
    const arn =
      region === 'us-east-1'
        ? { 'Fn::GetAtt': [theResource(template(region), 'AWS::DynamoDB::GlobalTable')[0], 'Arn'] }
        : `arn:aws:dynamodb:${region}:111122223333:table/siprec-index`;
    expect(statements[4].Resource).toEqual(arn);
    expect(statements[4].Condition).toEqual({
      'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': ['REC#*', 'TENANTS', `DUE#${region}`] },
    });
  });
});
