/**
 * A region's network: public subnets, for recorders have public addresses, and no NAT gateway that all of them would depend on.
 *
 * A zone's subnet follows from the zone's letter alone: a slot in another zone adds a subnet, and moves no other.
 */
import { RemovalPolicy, Stack, type StackProps } from 'aws-cdk-lib';
import {
  CfnFlowLog,
  CfnInternetGateway,
  CfnRoute,
  CfnRouteTable,
  CfnSubnet,
  CfnSubnetRouteTableAssociation,
  CfnVPC,
  CfnVPCEndpoint,
  CfnVPCGatewayAttachment,
} from 'aws-cdk-lib/aws-ec2';
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
import type { Deployment, DeploymentRegion } from '../../core/deployment.ts';
import { zoneCidr } from '../../core/host-plan.ts';

export interface NetworkStackProps extends StackProps {
  deployment: Deployment;
  region: DeploymentRegion;
}

/** Services that are reached without the internet; S3 is where recordings go. */
const GATEWAYS = ['s3', 'dynamodb'];

export class NetworkStack extends Stack {
  readonly vpc: CfnVPC;
  readonly #subnets = new Map<string, CfnSubnet>();

  constructor(scope: Construct, id: string, { deployment, region, ...props }: NetworkStackProps) {
    super(scope, id, props);
    const tags = [{ key: 'Name', value: deployment.name }];
    this.vpc = new CfnVPC(this, 'vpc', {
      cidrBlock: region.vpcCidr,
      enableDnsHostnames: true,
      enableDnsSupport: true,
      tags,
    });
    const routes = this.publicRoutes(tags);
    for (const zone of new Set(region.slots.map((slot) => slot.zone)))
      this.#subnets.set(zone, this.publicSubnet(zone, zoneCidr(region.vpcCidr, zone), routes, deployment));
    for (const service of GATEWAYS)
      new CfnVPCEndpoint(this, `${service}-endpoint`, {
        vpcId: this.vpc.ref,
        serviceName: `com.amazonaws.${this.region}.${service}`,
        vpcEndpointType: 'Gateway',
        routeTableIds: [routes.ref],
      });
    this.flowLogs();
  }

  /** @returns the id of the subnet of a zone that a slot is in */
  subnetIn(zone: string): string {
    const subnet = this.#subnets.get(zone);
    if (!subnet) throw new Error(`no slot of ${this.region} is in ${zone}`);
    return subnet.ref;
  }

  private publicRoutes(tags: { key: string; value: string }[]): CfnRouteTable {
    const gateway = new CfnInternetGateway(this, 'internet', { tags });
    const attachment = new CfnVPCGatewayAttachment(this, 'internet-attachment', {
      vpcId: this.vpc.ref,
      internetGatewayId: gateway.ref,
    });
    const table = new CfnRouteTable(this, 'routes', { vpcId: this.vpc.ref, tags });
    new CfnRoute(this, 'default-route', {
      routeTableId: table.ref,
      destinationCidrBlock: '0.0.0.0/0',
      gatewayId: gateway.ref,
    }).addResourceDependency(attachment);
    return table;
  }

  private publicSubnet(
    zone: string,
    cidrBlock: string,
    routes: CfnRouteTable,
    { name }: Deployment,
  ): CfnSubnet {
    const subnet = new CfnSubnet(this, `subnet-${zone}`, {
      vpcId: this.vpc.ref,
      availabilityZone: zone,
      cidrBlock,
      mapPublicIpOnLaunch: true, // a host calls EC2's API before it has its slot's address
      tags: [{ key: 'Name', value: `${name} ${zone}` }],
    });
    new CfnSubnetRouteTableAssociation(this, `routes-${zone}`, {
      subnetId: subnet.ref,
      routeTableId: routes.ref,
    });
    return subnet;
  }

  /** Who talked to whom, without contents. */
  private flowLogs(): void {
    const logs = new LogGroup(this, 'flow-logs', {
      retention: RetentionDays.THREE_MONTHS,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const role = new Role(this, 'flow-logs-role', {
      assumedBy: new ServicePrincipal('vpc-flow-logs.amazonaws.com'),
    });
    role.addToPolicy(
      new PolicyStatement({
        actions: ['logs:CreateLogStream', 'logs:PutLogEvents', 'logs:DescribeLogStreams'],
        resources: [logs.logGroupArn],
      }),
    );
    new CfnFlowLog(this, 'flow-log', {
      resourceId: this.vpc.ref,
      resourceType: 'VPC',
      trafficType: 'ALL',
      logGroupName: logs.logGroupName,
      deliverLogsPermissionArn: role.roleArn,
      maxAggregationInterval: 600,
    });
  }
}
