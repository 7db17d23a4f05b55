/** The index: the table, and the function that fills it from manifests. */
import { CfnOutput, RemovalPolicy, Stack, type StackProps } from 'aws-cdk-lib';
import {
  AttributeType,
  Billing,
  type ITableV2,
  ProjectionType,
  TableEncryptionV2,
  TableV2,
} from 'aws-cdk-lib/aws-dynamodb';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { SqsEventSource } from 'aws-cdk-lib/aws-lambda-event-sources';
import type { Construct } from 'constructs';
import type { Deployment } from '../../core/deployment.ts';
import { duePartition, TENANTS_PARTITION } from '../../core/fate-items.ts';
import { BY_TENANT_INDEX, BY_TIME_INDEX } from '../../core/index-entries.ts';
import { recordingPartition } from '../../core/index-items.ts';
import { regionPrefix } from '../../core/keys.ts';
import { indexHomeRegion, indexTableName } from '../../core/names.ts';
import { rulesOf } from '../../core/replication-rules.ts';
import { SERVICE_NAME } from '../../functions/index-recording/constants.ts';
import { COPY_QUEUE, INDEX_TABLE, REPLICATION_RULES } from '../../functions/shared/environment.ts';
import { NodeFunction } from '../constructs/node-function.ts';
import { grantSend } from '../constructs/queue-access.ts';
import { grantReadRecordings, grantTellMissing, leadingKeys } from '../constructs/recordings-access.ts';
import { INDEX_TIMEOUT, type StorageStack } from './storage-stack.ts';

export interface IndexStackProps extends StackProps {
  deployment: Deployment;
  storage: StorageStack;
}

export class IndexStack extends Stack {
  readonly table: ITableV2;

  constructor(scope: Construct, id: string, { deployment, storage, ...props }: IndexStackProps) {
    super(scope, id, props);
    this.table = this.indexTable(deployment);

    const indexRecording = new NodeFunction(this, SERVICE_NAME, {
      deployment,
      name: SERVICE_NAME,
      environment: {
        [INDEX_TABLE]: this.table.tableName,
        ...(storage.copyJobs && {
          [COPY_QUEUE]: storage.copyJobs.queueUrl,
          [REPLICATION_RULES]: JSON.stringify(rulesOf(deployment, this.region)),
        }),
      },
      timeout: INDEX_TIMEOUT,
      memorySize: 512,
    });
    grantReadRecordings(this, indexRecording, deployment, [this.region], `${regionPrefix(this.region)}*`);
    grantTellMissing(this, indexRecording, deployment, [this.region]);
    indexRecording.addToRolePolicy(
      new PolicyStatement({
        actions: ['dynamodb:DeleteItem', 'dynamodb:GetItem', 'dynamodb:PutItem', 'dynamodb:Query'],
        resources: [this.table.tableArn],
        conditions: leadingKeys(recordingPartition('*'), TENANTS_PARTITION, duePartition(this.region)),
      }),
    );
    if (storage.copyJobs) grantSend(indexRecording, storage.copyJobs);
    indexRecording.addEventSource(
      new SqsEventSource(storage.manifestEvents, { batchSize: 10, reportBatchItemFailures: true }),
    );
  }

  /** One global table: made by the first region of the file with its replicas, known to the others by name. */
  private indexTable(deployment: Deployment): ITableV2 {
    const tableName = indexTableName(deployment);
    const home = indexHomeRegion(deployment);
    if (this.region !== home) return TableV2.fromTableName(this, 'table', tableName);
    const table = new TableV2(this, 'table', {
      tableName,
      partitionKey: { name: 'pk', type: AttributeType.STRING },
      sortKey: { name: 'sk', type: AttributeType.STRING },
      // One sort key: both hold the same entries, over all tenants and of one (`core/index-entries.ts`).
      globalSecondaryIndexes: [
        [BY_TIME_INDEX, 'timePk'] as const,
        [BY_TENANT_INDEX, 'tenantPk'] as const,
      ].map(([indexName, partitionKey]) => ({
        indexName,
        partitionKey: { name: partitionKey, type: AttributeType.STRING },
        sortKey: { name: 'timeSk', type: AttributeType.STRING },
        projectionType: ProjectionType.ALL,
      })),
      billing: Billing.onDemand(),
      encryption: TableEncryptionV2.awsManagedKey(),
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
      deletionProtection: true,
      // Even when its first creation fails: that would want to delete it, deletion protection would refuse, and the stack be stuck.
      removalPolicy: RemovalPolicy.RETAIN,
      replicas: deployment.regions.filter(({ name }) => name !== home).map(({ name }) => ({ region: name })),
    });
    new CfnOutput(this, 'IndexTableName', { value: tableName });
    return table;
  }
}
