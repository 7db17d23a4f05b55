/** The query API of a region: a regional REST API before one function. */
import { CfnOutput, Duration, RemovalPolicy, Stack, type StackProps } from 'aws-cdk-lib';
import {
  AccessLogFormat,
  AuthorizationType,
  EndpointType,
  LambdaIntegration,
  LogGroupLogDestination,
  RestApi,
} from 'aws-cdk-lib/aws-apigateway';
import type { ITableV2 } from 'aws-cdk-lib/aws-dynamodb';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
import type { Deployment } from '../../core/deployment.ts';
import { BY_TENANT_INDEX, BY_TIME_INDEX } from '../../core/index-entries.ts';
import { regionPrefix } from '../../core/keys.ts';
import { API_STAGE, apiName } from '../../core/names.ts';
import { ROUTES, SERVICE_NAME } from '../../functions/query-api/constants.ts';
import { INDEX_TABLE } from '../../functions/shared/environment.ts';
import { NodeFunction } from '../constructs/node-function.ts';
import { grantReadRecordings } from '../constructs/recordings-access.ts';

export interface ApiStackProps extends StackProps {
  deployment: Deployment;
  table: ITableV2;
}

export class ApiStack extends Stack {
  constructor(scope: Construct, id: string, { deployment, table, ...props }: ApiStackProps) {
    super(scope, id, props);

    const queryApi = new NodeFunction(this, SERVICE_NAME, {
      deployment,
      name: SERVICE_NAME,
      environment: { [INDEX_TABLE]: table.tableName },
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
    // A presigned address works with the rights of the function that signed it.
    const regions = deployment.regions.map(({ name }) => name);
    grantReadRecordings(this, queryApi, deployment, regions, `${regionPrefix('*')}*`);

    const api = new RestApi(this, 'api', {
      cloudWatchRole: true, // API Gateway writes no access log until the account has such a role
      restApiName: apiName(deployment),
      description: `Recordings of ${deployment.name}`,
      endpointTypes: [EndpointType.REGIONAL],
      defaultMethodOptions: { authorizationType: AuthorizationType.IAM },
      deployOptions: {
        stageName: API_STAGE,
        tracingEnabled: true,
        accessLogDestination: new LogGroupLogDestination(
          new LogGroup(this, 'access-log', {
            retention: RetentionDays.ONE_YEAR,
            removalPolicy: RemovalPolicy.RETAIN,
          }),
        ),
        accessLogFormat: AccessLogFormat.jsonWithStandardFields(),
      },
    });
    const integration = new LambdaIntegration(queryApi);
    for (const route of ROUTES) api.root.resourceForPath(route).addMethod('GET', integration);
    new CfnOutput(this, 'ApiId', { value: api.restApiId });
  }
}
