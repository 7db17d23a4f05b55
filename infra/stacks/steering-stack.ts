/** Steering of a region: where its slots report, the switch that closes it, and the function that turns load into weights. */
import { Duration, RemovalPolicy, Stack, type StackProps } from 'aws-cdk-lib';
import { AttributeType, BillingMode, StreamViewType, Table, TableEncryption } from 'aws-cdk-lib/aws-dynamodb';
import { Rule, Schedule } from 'aws-cdk-lib/aws-events';
import { LambdaFunction } from 'aws-cdk-lib/aws-events-targets';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { FilterCriteria, FilterRule, StartingPosition } from 'aws-cdk-lib/aws-lambda';
import { DynamoEventSource } from 'aws-cdk-lib/aws-lambda-event-sources';
import { StringParameter } from 'aws-cdk-lib/aws-ssm';
import type { Construct } from 'constructs';
import type { Deployment } from '../../core/deployment.ts';
import {
  FLEET_KEY,
  FLEET_TTL,
  fleetTableName,
  REGION_SWITCH_VALUES,
  type RegionSwitch,
  regionSwitchName,
} from '../../core/fleet.ts';
import { planSlots, srvNamesOfRegion } from '../../core/slot-plan.ts';
import { FLEET_TABLE } from '../../functions/shared/environment.ts';
import {
  HOSTED_ZONE_ID,
  SERVICE_NAME,
  STEERED_NAMES,
  ZONE,
} from '../../functions/steer-traffic/constants.ts';
import { NodeFunction } from '../constructs/node-function.ts';

export interface SteeringStackProps extends StackProps {
  deployment: Deployment;
}

/** A run's services are given up on within 10 s each (functions/shared/aws-clients.ts). */
const TIMEOUT = Duration.seconds(45);
/** What came of a run that failed is older than the next run by then. */
const MAX_EVENT_AGE = Duration.minutes(1);
/** All environment variables of a function together (Lambda, "Quotas"); some of it is for the other ones. */
const MAX_NAMES_BYTES = 3_500;

/** The region's slots do not fit into what one function can be told. */
export class TooManySlotsError extends Error {
  constructor(region: string, bytes: number) {
    super(
      `the SRV names and slots of ${region} take ${bytes} bytes, and steering has room for ${MAX_NAMES_BYTES}: ` +
        'give each slot only the services that it needs, or divide the region among several deployments',
    );
    this.name = 'TooManySlotsError';
  }
}

export class SteeringStack extends Stack {
  constructor(scope: Construct, id: string, { deployment, ...props }: SteeringStackProps) {
    super(scope, id, props);
    const table = this.fleetTable(deployment);
    this.regionSwitch(deployment);

    const { zone, hostedZoneId } = deployment.dns;
    const names = srvNamesOfRegion(planSlots(deployment), this.region);
    const steeredNames = JSON.stringify(names);
    if (steeredNames.length > MAX_NAMES_BYTES) throw new TooManySlotsError(this.region, steeredNames.length);
    const steerTraffic = new NodeFunction(this, SERVICE_NAME, {
      deployment,
      name: SERVICE_NAME,
      environment: {
        [FLEET_TABLE]: table.tableName,
        [ZONE]: zone,
        ...(hostedZoneId && { [HOSTED_ZONE_ID]: hostedZoneId }),
        [STEERED_NAMES]: steeredNames,
      },
      timeout: TIMEOUT,
      memorySize: 512,
      reservedConcurrentExecutions: 1, // two at once would only get PriorRequestNotComplete from Route 53
    });
    steerTraffic.configureAsyncInvoke({ retryAttempts: 0, maxEventAge: MAX_EVENT_AGE });
    new Rule(this, 'every-minute', {
      description: `Runs ${SERVICE_NAME}`,
      schedule: Schedule.rate(Duration.minutes(1)),
      targets: [new LambdaFunction(steerTraffic, { retryAttempts: 0, maxEventAge: MAX_EVENT_AGE })],
    });
    steerTraffic.addEventSource(
      new DynamoEventSource(table, {
        startingPosition: StartingPosition.LATEST,
        filters: [
          FilterCriteria.filter({
            eventName: FilterRule.or('INSERT', 'MODIFY'),
            dynamodb: { NewImage: { stateChanged: { BOOL: [true] } } },
          }),
        ],
        // A region that is closed changes the state of all its slots within a few seconds: one run is enough for them.
        batchSize: 100,
        maxBatchingWindow: Duration.seconds(2),
        retryAttempts: 0, // the run of the next minute does the same
        maxRecordAge: MAX_EVENT_AGE,
      }),
    );

    steerTraffic.addToRolePolicy(
      new PolicyStatement({ actions: ['dynamodb:GetItem', 'dynamodb:PutItem'], resources: [table.tableArn] }),
    );
    for (const statement of this.route53Statements(Object.keys(names), hostedZoneId))
      steerTraffic.addToRolePolicy(statement);
  }

  /** Holds nothing that slots do not write again within seconds, so that it goes with its stack. */
  private fleetTable(deployment: Deployment): Table {
    return new Table(this, 'fleet', {
      tableName: fleetTableName(deployment),
      partitionKey: { name: FLEET_KEY, type: AttributeType.STRING },
      timeToLiveAttribute: FLEET_TTL,
      billingMode: BillingMode.PAY_PER_REQUEST,
      encryption: TableEncryption.AWS_MANAGED,
      stream: StreamViewType.NEW_IMAGE,
      removalPolicy: RemovalPolicy.DESTROY,
    });
  }

  /**
   * An operator closes the region by writing the parameter. CloudFormation writes it when it is made and when this
   * resource's text changes, so nothing in it may depend on what changes from deploy to deploy.
   */
  private regionSwitch(deployment: Deployment): void {
    const open: RegionSwitch = 'open';
    new StringParameter(this, 'region-switch', {
      parameterName: regionSwitchName(deployment),
      description: 'open: recorders of this region take calls; closed: they answer 503 to new ones',
      allowedPattern: `^(${REGION_SWITCH_VALUES.join('|')})$`,
      stringValue: open,
    });
  }

  /**
   * Route 53's rights, down to the fields of a change. A zone that the deployment makes has no id before it is made, and
   * regions hold no references to each other: there, the names of the records say which zone's they are.
   */
  private route53Statements(srvNames: string[], hostedZoneId = '*'): PolicyStatement[] {
    const zone = `arn:${this.partition}:route53:::hostedzone/${hostedZoneId}`;
    return [
      new PolicyStatement({
        actions: ['route53:ChangeResourceRecordSets'],
        resources: [zone],
        // Lower case, without a closing dot, a-z 0-9 - _ only: the slot plan's names are normalised as Route 53 wants them.
        conditions: {
          'ForAllValues:StringEquals': {
            'route53:ChangeResourceRecordSetsNormalizedRecordNames': srvNames,
            'route53:ChangeResourceRecordSetsRecordTypes': ['SRV'],
            'route53:ChangeResourceRecordSetsActions': ['UPSERT'],
          },
        },
      }),
      new PolicyStatement({ actions: ['route53:ListResourceRecordSets'], resources: [zone] }),
      new PolicyStatement({
        actions: ['route53:GetChange'],
        resources: [`arn:${this.partition}:route53:::change/*`],
      }),
      ...(hostedZoneId === '*'
        ? [new PolicyStatement({ actions: ['route53:ListHostedZonesByName'], resources: ['*'] })]
        : []),
    ];
  }
}
