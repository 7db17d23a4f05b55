/** The query API of a region: a regional REST API before one function. */
import { CfnOutput, Duration, RemovalPolicy, Stack, type StackProps } from 'aws-cdk-lib';
import {
  AccessLogFormat,
  AuthorizationType,
  EndpointType,
  LambdaIntegration,
  LogGroupLogDestination,
  MethodLoggingLevel,
  RestApi,
} from 'aws-cdk-lib/aws-apigateway';
import type { ITableV2 } from 'aws-cdk-lib/aws-dynamodb';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
import { AUDIT_PREFIX } from '../../core/audit-items.ts';
import type { Deployment } from '../../core/deployment.ts';
import { CALL_PREFIX, duePartition } from '../../core/fate-items.ts';
import { fleetTableName } from '../../core/fleet.ts';
import { BY_TENANT_INDEX, BY_TIME_INDEX } from '../../core/index-entries.ts';
import { ISSUER_KEYS_PREFIX, recordingPartition } from '../../core/index-items.ts';
import { regionPrefix } from '../../core/keys.ts';
import { API_STAGE, apiName, recordingsBucketName } from '../../core/names.ts';
import { replicationPairs } from '../../core/replication-report.ts';
import type { Retention } from '../../core/retention.ts';
import {
  API_AUTH,
  RECORDINGS_BUCKET,
  SERVICE_NAME,
  SLOTS_BY_ZONE,
} from '../../functions/query-api/constants.ts';
import { operationList } from '../../functions/query-api/operations.ts';
import {
  FLEET_TABLE,
  INDEX_TABLE,
  RECORDING_BUCKETS,
  REPLICATION_PAIRS,
  RETENTION,
} from '../../functions/shared/environment.ts';
import { addGatewayProblems } from '../constructs/gateway-problems.ts';
import { NodeFunction } from '../constructs/node-function.ts';
import { grantReadRecordings, grantTellMissing, leadingKeys } from '../constructs/recordings-access.ts';
import { recordingBuckets, retentionText } from '../constructs/retention-environment.ts';

export interface ApiStackProps extends StackProps {
  deployment: Deployment;
  table: ITableV2;
}

export class ApiStack extends Stack {
  readonly api: RestApi;

  constructor(scope: Construct, id: string, { deployment, table, ...props }: ApiStackProps) {
    super(scope, id, props);

    const queryApi = new NodeFunction(this, SERVICE_NAME, {
      deployment,
      name: SERVICE_NAME,
      environment: {
        [INDEX_TABLE]: table.tableName,
        [RECORDING_BUCKETS]: JSON.stringify(recordingBuckets(deployment)),
        [RETENTION]: retentionText(lockRetention(deployment), MAX_RETENTION_BYTES),
        [FLEET_TABLE]: fleetTableName(deployment),
        [RECORDINGS_BUCKET]: recordingsBucketName(deployment, this.region),
        [REPLICATION_PAIRS]: JSON.stringify(replicationPairs(deployment)),
        [SLOTS_BY_ZONE]: slotsText(deployment, this.region),
        [API_AUTH]: authText(deployment),
      },
      timeout: Duration.seconds(15),
      memorySize: 1024,
    });
    queryApi.addToRolePolicy(
      new PolicyStatement({
        actions: ['dynamodb:GetItem', 'dynamodb:Query'],
        resources: [
          table.tableArn,
          ...[BY_TIME_INDEX, BY_TENANT_INDEX].map((index) => `${table.tableArn}/index/${index}`),
        ],
      }),
    );
    // Holds, requests to delete, the work that follows from them, and the audit; nothing is changed or deleted by it.
    queryApi.addToRolePolicy(
      new PolicyStatement({
        actions: ['dynamodb:ConditionCheckItem', 'dynamodb:PutItem'],
        resources: [table.tableArn],
        conditions: leadingKeys(
          recordingPartition('*'),
          `${CALL_PREFIX}*`,
          duePartition('*'),
          `${AUDIT_PREFIX}*`,
        ),
      }),
    );
    if (deployment.api.auth !== 'iam') queryApi.addToRolePolicy(this.keepIssuerKeys(table));
    queryApi.addToRolePolicy(
      new PolicyStatement({
        actions: ['dynamodb:GetItem'],
        resources: [
          `arn:${this.partition}:dynamodb:${this.region}:${this.account}:table/${fleetTableName(deployment)}`,
        ],
      }),
    );
    grantTellMissing(this, queryApi, deployment, [this.region]);
    // A presigned address works with the rights of the function that signed it.
    const regions = deployment.regions.map(({ name }) => name);
    grantReadRecordings(this, queryApi, deployment, regions, `${regionPrefix('*')}*`);

    this.api = new RestApi(this, 'api', {
      cloudWatchRole: true, // API Gateway writes no access log until the account has such a role
      restApiName: apiName(deployment),
      description: `Recordings of ${deployment.name}`,
      endpointTypes: [EndpointType.REGIONAL],
      // Tokens are checked by the function itself: see docs/api.md.
      defaultMethodOptions: {
        authorizationType: deployment.api.auth === 'iam' ? AuthorizationType.IAM : AuthorizationType.NONE,
      },
      deployOptions: {
        stageName: API_STAGE,
        tracingEnabled: true,
        loggingLevel: MethodLoggingLevel.ERROR,
        throttlingRateLimit: REQUESTS_PER_SECOND,
        throttlingBurstLimit: 2 * REQUESTS_PER_SECOND,
        accessLogDestination: new LogGroupLogDestination(
          new LogGroup(this, 'access-log', {
            retention: RetentionDays.ONE_YEAR,
            removalPolicy: RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
          }),
        ),
        accessLogFormat: AccessLogFormat.jsonWithStandardFields(),
      },
    });
    const { api } = this;
    this.keepErrorLog(api);
    addGatewayProblems(api);
    // One permission for all methods: a statement for each would not fit into the function's policy.
    const integration = new LambdaIntegration(queryApi, { scopePermissionToMethod: false });
    for (const { path, method, access } of operationList())
      api.root
        .resourceForPath(path)
        .addMethod(
          method,
          integration,
          access === 'public' ? { authorizationType: AuthorizationType.NONE } : {},
        );
    // Other paths and methods too: the function says 404 and 405 as it says all else.
    api.root.addMethod('ANY', integration);
    api.root.addProxy({ defaultIntegration: integration });
    new CfnOutput(this, 'ApiId', { value: api.restApiId });
  }

  /** API Gateway would make it by itself, and keep it for ever. */
  private keepErrorLog(api: RestApi): void {
    const log = new LogGroup(this, 'error-log', {
      logGroupName: `API-Gateway-Execution-Logs_${api.restApiId}/${API_STAGE}`,
      retention: RetentionDays.THREE_MONTHS,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    api.deploymentStage.node.addDependency(log);
  }

  /** The keys of the OpenID provider outlive the function in the index, under partitions of their own. */
  private keepIssuerKeys(table: ITableV2): PolicyStatement {
    return new PolicyStatement({
      actions: ['dynamodb:PutItem'],
      resources: [table.tableArn],
      conditions: { 'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': [`${ISSUER_KEYS_PREFIX}*`] } },
    });
  }
}

/**
 * Of all callers together, in a region; audio comes from S3 and does not count. The account's quota, which other APIs share, is far
 * above (10,000, or 2,500 in newer regions).
 */
const REQUESTS_PER_SECOND = 100;

const MAX_RETENTION_BYTES = 500;

/** Without Object Lock, the API need not know how long recordings are kept. */
const lockRetention = ({ retention }: Deployment): Retention =>
  retention.objectLock ? retention : { days: retention.days };

/** All environment variables of a function together (Lambda, "Quotas"); some of it is for the other ones. */
const MAX_AUTH_BYTES = 3_000;

/** The callers do not fit into what a function can be told. */
export class TooManyCallersError extends Error {
  constructor(bytes: number) {
    super(
      `api.callers takes ${bytes} bytes, and the function has room for ${MAX_AUTH_BYTES}: ` +
        'give callers with the same rights one role to assume, or let an OpenID provider say who may what',
    );
    this.name = 'TooManyCallersError';
  }
}

function authText({ api }: Deployment): string {
  const text = JSON.stringify(api);
  if (Buffer.byteLength(text) > MAX_AUTH_BYTES) throw new TooManyCallersError(Buffer.byteLength(text));
  return text;
}

/** Steering has bounded how many there are: their names fit. */
function slotsText(deployment: Deployment, region: string): string {
  const slots = deployment.regions.find(({ name }) => name === region)?.slots ?? [];
  const byZone = Map.groupBy(slots, ({ zone }) => zone);
  return JSON.stringify(
    Object.fromEntries([...byZone].map(([zone, ofZone]) => [zone, ofZone.map(({ name }) => name)])),
  );
}
