/** The end of a region's recordings: the only function that may delete any, in its own region and their copies elsewhere. */
import { Duration, Stack, type StackProps } from 'aws-cdk-lib';
import type { ITableV2 } from 'aws-cdk-lib/aws-dynamodb';
import { Rule, Schedule } from 'aws-cdk-lib/aws-events';
import { LambdaFunction } from 'aws-cdk-lib/aws-events-targets';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import { AUDIT_PREFIX } from '../../core/audit-items.ts';
import type { Deployment } from '../../core/deployment.ts';
import { deletionsPrefix, duePartition, HOLDS_ROOT } from '../../core/fate-items.ts';
import { BY_TENANT_INDEX } from '../../core/index-entries.ts';
import { recordingPartition } from '../../core/index-items.ts';
import { regionPrefix } from '../../core/keys.ts';
import { expireRoleName, indexTableName, recordingsBucketName } from '../../core/names.ts';
import { expirePartition, SERVICE_NAME } from '../../functions/expire-recordings/constants.ts';
import { INDEX_TABLE, RECORDING_BUCKETS, RETENTION } from '../../functions/shared/environment.ts';
import { NodeFunction } from '../constructs/node-function.ts';
import {
  grantReadRecordings,
  grantTellMissing,
  grantWriteCopies,
  leadingKeys,
} from '../constructs/recordings-access.ts';
import { recordingBuckets, retentionText } from '../constructs/retention-environment.ts';

export interface RetentionStackProps extends StackProps {
  deployment: Deployment;
  table: ITableV2;
}

const EXPIRE_EVERY = Duration.minutes(1);
/** All that fits into an environment, besides what else is in it. */
const MAX_RETENTION_BYTES = 3_000;

export class RetentionStack extends Stack {
  constructor(scope: Construct, id: string, { deployment, table, ...props }: RetentionStackProps) {
    super(scope, id, props);
    const regions = deployment.regions.map(({ name }) => name);
    const expire = new NodeFunction(this, SERVICE_NAME, {
      deployment,
      name: SERVICE_NAME,
      environment: {
        [INDEX_TABLE]: table.tableName,
        [RECORDING_BUCKETS]: JSON.stringify(recordingBuckets(deployment)),
        [RETENTION]: retentionText(deployment.retention, MAX_RETENTION_BYTES),
      },
      timeout: Duration.minutes(5),
      memorySize: 512,
      reservedConcurrentExecutions: 1, // two at once would decide the same deletion
      // By this name, the buckets of all regions let it delete, and nobody else (`storage-stack.ts`).
      roleName: expireRoleName(deployment, this.region),
    });
    // What a run did not do, the next one does.
    expire.configureAsyncInvoke({ retryAttempts: 0, maxEventAge: EXPIRE_EVERY });
    new Rule(this, 'expire-schedule', {
      description: `Runs ${SERVICE_NAME}`,
      schedule: Schedule.rate(EXPIRE_EVERY),
      targets: [new LambdaFunction(expire, { retryAttempts: 0, maxEventAge: EXPIRE_EVERY })],
    });

    const buckets = regions.map(
      (region) => `arn:${this.partition}:s3:::${recordingsBucketName(deployment, region)}`,
    );
    const below = (prefix: string) => buckets.map((bucket) => `${bucket}/${prefix}*`);
    // Its own region's recordings only, wherever their copies are.
    const own = regionPrefix(this.region);
    const marks = deletionsPrefix(this.region);
    grantReadRecordings(this, expire, deployment, regions, `${own}*`);
    grantTellMissing(this, expire, deployment, regions);
    grantWriteCopies(this, expire, deployment, regions, `${marks}*`);
    grantWriteCopies(this, expire, deployment, [this.region], `${HOLDS_ROOT}*`);
    const tableIn = (region: string) =>
      `arn:${this.partition}:dynamodb:${region}:${this.account}:table/${indexTableName(deployment)}`;
    for (const statement of [
      new PolicyStatement({ actions: ['s3:ListBucketVersions'], resources: buckets }),
      new PolicyStatement({
        actions: ['s3:DeleteObject', 's3:DeleteObjectVersion'],
        resources: [...below(own), ...below(marks)],
      }),
      ...(deployment.retention.objectLock
        ? [
            new PolicyStatement({
              actions: ['s3:GetObjectLegalHold', 's3:GetObjectRetention', 's3:PutObjectLegalHold'],
              resources: below(own),
            }),
          ]
        : []),
      new PolicyStatement({
        actions: ['dynamodb:GetItem', 'dynamodb:Query'],
        // The replicas of the others: a hold that was set there and has not arrived here counts.
        resources: [
          table.tableArn,
          `${table.tableArn}/index/${BY_TENANT_INDEX}`,
          ...regions.filter((region) => region !== this.region).map(tableIn),
        ],
      }),
      new PolicyStatement({
        actions: ['dynamodb:PutItem'],
        resources: [table.tableArn],
        conditions: leadingKeys(
          recordingPartition('*'),
          `${AUDIT_PREFIX}*`,
          duePartition(this.region),
          expirePartition(this.region),
        ),
      }),
      new PolicyStatement({
        actions: ['dynamodb:DeleteItem'],
        resources: [table.tableArn],
        conditions: leadingKeys(recordingPartition('*'), duePartition(this.region)),
      }),
    ])
      expire.addToRolePolicy(statement);
  }
}
