/** What a slot's host, and the recorder on it, may do in AWS: for their own slot, and no more. */
import { Stack } from 'aws-cdk-lib';
import { type Conditions, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import type { Deployment } from '../../core/deployment.ts';
import { fleetTableName, regionSwitchName, slotItemId } from '../../core/fleet.ts';
import {
  DEPLOYMENT_TAG,
  hostLogGroupName,
  metricsNamespace,
  recordersClusterName,
  SLOT_TAG,
  slotResourceName,
  tlsSecretName,
} from '../../core/names.ts';
import { LEDGER_PREFIX } from '../../core/recording-ledger.ts';
import { grantRecord } from './recordings-access.ts';

/** The role of the recorder's task. */
export function recorderRole(scope: Construct, deployment: Deployment, slot: string): Role {
  const { partition, region, account } = Stack.of(scope);
  const role = new Role(scope, 'recorder-role', {
    assumedBy: new ServicePrincipal('ecs-tasks.amazonaws.com'),
    description: `Recorder ${slot} of ${deployment.name}: writes recordings, reads none`,
  });
  grantRecord(scope, role, deployment, region);
  role.addToPolicy(
    new PolicyStatement({
      actions: ['dynamodb:PutItem'],
      resources: [`arn:${partition}:dynamodb:${region}:${account}:table/${fleetTableName(deployment)}`],
      conditions: {
        'ForAllValues:StringLike': {
          'dynamodb:LeadingKeys': [slotItemId(slot), `${LEDGER_PREFIX}${slot}#*`],
        },
      },
    }),
  );
  role.addToPolicy(
    new PolicyStatement({
      actions: ['ssm:GetParameter'],
      resources: [`arn:${partition}:ssm:${region}:${account}:parameter${regionSwitchName(deployment)}`],
    }),
  );
  return role;
}

export interface HostRoleProps {
  deployment: Deployment;
  slot: string;
  volumeId: string;
  allocationId: string;
  /** Whether it fetches the certificate of SIP over TLS. */
  tls: boolean;
}

/**
 * The role of the instance. With the host's network a recorder can have it too, by the metadata service: so it reads no recording
 * either, and changes nothing of other slots.
 */
export function hostRole(scope: Construct, props: HostRoleProps): Role {
  const { deployment, slot, volumeId, allocationId, tls } = props;
  const stack = Stack.of(scope);
  const { partition, region, account } = stack;
  const arn = (service: string, resource: string) =>
    `arn:${partition}:${service}:${region}:${account}:${resource}`;
  const cluster = recordersClusterName(deployment);
  const role = new Role(scope, 'host-role', {
    assumedBy: new ServicePrincipal('ec2.amazonaws.com'),
    description: `Host of ${slot} of ${deployment.name}`,
  });
  const allow = (actions: string[], resources: string[], conditions?: Conditions) =>
    role.addToPolicy(new PolicyStatement({ actions, resources, ...(conditions && { conditions }) }));

  // Its slot: volume and address by their ids, and instances by their tags, for one is made after another.
  const ofSlot = {
    StringEquals: {
      [`aws:ResourceTag/${DEPLOYMENT_TAG}`]: deployment.name,
      [`aws:ResourceTag/${SLOT_TAG}`]: slot,
    },
  };
  const attach = ['ec2:AttachVolume', 'ec2:DetachVolume'];
  allow(attach, [arn('ec2', `volume/${volumeId}`)]);
  allow(attach, [arn('ec2', 'instance/*')], ofSlot);
  allow(['ec2:AssociateAddress'], [arn('ec2', `elastic-ip/${allocationId}`)]);
  allow(['ec2:AssociateAddress'], [arn('ec2', 'instance/*'), arn('ec2', 'network-interface/*')], ofSlot);
  allow(['ec2:DescribeAddresses', 'ec2:DescribeInstances', 'ec2:DescribeVolumes'], ['*']);

  // What waits for it: Auto Scaling at its end, CloudFormation at its beginning.
  const group = `autoScalingGroup:*:autoScalingGroupName/${slotResourceName(deployment, slot)}`;
  allow(
    ['autoscaling:CompleteLifecycleAction', 'autoscaling:RecordLifecycleActionHeartbeat'],
    [arn('autoscaling', group)],
  );
  allow(['cloudformation:SignalResource'], [stack.stackId]);

  // What it tells when something is wrong.
  allow(['cloudwatch:PutMetricData'], ['*'], {
    StringEquals: { 'cloudwatch:namespace': metricsNamespace(deployment) },
  });
  const logs = hostLogGroupName(deployment, 'host');
  allow(
    ['logs:CreateLogStream', 'logs:PutLogEvents'],
    [arn('logs', `log-group:${logs}:log-stream:${slot}/*`)],
  );

  // The ECS agent.
  allow(['ecs:DiscoverPollEndpoint'], ['*']);
  allow(
    [
      'ecs:DeregisterContainerInstance',
      'ecs:RegisterContainerInstance',
      'ecs:SubmitAttachmentStateChanges',
      'ecs:SubmitContainerStateChange',
      'ecs:SubmitTaskStateChange',
    ],
    [arn('ecs', `cluster/${cluster}`)],
  );
  allow(
    ['ecs:Poll', 'ecs:StartTelemetrySession', 'ecs:UpdateContainerInstancesState'],
    [arn('ecs', `container-instance/${cluster}/*`)],
    { ArnEquals: { 'ecs:cluster': arn('ecs', `cluster/${cluster}`) } },
  );

  // Session Manager: the way in for people, for no port is open to them.
  allow(
    [
      'ssm:UpdateInstanceInformation',
      'ssmmessages:CreateControlChannel',
      'ssmmessages:CreateDataChannel',
      'ssmmessages:OpenControlChannel',
      'ssmmessages:OpenDataChannel',
    ],
    ['*'],
  );
  if (tls)
    allow(
      ['secretsmanager:GetSecretValue'],
      [arn('secretsmanager', `secret:${tlsSecretName(deployment)}/*`)],
    );
  return role;
}
