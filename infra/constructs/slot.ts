/**
 * A slot: the disk that outlives its hosts, one host at a time, and on it the SIP server and the recorder.
 *
 * Each slot has an ECS service of its own: its task says which slot it is, and CloudFormation changes one after another. The service
 * comes before the Auto Scaling group, so that the group's instance signals when the recorder on it works.
 */
import { CfnDeletionPolicy, Duration, Fn, Stack } from 'aws-cdk-lib';
import { CfnAutoScalingGroup } from 'aws-cdk-lib/aws-autoscaling';
import { CfnLaunchTemplate, CfnVolume } from 'aws-cdk-lib/aws-ec2';
import {
  Capability,
  CfnService,
  ContainerDependencyCondition,
  type ContainerImage,
  Secret as ContainerSecret,
  Ec2TaskDefinition,
  LinuxParameters,
  LogDrivers,
  NetworkMode,
  UlimitName,
} from 'aws-cdk-lib/aws-ecs';
import { CfnInstanceProfile, type IRole } from 'aws-cdk-lib/aws-iam';
import type { ILogGroup } from 'aws-cdk-lib/aws-logs';
import type { ISecret } from 'aws-cdk-lib/aws-secretsmanager';
import { Construct } from 'constructs';
import type { Deployment } from '../../core/deployment.ts';
import { fleetTableName, regionSwitchName } from '../../core/fleet.ts';
import { HOST_METRICS, planHost } from '../../core/host-plan.ts';
import {
  type HOST_LOGS,
  hostLogGroupName,
  metricsNamespace,
  recordersClusterName,
  recordingsBucketName,
  slotResourceName,
  slotTags,
  tlsSecretName,
} from '../../core/names.ts';
import { DRAIN_SECONDS, type RecorderVariables, RTP_PORTS } from '../../core/recorder-environment.ts';
import {
  CERTIFICATES_PATH,
  SIP_SERVER_ENVIRONMENT,
  SIP_SERVER_HOST,
  SIP_SERVER_PORT,
  sipServerCommand,
} from '../../core/sip-server.ts';
import { HEALTH_PORT, type PlannedSlot, SIP_PORT, SIPS_PORT } from '../../core/slot-plan.ts';
import { hostUserData } from './host-user-data.ts';
import { hostRole, recorderRole } from './slot-roles.ts';

export interface SlotProps {
  deployment: Deployment;
  slot: PlannedSlot;
  /** Public address of the slot, and its allocation. */
  address: { ip: string; allocationId: string };
  subnetId: string;
  securityGroupIds: string[];
  /** Id of the machine image. */
  imageId: string;
  images: { recorder: ContainerImage; sipServer: ContainerImage };
  /** Pulls images, reads secrets and writes logs for the tasks of all slots. */
  executionRole: IRole;
  secrets: { spoolKey: ISecret; sipServer: ISecret };
  logs: Record<(typeof HOST_LOGS)[number], ILogGroup>;
  /** Changed only when this one is done. */
  after: Slot | undefined;
}

/** The recorder may use all of its drain, and then ends what is left. */
const STOP_SECONDS = DRAIN_SECONDS + 60;
/** A host that drains says so every 30 s; Auto Scaling waits for a dead one so long, and for a live one a hundred times. */
const HEARTBEAT_SECONDS = 120;
const HOOK = 'drain';
/** Of an ECS container instance: which slot it is. */
const SLOT_ATTRIBUTE = 'siprec-ha.slot';
/** `node` in the recorder's image. */
const UID = 1000;
const SPOOL = '/spool';
/** A socket for RTP and one for RTCP, and a journal, for each stream. */
const OPEN_FILES = 262_144;
const HEALTH_COMMAND = `fetch('http://127.0.0.1:${HEALTH_PORT}/status').catch(() => process.exit(1))`;

export class Slot extends Construct {
  readonly #group: CfnAutoScalingGroup;

  constructor(scope: Construct, id: string, props: SlotProps) {
    super(scope, id);
    const { deployment, slot, after } = props;
    const tls = slot.srvRecords.some(({ port }) => port === SIPS_PORT);
    const volume = this.spoolVolume(props);
    const service = this.service(props, this.task(props, tls));
    this.#group = this.hostGroup(
      props,
      this.launchTemplate(props, volume, tls),
      slotResourceName(deployment, slot.name),
    );
    this.#group.addResourceDependency(service);
    if (after) service.addResourceDependency(after.#group);
  }

  private spoolVolume({ deployment, slot }: SlotProps): CfnVolume {
    const { spool } = planHost(slot, deployment.recorders);
    const volume = new CfnVolume(this, 'spool', {
      availabilityZone: slot.zone,
      volumeType: 'gp3',
      size: spool.gib,
      iops: spool.iops,
      throughput: spool.throughput,
      encrypted: true,
      tags: slotTags(deployment, slot.name),
    });
    // What is on it may be in no other place yet: even when the deploy that made it fails, for its slot may have taken calls by then.
    volume.cfnOptions.deletionPolicy = CfnDeletionPolicy.RETAIN;
    volume.cfnOptions.updateReplacePolicy = CfnDeletionPolicy.RETAIN;
    return volume;
  }

  private task(props: SlotProps, tls: boolean): Ec2TaskDefinition {
    const { deployment, slot, address, images, secrets, logs, executionRole } = props;
    const task = new Ec2TaskDefinition(this, 'task', {
      family: slotResourceName(deployment, slot.name),
      networkMode: NetworkMode.HOST,
      executionRole,
      taskRole: recorderRole(this, deployment, slot.name),
      volumes: [
        { name: 'spool', host: { sourcePath: SPOOL } },
        ...(tls ? [{ name: 'certificates', host: { sourcePath: '/run/siprec-ha/certificates' } }] : []),
      ],
    });
    // Restarted on the spot, by the agent alone, when they die: the recordings of the dead one go on within seconds.
    const common = { essential: true, readonlyRootFilesystem: true, user: `${UID}:${UID}` };
    const restart = { enableRestartPolicy: true, restartAttemptPeriod: Duration.seconds(60) };
    const sipServer = task.addContainer('sip-server', {
      ...common,
      ...restart,
      image: images.sipServer,
      command: sipServerCommand(address.ip, tls),
      environment: { ...SIP_SERVER_ENVIRONMENT },
      secrets: { DRACHTIO_SECRET: ContainerSecret.fromSecretsManager(secrets.sipServer) },
      memoryReservationMiB: 256,
      stopTimeout: Duration.seconds(30),
      logging: LogDrivers.awsLogs({ logGroup: logs['sip-server'], streamPrefix: slot.name }),
      linuxParameters: this.linuxParameters('sip-server-linux'),
    });
    const recorder = task.addContainer('recorder', {
      ...common,
      ...restart,
      restartIgnoredExitCodes: [0], // it was told to stop
      image: images.recorder,
      environment: recorderVariables(props),
      secrets: {
        SIPREC_SPOOL_KEY: ContainerSecret.fromSecretsManager(secrets.spoolKey),
        DRACHTIO_SECRET: ContainerSecret.fromSecretsManager(secrets.sipServer),
      },
      memoryReservationMiB: 1024,
      stopTimeout: Duration.seconds(STOP_SECONDS),
      healthCheck: {
        command: ['CMD', 'node', '-e', HEALTH_COMMAND],
        interval: Duration.seconds(10),
        timeout: Duration.seconds(5),
        retries: 3,
        startPeriod: Duration.seconds(120),
      },
      logging: LogDrivers.awsLogs({ logGroup: logs.recorder, streamPrefix: slot.name }),
      linuxParameters: this.linuxParameters('recorder-linux'),
      ulimits: [{ name: UlimitName.NOFILE, softLimit: OPEN_FILES, hardLimit: OPEN_FILES }],
    });
    recorder.addMountPoints({ sourceVolume: 'spool', containerPath: SPOOL, readOnly: false });
    if (tls)
      sipServer.addMountPoints({
        sourceVolume: 'certificates',
        containerPath: CERTIFICATES_PATH,
        readOnly: true,
      });
    // And the other way round when they stop: calls end while there is a SIP server to end them.
    recorder.addContainerDependencies({
      container: sipServer,
      condition: ContainerDependencyCondition.START,
    });
    return task;
  }

  private linuxParameters(id: string): LinuxParameters {
    const parameters = new LinuxParameters(this, id, { initProcessEnabled: true });
    parameters.dropCapabilities(Capability.ALL);
    parameters.addTmpfs({ containerPath: '/tmp', size: 64 });
    return parameters;
  }

  /** A daemon: one task on the one instance with the slot's attribute. The old one is stopped before the new one starts. */
  private service({ deployment, slot, executionRole }: SlotProps, task: Ec2TaskDefinition): CfnService {
    const service = new CfnService(this, 'service', {
      cluster: recordersClusterName(deployment),
      serviceName: slotResourceName(deployment, slot.name),
      taskDefinition: task.taskDefinitionArn,
      launchType: 'EC2',
      schedulingStrategy: 'DAEMON',
      placementConstraints: [{ type: 'memberOf', expression: `attribute:${SLOT_ATTRIBUTE} == ${slot.name}` }],
      deploymentConfiguration: {
        minimumHealthyPercent: 0,
        maximumPercent: 100,
        deploymentCircuitBreaker: { enable: true, rollback: true },
      },
      enableEcsManagedTags: true,
      propagateTags: 'SERVICE',
      tags: slotTags(deployment, slot.name),
    });
    // The first task starts with rights that policies beside the roles give.
    service.node.addDependency(task, task.taskRole, executionRole);
    return service;
  }

  private launchTemplate(props: SlotProps, volume: CfnVolume, tls: boolean): CfnLaunchTemplate {
    const { deployment, slot, address, securityGroupIds, imageId } = props;
    const stack = Stack.of(this);
    const role = hostRole(this, {
      ...{ deployment, slot: slot.name, tls },
      volumeId: volume.ref,
      allocationId: address.allocationId,
    });
    const profile = new CfnInstanceProfile(this, 'host-profile', { roles: [role.roleName] });
    profile.node.addDependency(role);
    const userData = hostUserData({
      SLOT: slot.name,
      AWS_REGION: stack.region,
      VOLUME_ID: volume.ref,
      ALLOCATION_ID: address.allocationId,
      CLUSTER: recordersClusterName(deployment),
      SLOT_ATTRIBUTE,
      STACK: stack.stackName,
      GROUP_LOGICAL_ID: this.groupLogicalId(),
      GROUP_NAME: slotResourceName(deployment, slot.name),
      HOOK,
      STOP_SECONDS: String(STOP_SECONDS),
      RESERVED_PORTS: `${SIP_PORT}-${SIPS_PORT},${HEALTH_PORT},${SIP_SERVER_PORT},${RTP_PORTS.min}-${RTP_PORTS.max}`,
      SPOOL_OWNER: String(UID),
      LOG_GROUP: hostLogGroupName(deployment, 'host'),
      METRICS_NAMESPACE: metricsNamespace(deployment),
      FAILURE_METRIC: HOST_METRICS.startFailures,
      HUNG_METRIC: HOST_METRICS.hungRecorders,
      ...(tls && { TLS_SECRET: tlsSecretName(deployment) }),
    });
    const tags = slotTags(deployment, slot.name);
    return new CfnLaunchTemplate(this, 'host', {
      launchTemplateData: {
        imageId,
        instanceType: planHost(slot, deployment.recorders).instanceType,
        iamInstanceProfile: { arn: profile.attrArn },
        securityGroupIds,
        // With the host's network containers are no hop away.
        metadataOptions: { httpTokens: 'required', httpPutResponseHopLimit: 1, httpEndpoint: 'enabled' },
        blockDeviceMappings: [
          { deviceName: '/dev/xvda', ebs: { volumeType: 'gp3', volumeSize: 30, encrypted: true } },
        ],
        monitoring: { enabled: true },
        tagSpecifications: ['instance', 'network-interface', 'volume'].map((resourceType) => ({
          resourceType,
          // The root disk is not the spool, and must not look like it.
          tags: resourceType === 'volume' ? tags.slice(0, 1) : tags,
        })),
        userData: Fn.base64(userData),
      },
    });
  }

  private groupLogicalId(): string {
    return `Group${this.node.addr.slice(-8)}`;
  }

  private hostGroup(props: SlotProps, template: CfnLaunchTemplate, name: string): CfnAutoScalingGroup {
    const group = new CfnAutoScalingGroup(this, 'group', {
      autoScalingGroupName: name,
      minSize: '1',
      maxSize: '1',
      vpcZoneIdentifier: [props.subnetId],
      launchTemplate: {
        launchTemplateId: template.ref,
        version: template.attrLatestVersionNumber,
      },
      healthCheckType: 'EC2',
      healthCheckGracePeriod: 300,
      lifecycleHookSpecificationList: [
        {
          lifecycleHookName: HOOK,
          lifecycleTransition: 'autoscaling:EC2_INSTANCE_TERMINATING',
          heartbeatTimeout: HEARTBEAT_SECONDS,
          defaultResult: 'CONTINUE',
        },
      ],
      tags: slotTags(props.deployment, props.slot.name).map((tag) => ({ ...tag, propagateAtLaunch: false })),
    });
    group.overrideLogicalId(this.groupLogicalId());
    group.cfnOptions.creationPolicy = { resourceSignal: { count: 1, timeout: 'PT30M' } };
    group.cfnOptions.updatePolicy = {
      autoScalingRollingUpdate: {
        minInstancesInService: 0, // a slot has one host: the old one leaves before the new one has the disk
        maxBatchSize: 1,
        waitOnResourceSignals: true,
        pauseTime: 'PT1H', // CloudFormation's longest
        suspendProcesses: [
          'HealthCheck',
          'ReplaceUnhealthy',
          'AZRebalance',
          'AlarmNotification',
          'ScheduledActions',
        ],
      },
    };
    return group;
  }
}

/** What the recorder is told; the rest of its environment has good defaults. */
function recorderVariables({ deployment, slot, address }: SlotProps): Record<string, string> {
  const { mediaWorkers, spool } = planHost(slot, deployment.recorders);
  const variables: RecorderVariables = {
    SIPREC_SLOT: slot.name,
    SIPREC_CALL_CAPACITY: String(slot.callCapacity),
    SIPREC_SOURCES: JSON.stringify(deployment.sources),
    SIPREC_BUCKET: recordingsBucketName(deployment, slot.region),
    // Where buckets have Object Lock, uploads are locked.
    ...(deployment.retention.objectLock && { SIPREC_RETENTION: JSON.stringify(deployment.retention) }),
    SIPREC_FLEET_TABLE: fleetTableName(deployment),
    SIPREC_REGION_SWITCH: regionSwitchName(deployment),
    SIPREC_METRICS_NAMESPACE: metricsNamespace(deployment),
    SIPREC_SPOOL: SPOOL,
    SIPREC_SPOOL_RESERVE_MB: String(spool.reserveMib),
    SIPREC_MEDIA_ADDRESS: '0.0.0.0',
    SIPREC_MEDIA_PUBLIC_ADDRESS: address.ip,
    SIPREC_RTP_PORT_MIN: String(RTP_PORTS.min),
    SIPREC_RTP_PORT_MAX: String(RTP_PORTS.max),
    SIPREC_MEDIA_WORKERS: String(mediaWorkers),
    SIPREC_HEALTH_PORT: String(HEALTH_PORT),
    SIPREC_DRAIN_SECONDS: String(DRAIN_SECONDS),
    SIPREC_INSTANCE_METADATA: 'http://169.254.169.254',
    DRACHTIO_HOST: SIP_SERVER_HOST,
    DRACHTIO_PORT: String(SIP_SERVER_PORT),
    AWS_REGION: slot.region,
  };
  return variables as Record<string, string>;
}
