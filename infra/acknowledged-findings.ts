/**
 * What the tools that check the templates find and we do not change, with the reason: the only place for it. Each finding that is not
 * here fails the tests, and so does each entry that no tool finds any more.
 */
import { Validations } from 'aws-cdk-lib';
import type { IConstruct } from 'constructs';

export interface AcknowledgedFinding {
  /** As the tool writes it; cdk-nag adds to some rules what it has found. */
  rule: string | RegExp;
  /** Path of the construct below the region's stage: `api/api/Resource`. */
  on: RegExp;
  /** For an auditor. */
  reason: string;
}

/** Findings of cdk-nag's pack AwsSolutions. */
export const NAG_ACKNOWLEDGEMENTS: readonly AcknowledgedFinding[] = [
  {
    rule: 'AwsSolutions-APIG2',
    on: /^api\/api\/Resource$/,
    reason:
      'The function checks every parameter and body against the same schemas that docs/openapi.json is made of, and names each ' +
      'mistake in a problem document; a validator of API Gateway would refuse with fewer words and know fewer rules.',
  },
  {
    rule: 'AwsSolutions-APIG3',
    on: /^api\/api\/DeploymentStage\.v1\/Resource$/,
    reason:
      'The web ACL is associated with the stage, in the edge stack (infra/constructs/api-firewall.ts); the rule looks in one stack.',
  },
  {
    rule: 'AwsSolutions-APIG4',
    on: /^api\/api\/Default\/health\/GET\/Resource$/,
    reason:
      'Health checks of Route 53 cannot sign. The answer says that the region can read its index, and nothing of any recording.',
  },
  {
    rule: 'AwsSolutions-COG4',
    on: /^api\/api\/Default\//,
    reason:
      "Callers are the operator's own roles, signed in by IAM, or people of an OpenID provider whose tokens the function checks. A " +
      'user pool would be one more place to manage people in, and lives in one region.',
  },
  {
    rule: /^AwsSolutions-IAM4\[.*AmazonAPIGatewayPushToCloudWatchLogs\]$/,
    on: /^api\/api\/CloudWatchRole\/Resource$/,
    reason:
      'API Gateway has one role for the logs of all APIs in an account and region, and AWS says which rights it has to have: this ' +
      'policy. Only API Gateway itself can assume it.',
  },
  {
    rule: 'AwsSolutions-DDB3',
    on: /^steering\/fleet\/Resource$/,
    reason:
      'The table holds what recorders report every few seconds: a backup of it would be out of date before it could be restored.',
  },
  {
    rule: 'AwsSolutions-SMG4',
    on: /^recorders\/spool-key\/Resource$/,
    reason:
      'The key opens what lies on spools. Rotated by a clock, it could not open the spool of a recorder that was down at the time, ' +
      'and recordings would be lost. It is changed by hand, when all spools are empty.',
  },
  {
    rule: 'AwsSolutions-SMG4',
    on: /^recorders\/sip-server-secret\/Resource$/,
    reason:
      'The secret opens a port that listens on the loopback address of the host alone. A new one would end every running recording ' +
      'with the restart of both programs, and keep nobody out.',
  },
  {
    rule: 'AwsSolutions-ECS2',
    on: /^recorders\/slot-[^/]+\/task\/Resource$/,
    reason:
      'The variables are names and addresses, which follow from the deployment file and change with a new task only. Both secrets ' +
      'come from Secrets Manager.',
  },
  {
    rule: 'AwsSolutions-AS3',
    on: /^recorders\/slot-[^/]+\/group$/,
    reason:
      'A group has one instance for ever and does not scale. That a slot has no recorder is an alarm of its own, after a minute, ' +
      'whatever the reason; messages about planned replacements would teach people to overlook it.',
  },
  {
    rule: 'AwsSolutions-IAM5[Resource::*]',
    on: /^[a-z]+\/[a-z]+-[a-z]+-role\/DefaultPolicy\/Resource$/,
    reason: 'X-Ray, dynamodb:ListStreams and route53:ListHostedZonesByName know no resources.',
  },
  {
    rule: 'AwsSolutions-IAM5[Resource::*]',
    on: /^recorders\/slot-[^/]+\/host-role\/DefaultPolicy\/Resource$/,
    reason:
      "EC2's Describe actions, ecs:DiscoverPollEndpoint and the channels of Session Manager know no resources; metrics are narrowed " +
      'by condition to the namespace of the deployment.',
  },
  {
    rule: 'AwsSolutions-IAM5[Resource::*]',
    on: /^recorders\/(execution-role\/DefaultPolicy|firewall\/health-checkers\/CustomResourcePolicy)\/Resource$/,
    reason: 'ecr:GetAuthorizationToken and ec2:DescribeManagedPrefixLists know no resources.',
  },
  {
    rule: /^AwsSolutions-IAM5\[Resource::arn:aws:s3:::[\w-]+\/((rec|deletions)\/[\w*-]+|holds)\/\*\]$/,
    on: /^(index|replication|retention|api|recorders)\/.*\/DefaultPolicy\/Resource$/,
    reason:
      'The objects below one prefix of one bucket: a recording has a folder of its own, whose name is not known before it exists.',
  },
  {
    rule: /^AwsSolutions-IAM5\[Resource::arn:aws:kms:[\w-]+:\d{12}:key\/\*\]$/,
    on: /^(index|replication|retention|api|recorders)\/.*\/DefaultPolicy\/Resource$/,
    reason:
      "Narrowed by condition to the key that has the alias of the deployment's recordings. Its id is not used, so that no region " +
      'has to be deployed before another; recorders may use it through S3 alone.',
  },
  {
    rule: /^AwsSolutions-IAM5\[Resource::arn:aws:route53:::(hostedzone|change)\/\*\]$/,
    on: /^steering\/.*\/DefaultPolicy\/Resource$/,
    reason:
      'The zone that the deployment makes has no id before it is made, and changes have none before they are asked for. Changes are ' +
      "narrowed by condition to UPSERT of SRV records with the names of the region's services; with dns.hostedZoneId, to that zone.",
  },
  {
    rule: /^AwsSolutions-IAM5\[Resource::arn:aws:ec2:[\w-]+:\d{12}:(instance|network-interface)\/\*\]$/,
    on: /^recorders\/slot-[^/]+\/host-role\/DefaultPolicy\/Resource$/,
    reason:
      "Narrowed by condition to instances and interfaces with the slot's tags; each has an id of its own.",
  },
  {
    rule: /^AwsSolutions-IAM5\[Resource::arn:aws:autoscaling:.*:autoScalingGroup:\*:autoScalingGroupName\/[\w-]+\]$/,
    on: /^recorders\/slot-[^/]+\/host-role\/DefaultPolicy\/Resource$/,
    reason: "One group: its ARN has an id beside the name, and the name is the slot's.",
  },
  {
    rule: /^AwsSolutions-IAM5\[Resource::arn:aws:logs:.*:log-stream:[\w-]+\/\*\]$/,
    on: /^recorders\/slot-[^/]+\/host-role\/DefaultPolicy\/Resource$/,
    reason: "The slot's own streams of one log group: each instance and process begins one.",
  },
  {
    rule: /^AwsSolutions-IAM5\[Resource::arn:aws:ecs:.*:container-instance\/[\w-]+\/\*\]$/,
    on: /^recorders\/slot-[^/]+\/host-role\/DefaultPolicy\/Resource$/,
    reason:
      "Container instances of the deployment's own cluster: each has an id of its own when it registers.",
  },
];

const ZONES =
  'Zones are what the deployment file is about: a slot, its disk and its address are in the one that is written there.';

/** Findings of cfn-lint, by rule. */
export const LINT_ACKNOWLEDGEMENTS: readonly { rule: string; reason: string }[] = [
  {
    rule: 'W3005',
    reason:
      "CDK writes a dependency on a role beside the reference to it, and means the role's policies too; the role alone changes nothing.",
  },
  { rule: 'W3010', reason: ZONES },
];

/** Findings of the CDK's own validation at each synth, by rule. */
export const CDK_ACKNOWLEDGEMENTS: readonly { rule: string; reason: string }[] = [
  {
    rule: 'CloudFormation-Validate::W3010',
    reason: ZONES,
  },
];

/** Tells the CDK what it need not warn of. */
export function acknowledgeFindings(scope: IConstruct): void {
  Validations.of(scope).acknowledge(
    ...CDK_ACKNOWLEDGEMENTS.map(({ rule, reason }) => ({ id: rule, reason })),
  );
}
