/** Recording assurance of a region: the function that holds what its slots have begun against the index. */
import { Duration, Stack, type StackProps } from 'aws-cdk-lib';
import { Rule, Schedule } from 'aws-cdk-lib/aws-events';
import { LambdaFunction } from 'aws-cdk-lib/aws-events-targets';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import type { Deployment } from '../../core/deployment.ts';
import { fleetTableName } from '../../core/fleet.ts';
import { BY_TIME_INDEX } from '../../core/index-entries.ts';
import { indexTableName } from '../../core/names.ts';
import { slotsOfRegion } from '../../core/slot-plan.ts';
import {
  ASSURE_EVERY_SECONDS,
  ASSURED_PREFIX,
  SERVICE_NAME,
  SLOTS,
} from '../../functions/assure-recordings/constants.ts';
import { FLEET_TABLE, INDEX_TABLE } from '../../functions/shared/environment.ts';
import { NodeFunction } from '../constructs/node-function.ts';

export interface AssuranceStackProps extends StackProps {
  deployment: Deployment;
}

const ASSURE_EVERY = Duration.seconds(ASSURE_EVERY_SECONDS);

export class AssuranceStack extends Stack {
  constructor(scope: Construct, id: string, { deployment, ...props }: AssuranceStackProps) {
    super(scope, id, props);
    // Both tables by name: nothing of this stack may keep another from being changed.
    const tableArn = (name: string): string =>
      this.formatArn({ service: 'dynamodb', resource: 'table', resourceName: name });
    const [fleet, index] = [fleetTableName(deployment), indexTableName(deployment)];

    const assure = new NodeFunction(this, SERVICE_NAME, {
      deployment,
      name: SERVICE_NAME,
      environment: {
        [FLEET_TABLE]: fleet,
        [INDEX_TABLE]: index,
        [SLOTS]: JSON.stringify(slotsOfRegion(deployment, this.region)),
      },
      timeout: Duration.minutes(4),
      memorySize: 512,
      reservedConcurrentExecutions: 1,
    });
    // What a run did not do, the next one does.
    assure.configureAsyncInvoke({ retryAttempts: 0, maxEventAge: ASSURE_EVERY });
    new Rule(this, 'schedule', {
      description: `Runs ${SERVICE_NAME}`,
      schedule: Schedule.rate(ASSURE_EVERY),
      targets: [new LambdaFunction(assure, { retryAttempts: 0, maxEventAge: ASSURE_EVERY })],
    });
    for (const statement of [
      // Its own items alone: those of slots and of steering have other writers.
      new PolicyStatement({
        actions: ['dynamodb:PutItem'],
        resources: [tableArn(fleet)],
        conditions: { 'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': [`${ASSURED_PREFIX}*`] } },
      }),
      new PolicyStatement({ actions: ['dynamodb:GetItem', 'dynamodb:Scan'], resources: [tableArn(fleet)] }),
      new PolicyStatement({
        actions: ['dynamodb:Query'],
        resources: [`${tableArn(index)}/index/${BY_TIME_INDEX}`],
      }),
    ])
      assure.addToRolePolicy(statement);
  }
}
