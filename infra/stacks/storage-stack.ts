/** Where a region's recordings lie: bucket, key, and the queues of what is to be done with them. */
import { CfnOutput, Duration, RemovalPolicy, Stack, type StackProps } from 'aws-cdk-lib';
import { AnyPrincipal, Effect, PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import {
  BlockPublicAccess,
  Bucket,
  BucketEncryption,
  type CfnBucket,
  ObjectOwnership,
} from 'aws-cdk-lib/aws-s3';
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import type { Construct, IDependable } from 'constructs';
import { copyTargets } from '../../core/copy-jobs.ts';
import type { Deployment } from '../../core/deployment.ts';
import { regionPrefix } from '../../core/keys.ts';
import { MANIFEST_FILE } from '../../core/manifest.ts';
import {
  accessLogsBucketName,
  deadLetterQueueName,
  expireRoleName,
  type QueueId,
  queueName,
  recordingsBucketName,
} from '../../core/names.ts';
import { recordingsKeyAlias } from '../constructs/recordings-access.ts';

export interface StorageStackProps extends StackProps {
  deployment: Deployment;
}

/** Lambda's timeout for one batch; SQS wants a visibility timeout of at least six times that. */
export const INDEX_TIMEOUT = Duration.seconds(30);
/** As long as the API's own access log (`api-stack.ts`). */
const ACCESS_LOGS_FOR = Duration.days(365);
/** Lambda's longest: an object of many gigabytes is copied by parts, and read once. */
export const COPY_TIMEOUT = Duration.minutes(15);

/** Kept when the stack goes; but gone with a first creation that fails, so that their names are free for the next try. */
const KEPT = RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE;

export class StorageStack extends Stack {
  readonly bucket: Bucket;
  /** One message per manifest that a recorder of this region wrote. */
  readonly manifestEvents: Queue;
  /** One message per copy that is to be made of a recording of this region; absent if nothing is copied from it. */
  readonly copyJobs: Queue | undefined;

  constructor(scope: Construct, id: string, { deployment, ...props }: StorageStackProps) {
    super(scope, id, props);
    const bucketName = recordingsBucketName(deployment, this.region);

    const key = new Key(this, 'key', {
      alias: recordingsKeyAlias(deployment),
      description: `Recordings of ${deployment.name} in ${this.region}`,
      enableKeyRotation: true,
      removalPolicy: KEPT,
    });
    this.bucket = new Bucket(this, 'recordings', {
      bucketName,
      encryption: BucketEncryption.KMS,
      encryptionKey: key,
      bucketKeyEnabled: true, // one KMS call per key and hour rather than per object
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
      enforceSSL: true,
      versioned: true,
      serverAccessLogsBucket: this.accessLogs(deployment),
      // Without a retention of the bucket: each object is given its own, which depends on tenant and start.
      ...(deployment.retention.objectLock && { objectLockEnabled: true }),
      lifecycleRules: [
        // No rule deletes by age: a rule knows no holds and no tenants (functions/expire-recordings). What was overwritten, or
        // deleted by hand, can be restored for a month.
        {
          id: 'superseded-versions',
          noncurrentVersionExpiration: Duration.days(30),
          expiredObjectDeleteMarker: true,
        },
        { id: 'abandoned-uploads', abortIncompleteMultipartUploadAfter: Duration.days(7) },
      ],
      removalPolicy: KEPT,
    });

    this.letDelete(deployment);

    this.manifestEvents = this.workQueue(deployment, 'manifest-events', INDEX_TIMEOUT, 5);
    // The waits between eight tries add up to half an hour (functions/replicate-recording/retry-later.ts).
    if (copyTargets(deployment, this.region).length > 0)
      this.copyJobs = this.workQueue(deployment, 'copy-jobs', COPY_TIMEOUT, 8);
    this.notifyOfManifests(bucketName);
    new CfnOutput(this, 'BucketName', { value: bucketName });
  }

  /**
   * Who has asked S3 for which recording, whatever way they came by the right: presigned addresses of the API, consoles, other
   * programs. S3 delivers only to buckets under its own key.
   */
  private accessLogs(deployment: Deployment): Bucket {
    return new Bucket(this, 'access-logs', {
      bucketName: accessLogsBucketName(deployment, this.region),
      encryption: BucketEncryption.S3_MANAGED,
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
      enforceSSL: true,
      lifecycleRules: [{ id: 'old-logs', expiration: ACCESS_LOGS_FOR }],
      removalPolicy: KEPT,
    });
  }

  /** Whoever else has the right to delete by some other policy, an administrator included, does not delete recordings by it. */
  private letDelete(deployment: Deployment): void {
    const roles = deployment.regions.map(
      ({ name }) => `arn:${this.partition}:iam::${this.account}:role/${expireRoleName(deployment, name)}`,
    );
    this.bucket.addToResourcePolicy(
      new PolicyStatement({
        effect: Effect.DENY,
        principals: [new AnyPrincipal()],
        actions: ['s3:BypassGovernanceRetention', 's3:DeleteObject', 's3:DeleteObjectVersion'],
        resources: [this.bucket.arnForObjects('*')],
        conditions: { ArnNotEquals: { 'aws:PrincipalArn': roles } },
      }),
    );
  }

  /** A queue before a function, with one for what the function could not do in so many tries. */
  private workQueue(
    deployment: Deployment,
    id: QueueId,
    functionTimeout: Duration,
    maxReceiveCount: number,
  ): Queue {
    return new Queue(this, id, {
      queueName: queueName(deployment, id),
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      retentionPeriod: Duration.days(14),
      visibilityTimeout: Duration.seconds(6 * functionTimeout.toSeconds()),
      deadLetterQueue: {
        maxReceiveCount,
        queue: new Queue(this, `${id}-dead`, {
          queueName: deadLetterQueueName(deployment, id),
          encryption: QueueEncryption.SQS_MANAGED,
          enforceSSL: true,
          retentionPeriod: Duration.days(14),
        }),
      },
    });
  }

  /**
   * Declared on the bucket itself: CDK's own way is a custom resource with one more function to run. S3 tests the
   * queue when the notification is made, so the queue's policy must be there first, and name the bucket by ARN text.
   */
  private notifyOfManifests(bucketName: string): void {
    // Added to the policy that enforces TLS: a queue has one policy, and a second resource would replace the first.
    const { policyDependable } = this.manifestEvents.addToResourcePolicy(
      new PolicyStatement({
        principals: [new ServicePrincipal('s3.amazonaws.com')],
        actions: ['sqs:SendMessage'],
        resources: [this.manifestEvents.queueArn],
        conditions: {
          ArnEquals: { 'aws:SourceArn': `arn:${this.partition}:s3:::${bucketName}` },
          StringEquals: { 'aws:SourceAccount': this.account },
        },
      }),
    );
    const bucket = this.bucket.node.defaultChild as CfnBucket;
    bucket.node.addDependency(policyDependable as IDependable);
    bucket.notificationConfiguration = {
      // Put and multipart only: a copy made by replication must never look like a new recording.
      queueConfigurations: ['s3:ObjectCreated:Put', 's3:ObjectCreated:CompleteMultipartUpload'].map(
        (event) => ({
          event,
          queue: this.manifestEvents.queueArn,
          filter: {
            s3Key: {
              rules: [
                { name: 'prefix', value: regionPrefix(this.region) },
                { name: 'suffix', value: `/${MANIFEST_FILE}` },
              ],
            },
          },
        }),
      ),
    };
  }
}
