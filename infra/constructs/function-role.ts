/** The role that a function begins with: it writes its own log, and nothing else. */
import { PolicyDocument, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { ILogGroup } from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';

/** In place of AWS's AWSLambdaBasicExecutionRole, with which a function could write into every log of the account. */
export const functionRole = (scope: Construct, id: string, logGroup: ILogGroup, roleName?: string): Role =>
  new Role(scope, id, {
    roleName,
    assumedBy: new ServicePrincipal('lambda.amazonaws.com'),
    inlinePolicies: {
      logs: new PolicyDocument({
        statements: [
          new PolicyStatement({
            actions: ['logs:CreateLogStream', 'logs:PutLogEvents'],
            resources: [logGroup.logGroupArn],
          }),
        ],
      }),
    },
  });
