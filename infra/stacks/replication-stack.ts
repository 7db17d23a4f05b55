/** Replication from a region: the function that makes the copies which its queue asks for, and the sweep that misses none. */
import { Duration, Stack, type StackProps } from 'aws-cdk-lib';
import type { ITableV2 } from 'aws-cdk-lib/aws-dynamodb';
import { Rule, Schedule } from 'aws-cdk-lib/aws-events';
import { LambdaFunction } from 'aws-cdk-lib/aws-events-targets';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { SqsEventSource } from 'aws-cdk-lib/aws-lambda-event-sources';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { copyTargets } from '../../core/copy-jobs.ts';
import type { Deployment } from '../../core/deployment.ts';
import { CALL_PREFIX } from '../../core/fate-items.ts';
import { recordingPartition } from '../../core/index-items.ts';
import { regionPrefix } from '../../core/keys.ts';
import { recordingsBucketName } from '../../core/names.ts';
import { replicationPartition } from '../../core/replication-report.ts';
import { rulesOf } from '../../core/replication-rules.ts';
import { SERVICE_NAME as REPLICATE } from '../../functions/replicate-recording/constants.ts';
import {
  COPY_QUEUE,
  INDEX_TABLE,
  MANIFEST_EVENTS,
  RECORDING_PLACES,
  REPLICATION_RULES,
  RETENTION,
  type RecordingPlaces,
} from '../../functions/shared/environment.ts';
import { SERVICE_NAME as SWEEP, sweepPartition } from '../../functions/sweep-recordings/constants.ts';
import { NodeFunction } from '../constructs/node-function.ts';
import { grantSend } from '../constructs/queue-access.ts';
import {
  grantReadRecordings,
  grantTellMissing,
  grantWriteCopies,
  leadingKeys,
  recordingsKeyAliasArn,
} from '../constructs/recordings-access.ts';
import { retentionText } from '../constructs/retention-environment.ts';
import { COPY_TIMEOUT } from './storage-stack.ts';

export interface ReplicationStackProps extends StackProps {
  deployment: Deployment;
  copyJobs: Queue;
  manifestEvents: Queue;
  table: ITableV2;
}

/** Messages at once. They are worked on side by side, and most copies are a few requests. */
const BATCH_SIZE = 10;
/** Functions at once: a backlog must not take all that the account has. 20 x 10 copies are far beyond what recorders make. */
const MAX_CONCURRENCY = 20;
const SWEEP_EVERY = Duration.minutes(5);
/** Of the room that is left beside the rules (`core/replication-rules.ts`). */
const MAX_RETENTION_BYTES = 500;

export class ReplicationStack extends Stack {
  constructor(scope: Construct, id: string, { deployment, copyJobs, ...props }: ReplicationStackProps) {
    super(scope, id, props);
    const { table, manifestEvents } = props;
    const targets = copyTargets(deployment, this.region);
    const regions = [this.region, ...targets];
    const environment = {
      [INDEX_TABLE]: table.tableName,
      [COPY_QUEUE]: copyJobs.queueUrl,
      [RECORDING_PLACES]: JSON.stringify(this.places(deployment, regions)),
      [REPLICATION_RULES]: JSON.stringify(rulesOf(deployment, this.region)),
    };
    // Only below the own region's prefix, also at the targets: what they recorded themselves is out of reach.
    const ownKeys = `${regionPrefix(this.region)}*`;

    const isLocked = deployment.retention.objectLock !== undefined;
    const replicate = new NodeFunction(this, REPLICATE, {
      deployment,
      name: REPLICATE,
      environment: {
        ...environment,
        ...(isLocked && { [RETENTION]: retentionText(deployment.retention, MAX_RETENTION_BYTES) }),
      },
      timeout: COPY_TIMEOUT,
      memorySize: 512,
    });
    grantReadRecordings(this, replicate, deployment, regions, ownKeys);
    grantTellMissing(this, replicate, deployment, regions);
    grantWriteCopies(this, replicate, deployment, targets, ownKeys);
    if (isLocked)
      replicate.addToRolePolicy(
        new PolicyStatement({
          actions: ['s3:PutObjectLegalHold', 's3:PutObjectRetention'],
          resources: targets.map(
            (region) => `arn:${this.partition}:s3:::${recordingsBucketName(deployment, region)}/${ownKeys}`,
          ),
        }),
      );
    replicate.addToRolePolicy(
      new PolicyStatement({
        actions: ['dynamodb:BatchGetItem', 'dynamodb:PutItem', 'dynamodb:Query'],
        resources: [table.tableArn],
        // A recording's copies, and its deletion and holds; the holds of its call.
        conditions: leadingKeys(recordingPartition('*'), `${CALL_PREFIX}*`),
      }),
    );
    replicate.addEventSource(
      new SqsEventSource(copyJobs, {
        batchSize: BATCH_SIZE,
        maxConcurrency: MAX_CONCURRENCY,
        reportBatchItemFailures: true,
      }),
    );

    const sweep = new NodeFunction(this, SWEEP, {
      deployment,
      name: SWEEP,
      environment: {
        ...environment,
        [MANIFEST_EVENTS]: manifestEvents.queueUrl,
      },
      timeout: SWEEP_EVERY,
      memorySize: 512,
      reservedConcurrentExecutions: 1, // two at once would send the same jobs
    });
    // What a run did not do, the next one does.
    sweep.configureAsyncInvoke({ retryAttempts: 0, maxEventAge: SWEEP_EVERY });
    new Rule(this, 'sweep-schedule', {
      description: `Runs ${SWEEP}`,
      schedule: Schedule.rate(SWEEP_EVERY),
      targets: [new LambdaFunction(sweep, { retryAttempts: 0, maxEventAge: SWEEP_EVERY })],
    });
    grantReadRecordings(this, sweep, deployment, regions, ownKeys);
    grantTellMissing(this, sweep, deployment, regions);
    for (const statement of [
      new PolicyStatement({
        actions: ['dynamodb:BatchGetItem', 'dynamodb:UpdateItem'],
        resources: [table.tableArn],
        conditions: leadingKeys(recordingPartition('*')),
      }),
      new PolicyStatement({
        actions: ['dynamodb:GetItem', 'dynamodb:PutItem'],
        resources: [table.tableArn],
        conditions: {
          'ForAllValues:StringEquals': {
            'dynamodb:LeadingKeys': [sweepPartition(this.region), replicationPartition(this.region)],
          },
        },
      }),
      new PolicyStatement({ actions: ['sqs:GetQueueAttributes'], resources: [copyJobs.queueArn] }),
    ])
      sweep.addToRolePolicy(statement);
    grantSend(sweep, copyJobs);
    grantSend(sweep, manifestEvents);
  }

  private places(deployment: Deployment, regions: string[]): RecordingPlaces {
    return Object.fromEntries(
      regions.map((region) => [
        region,
        {
          bucket: recordingsBucketName(deployment, region),
          kmsKeyId: recordingsKeyAliasArn(this, deployment, region),
        },
      ]),
    );
  }
}
