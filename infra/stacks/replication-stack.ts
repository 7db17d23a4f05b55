/** Replication from a region: the function that makes the copies which its queue asks for. */
import { Stack, type StackProps } from 'aws-cdk-lib';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { SqsEventSource } from 'aws-cdk-lib/aws-lambda-event-sources';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { copyTargets } from '../../core/copy-jobs.ts';
import type { Deployment } from '../../core/deployment.ts';
import { regionPrefix } from '../../core/keys.ts';
import { recordingsBucketName } from '../../core/names.ts';
import { type RecordingPlaces, SERVICE_NAME } from '../../functions/replicate-recording/constants.ts';
import { COPY_QUEUE, INDEX_TABLE, RECORDING_PLACES } from '../../functions/shared/environment.ts';
import { NodeFunction } from '../constructs/node-function.ts';
import {
  grantReadRecordings,
  grantTellMissing,
  grantWriteCopies,
  recordingsKeyAliasArn,
} from '../constructs/recordings-access.ts';
import type { IndexStack } from './index-stack.ts';
import { COPY_TIMEOUT } from './storage-stack.ts';

export interface ReplicationStackProps extends StackProps {
  deployment: Deployment;
  copyJobs: Queue;
  index: Pick<IndexStack, 'table'>;
}

/** Messages at once. They are worked on side by side, and most copies are a few requests. */
const BATCH_SIZE = 10;
/** Functions at once: a backlog must not take all that the account has. 20 x 10 copies are far beyond what recorders make. */
const MAX_CONCURRENCY = 20;

export class ReplicationStack extends Stack {
  constructor(
    scope: Construct,
    id: string,
    { deployment, copyJobs, index: { table }, ...props }: ReplicationStackProps,
  ) {
    super(scope, id, props);
    const targets = copyTargets(deployment, this.region);
    const regions = [this.region, ...targets];
    const places: RecordingPlaces = Object.fromEntries(
      regions.map((region) => [
        region,
        {
          bucket: recordingsBucketName(deployment, region),
          kmsKeyId: recordingsKeyAliasArn(this, deployment, region),
        },
      ]),
    );

    const replicate = new NodeFunction(this, SERVICE_NAME, {
      name: SERVICE_NAME,
      environment: {
        [INDEX_TABLE]: table.tableName,
        [COPY_QUEUE]: copyJobs.queueUrl,
        [RECORDING_PLACES]: JSON.stringify(places),
      },
      timeout: COPY_TIMEOUT,
      memorySize: 512,
    });
    // Only below the own region's prefix, also at the targets: what they recorded themselves is out of reach.
    const ownKeys = `${regionPrefix(this.region)}*`;
    grantReadRecordings(this, replicate, deployment, regions, ownKeys);
    grantTellMissing(this, replicate, deployment, regions);
    grantWriteCopies(this, replicate, deployment, targets, ownKeys);
    replicate.addToRolePolicy(
      new PolicyStatement({ actions: ['dynamodb:PutItem'], resources: [table.tableArn] }),
    );
    replicate.addEventSource(
      new SqsEventSource(copyJobs, {
        batchSize: BATCH_SIZE,
        maxConcurrency: MAX_CONCURRENCY,
        reportBatchItemFailures: true,
      }),
    );
  }
}
