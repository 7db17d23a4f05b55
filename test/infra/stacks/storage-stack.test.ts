import { COPY_TIMEOUT, INDEX_TIMEOUT } from '../../../infra/stacks/storage-stack.ts';
import { type Resource, resourcesOf, type Synthesized, synthesizeExample, theResource } from '../synth.ts';

let synthesized: Synthesized;
beforeAll(() => {
  synthesized = synthesizeExample();
});
afterAll(() => synthesized.remove());

const storage = (region: string) => {
  const found = synthesized.regions[region];
  if (!found) throw new Error(`no region ${region}`);
  return found.template('storage');
};

describe.each(['us-east-1', 'us-west-2'])('the storage stack of %s', (region) => {
  it('keeps recordings encrypted by its own key, versioned and private', () => {
    const [keyId, key] = theResource(storage(region), 'AWS::KMS::Key');
    const [, bucket] = theResource(storage(region), 'AWS::S3::Bucket', 'recordings');
    expect(bucket.Properties).toMatchObject({
      BucketName: `siprec-recordings-111122223333-${region}`,
      BucketEncryption: {
        ServerSideEncryptionConfiguration: [
          {
            BucketKeyEnabled: true,
            ServerSideEncryptionByDefault: {
              SSEAlgorithm: 'aws:kms',
              KMSMasterKeyID: { 'Fn::GetAtt': [keyId, 'Arn'] },
            },
          },
        ],
      },
      VersioningConfiguration: { Status: 'Enabled' },
      OwnershipControls: { Rules: [{ ObjectOwnership: 'BucketOwnerEnforced' }] },
      PublicAccessBlockConfiguration: {
        BlockPublicAcls: true,
        BlockPublicPolicy: true,
        IgnorePublicAcls: true,
        RestrictPublicBuckets: true,
      },
    });
    expect(key.Properties.EnableKeyRotation).toBe(true);
    expect([key.DeletionPolicy, bucket.DeletionPolicy]).toEqual(Array(2).fill('RetainExceptOnCreate'));
    expect(theResource(storage(region), 'AWS::KMS::Alias')[1].Properties.AliasName).toBe(
      'alias/siprec-recordings',
    );
  });

  it('refuses whoever comes without TLS', () => {
    const [bucketId] = theResource(storage(region), 'AWS::S3::Bucket', 'recordings');
    const [, policy] = theResource(storage(region), 'AWS::S3::BucketPolicy', 'recordings');
    expect(policy.Properties.Bucket).toEqual({ Ref: bucketId });
    expect(policy.Properties.PolicyDocument.Statement).toContainEqual({
      Action: 's3:*',
      Condition: { Bool: { 'aws:SecureTransport': 'false' } },
      Effect: 'Deny',
      Principal: { AWS: '*' },
      Resource: [
        { 'Fn::GetAtt': [bucketId, 'Arn'] },
        { 'Fn::Join': ['', [{ 'Fn::GetAtt': [bucketId, 'Arn'] }, '/*']] },
      ],
    });
  });

  it('lets nobody delete but expire-recordings, whatever rights they have', () => {
    const [bucketId] = theResource(storage(region), 'AWS::S3::Bucket', 'recordings');
    const [, policy] = theResource(storage(region), 'AWS::S3::BucketPolicy', 'recordings');
    expect(policy.Properties.PolicyDocument.Statement).toContainEqual({
      Action: ['s3:BypassGovernanceRetention', 's3:DeleteObject', 's3:DeleteObjectVersion'],
      Condition: {
        ArnNotEquals: {
          'aws:PrincipalArn': ['us-east-1', 'us-west-2'].map(
            (name) => `arn:aws:iam::111122223333:role/siprec-expire-recordings-${name}`,
          ),
        },
      },
      Effect: 'Deny',
      Principal: { AWS: '*' },
      Resource: { 'Fn::Join': ['', [{ 'Fn::GetAtt': [bucketId, 'Arn'] }, '/*']] },
    });
  });

  it('has no rule that deletes by age: it would know no holds', () => {
    const [, bucket] = theResource(storage(region), 'AWS::S3::Bucket', 'recordings');
    expect(bucket.Properties.LifecycleConfiguration.Rules).toEqual([
      {
        Id: 'superseded-versions',
        Status: 'Enabled',
        ExpiredObjectDeleteMarker: true,
        NoncurrentVersionExpiration: { NoncurrentDays: 30 },
      },
      {
        Id: 'abandoned-uploads',
        Status: 'Enabled',
        AbortIncompleteMultipartUpload: { DaysAfterInitiation: 7 },
      },
    ]);
  });

  it('has Object Lock only if the deployment file wants it', () => {
    const [, bucket] = theResource(storage(region), 'AWS::S3::Bucket', 'recordings');
    expect(bucket.Properties).not.toHaveProperty('ObjectLockEnabled');
  });

  it('tells the queue of manifests written here, and of nothing else', () => {
    const [, bucket] = theResource(storage(region), 'AWS::S3::Bucket', 'recordings');
    const [queueId] = liveQueue(region);
    expect(bucket.Properties.NotificationConfiguration).toEqual({
      // No Copy: what replication brings must not look like a new recording.
      QueueConfigurations: ['s3:ObjectCreated:Put', 's3:ObjectCreated:CompleteMultipartUpload'].map(
        (Event) => ({
          Event,
          Queue: { 'Fn::GetAtt': [queueId, 'Arn'] },
          Filter: {
            S3Key: {
              Rules: [
                { Name: 'prefix', Value: `rec/${region}/` },
                { Name: 'suffix', Value: '/manifest.json' },
              ],
            },
          },
        }),
      ),
    });
  });

  it('lets S3 write into the queue before the bucket needs it', () => {
    const [, bucket] = theResource(storage(region), 'AWS::S3::Bucket', 'recordings');
    const [queueId] = liveQueue(region);
    const [policyId, policy] = policyOf(region, queueId);
    expect(bucket.DependsOn).toContain(policyId);
    expect(policy.Properties.PolicyDocument.Statement).toContainEqual({
      Action: 'sqs:SendMessage',
      Condition: {
        ArnEquals: { 'aws:SourceArn': `arn:aws:s3:::siprec-recordings-111122223333-${region}` },
        StringEquals: { 'aws:SourceAccount': '111122223333' },
      },
      Effect: 'Allow',
      Principal: { Service: 's3.amazonaws.com' },
      Resource: { 'Fn::GetAtt': [queueId, 'Arn'] },
    });
  });

  it('has queues that are encrypted, want TLS, and keep what failed for two weeks', () => {
    const queues = resourcesOf(storage(region), 'AWS::SQS::Queue');
    expect(Object.keys(queues)).toHaveLength(4);
    for (const [id, queue] of Object.entries(queues)) {
      expect(queue.Properties).toMatchObject({
        SqsManagedSseEnabled: true,
        MessageRetentionPeriod: 14 * 86_400,
      });
      // One policy per queue: a second AWS::SQS::QueuePolicy would replace the first when it is deployed.
      expect(policyOf(region, id)[1].Properties.PolicyDocument.Statement).toContainEqual({
        Action: 'sqs:*',
        Condition: { Bool: { 'aws:SecureTransport': 'false' } },
        Effect: 'Deny',
        Principal: { AWS: '*' },
        Resource: { 'Fn::GetAtt': [id, 'Arn'] },
      });
    }
    for (const [name, maxReceiveCount] of [
      ['manifestevents', 5],
      ['copyjobs', 8],
    ] as const) {
      const [deadId] = theResource(storage(region), 'AWS::SQS::Queue', `${name}dead`);
      expect(liveQueue(region, name)[1].Properties.RedrivePolicy).toEqual({
        deadLetterTargetArn: { 'Fn::GetAtt': [deadId, 'Arn'] },
        maxReceiveCount,
      });
    }
  });

  it.each([
    ['index', 'manifestevents', INDEX_TIMEOUT],
    ['replication', 'copyjobs', COPY_TIMEOUT],
  ] as const)(
    'hides a message for at least six times as long as the function of the %s stack may work on it',
    (stack, name, timeout) => {
      const { template } = synthesized.regions[region] as Synthesized['regions'][string];
      const [, worker] = theResource(template(stack), 'AWS::Lambda::Function', stack.slice(0, 3));
      expect(worker.Properties.Timeout).toBe(timeout.toSeconds());
      expect(liveQueue(region, name)[1].Properties.VisibilityTimeout).toBeGreaterThanOrEqual(
        6 * worker.Properties.Timeout,
      );
    },
  );
});

const liveQueue = (region: string, name = 'manifestevents'): [string, Resource] =>
  Object.entries(resourcesOf(storage(region), 'AWS::SQS::Queue')).find(
    ([id, { Properties }]) => id.startsWith(name) && Properties.RedrivePolicy,
  ) as [string, Resource];

function policyOf(region: string, queueId: string): [string, Resource] {
  const found = Object.entries(resourcesOf(storage(region), 'AWS::SQS::QueuePolicy')).filter(
    ([, { Properties }]) => Properties.Queues.some(({ Ref }: { Ref: string }) => Ref === queueId),
  );
  expect(found).toHaveLength(1);
  return found[0] as [string, Resource];
}
