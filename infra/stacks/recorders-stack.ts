/** The recorders of a region: a cluster, and a host for each slot. */
import { join } from 'node:path';
import { Annotations, RemovalPolicy, Stack, type StackProps } from 'aws-cdk-lib';
import { InstanceArchitecture, InstanceType } from 'aws-cdk-lib/aws-ec2';
import { DockerImageAsset, Platform } from 'aws-cdk-lib/aws-ecr-assets';
import { CfnCluster, ContainerImage } from 'aws-cdk-lib/aws-ecs';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Secret } from 'aws-cdk-lib/aws-secretsmanager';
import { ParameterValueType, StringParameter } from 'aws-cdk-lib/aws-ssm';
import type { Construct } from 'constructs';
import type { Deployment } from '../../core/deployment.ts';
import { planHost } from '../../core/host-plan.ts';
import { type HOST_LOGS, hostLogGroupName, recordersClusterName } from '../../core/names.ts';
import { planSlots } from '../../core/slot-plan.ts';
import { RecorderFirewall } from '../constructs/recorder-firewall.ts';
import { Slot } from '../constructs/slot.ts';
import type { DnsStack } from './dns-stack.ts';
import type { NetworkStack } from './network-stack.ts';

const ROOT = join(import.meta.dirname, '../..');

export interface RecordersStackProps extends StackProps {
  deployment: Deployment;
  network: NetworkStack;
  dns: DnsStack;
}

export class RecordersStack extends Stack {
  constructor(scope: Construct, id: string, { deployment, network, dns, ...props }: RecordersStackProps) {
    super(scope, id, props);
    const slots = planSlots(deployment).filter(({ region }) => region === this.region);
    const isArm = slots.every((slot) => isGraviton(planHost(slot, deployment.recorders).instanceType));
    const cluster = new CfnCluster(this, 'cluster', {
      clusterName: recordersClusterName(deployment),
      clusterSettings: [{ name: 'containerInsights', value: 'enabled' }],
    });
    const shared = {
      deployment,
      securityGroupIds: new RecorderFirewall(this, 'firewall', { deployment, vpcId: network.vpc.ref })
        .groupIds,
      imageId: this.machineImage(deployment, isArm),
      images: this.containerImages(deployment, isArm ? Platform.LINUX_ARM64 : Platform.LINUX_AMD64),
      executionRole: new Role(this, 'execution-role', {
        assumedBy: new ServicePrincipal('ecs-tasks.amazonaws.com'),
        description: `Starts the recorders of ${deployment.name}`,
      }),
      secrets: { spoolKey: this.spoolKey(), sipServer: this.secret('sip-server-secret') },
      logs: {
        recorder: this.logGroup(deployment, 'recorder'),
        'sip-server': this.logGroup(deployment, 'sip-server'),
        host: this.logGroup(deployment, 'host'),
      },
    };
    let after: Slot | undefined;
    for (const slot of slots) {
      const { attrPublicIp: ip, attrAllocationId: allocationId } = dns.addressOf(slot.name);
      after = new Slot(this, `slot-${slot.name}`, {
        ...shared,
        slot,
        address: { ip, allocationId },
        subnetId: network.subnetIn(slot.zone),
        after,
      });
      after.node.addDependency(cluster);
    }
  }

  /** Read while deploying: a new image of AWS's renews the hosts, one after another. */
  private machineImage({ recorders }: Deployment, isArm: boolean): string {
    const newest = `/aws/service/ecs/optimized-ami/amazon-linux-2023/${isArm ? 'arm64/' : ''}recommended/image_id`;
    const parameter = recorders.imageParameter ?? newest;
    return StringParameter.valueForTypedStringParameterV2(
      this,
      parameter,
      ParameterValueType.AWS_EC2_IMAGE_ID,
    );
  }

  private containerImages(
    { recorders }: Deployment,
    platform: Platform,
  ): { recorder: ContainerImage; sipServer: ContainerImage } {
    const sipServerFile = 'sip-server.Dockerfile';
    // No warning: `npm run synth` takes warnings for errors, and the example has no digest to show.
    if (!recorders.sipServerImage)
      Annotations.of(this).addInfoV2(
        'siprec-ha:sip-server-tag',
        'the SIP server is the image that its tag means on the day of the deploy: pin it by recorders.sipServerImage ' +
          '(docs/security.md, "Images")',
      );
    return {
      recorder: ContainerImage.fromDockerImageAsset(
        new DockerImageAsset(this, 'recorder-image', {
          directory: ROOT, // `.dockerignore` says what of it is of the image
          file: 'recorder-image/Dockerfile',
          platform,
        }),
      ),
      sipServer: ContainerImage.fromDockerImageAsset(
        new DockerImageAsset(this, 'sip-server-image', {
          directory: join(ROOT, 'recorder-image'),
          file: sipServerFile,
          exclude: ['*', `!${sipServerFile}`],
          platform,
          ...(recorders.sipServerImage && { buildArgs: { SIP_SERVER_IMAGE: recorders.sipServerImage } }),
        }),
      ),
    };
  }

  /**
   * Seals keys of encrypted calls on spools: kept, for a spool may have to be read long after the stack is gone, or after a deploy that
   * has failed with calls on the first slots.
   */
  private spoolKey(): Secret {
    const key = this.secret('spool-key');
    key.applyRemovalPolicy(RemovalPolicy.RETAIN);
    return key;
  }

  /** 43 letters and digits: read as base64, 32 bytes, of which 254 bits are random. */
  private secret(id: string): Secret {
    return new Secret(this, id, {
      description: `${this.stackName}: ${id}`,
      generateSecretString: {
        passwordLength: 43,
        excludePunctuation: true,
        requireEachIncludedType: false,
      },
    });
  }

  private logGroup(deployment: Deployment, of: (typeof HOST_LOGS)[number]): LogGroup {
    return new LogGroup(this, `${of}-logs`, {
      logGroupName: hostLogGroupName(deployment, of),
      retention: RetentionDays.THREE_MONTHS,
      removalPolicy: RemovalPolicy.DESTROY,
    });
  }
}

const isGraviton = (instanceType: string): boolean =>
  new InstanceType(instanceType).architecture === InstanceArchitecture.ARM_64;
