/** Who reaches a recorder: SRCs with SIP and RTP, Route 53's health checkers with HTTP, and nobody else. */
import { RemovalPolicy, Stack } from 'aws-cdk-lib';
import { CfnSecurityGroup } from 'aws-cdk-lib/aws-ec2';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { AwsCustomResource, AwsCustomResourcePolicy, PhysicalResourceId } from 'aws-cdk-lib/custom-resources';
import { Construct } from 'constructs';
import type { Deployment, Transport } from '../../core/deployment.ts';
import { RTP_PORTS } from '../../core/recorder-environment.ts';
import { HEALTH_PORT, SIP_PORT, SIPS_PORT } from '../../core/slot-plan.ts';
import { functionRole } from './function-role.ts';

export interface RecorderFirewallProps {
  deployment: Deployment;
  vpcId: string;
}

const SIP: Record<Transport, { ipProtocol: string; port: number }> = {
  udp: { ipProtocol: 'udp', port: SIP_PORT },
  tcp: { ipProtocol: 'tcp', port: SIP_PORT },
  tls: { ipProtocol: 'tcp', port: SIPS_PORT },
};

/**
 * Three groups, for each may have 60 rules, and the list of health checkers counts as 25: 20 networks of SRCs fit with three
 * transports, 30 with two. With inbound rules as narrow as these EC2 tracks connections: two to four a call, far below its limits.
 */
export class RecorderFirewall extends Construct {
  /** All three belong to each recorder. */
  readonly groupIds: string[];

  constructor(scope: Construct, id: string, { deployment, vpcId }: RecorderFirewallProps) {
    super(scope, id);
    const transports = new Set(deployment.dns.services.flatMap((service) => service.transports));
    const networks = [...new Set(deployment.sources.flatMap((source) => source.networks))];
    const fromSources = (ipProtocol: string, fromPort: number, toPort: number) =>
      networks.map((network) => ({
        ...(network.includes(':') ? { cidrIpv6: network } : { cidrIp: network }),
        ...{ ipProtocol, fromPort, toPort },
      }));

    const group = (name: string, groupDescription: string, rules: CfnSecurityGroup.IngressProperty[]) =>
      new CfnSecurityGroup(this, name, {
        vpcId,
        groupDescription,
        securityGroupIngress: rules,
        tags: [{ key: 'Name', value: `${deployment.name} ${name}` }],
      }).attrGroupId;
    this.groupIds = [
      group(
        'sip',
        'SIP from SRCs',
        [...transports].flatMap((transport) => {
          const { ipProtocol, port } = SIP[transport];
          return fromSources(ipProtocol, port, port);
        }),
      ),
      group('rtp', 'RTP and RTCP from SRCs', fromSources('udp', RTP_PORTS.min, RTP_PORTS.max)),
      group('health', 'Health checks of Route 53', [
        {
          sourcePrefixListId: this.healthCheckers(),
          ipProtocol: 'tcp',
          fromPort: HEALTH_PORT,
          toPort: HEALTH_PORT,
        },
      ]),
    ];
  }

  /**
   * AWS keeps the list up to date; its id is another one in each region, and CloudFormation has no word for it. CDK's own lookup
   * would need credentials at synth: this one is made while deploying, once.
   */
  private healthCheckers(): string {
    const { region } = Stack.of(this);
    const PrefixListName = `com.amazonaws.${region}.route53-healthchecks`;
    const call = {
      service: 'EC2',
      action: 'describeManagedPrefixLists',
      parameters: { Filters: [{ Name: 'prefix-list-name', Values: [PrefixListName] }] },
      physicalResourceId: PhysicalResourceId.of(PrefixListName),
      outputPaths: ['PrefixLists.0.PrefixListId'],
    };
    const logGroup = new LogGroup(this, 'health-checkers-logs', {
      retention: RetentionDays.THREE_MONTHS,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const lookup = new AwsCustomResource(this, 'health-checkers', {
      onCreate: call,
      onUpdate: call,
      policy: AwsCustomResourcePolicy.fromStatements([
        new PolicyStatement({ actions: ['ec2:DescribeManagedPrefixLists'], resources: ['*'] }),
      ]),
      installLatestAwsSdk: false,
      logGroup,
      role: functionRole(this, 'health-checkers-role', logGroup),
    });
    return lookup.getResponseField('PrefixLists.0.PrefixListId');
  }
}
