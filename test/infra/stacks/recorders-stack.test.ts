import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readRecorderEnvironment } from '../../../core/recorder-environment.ts';
import { planSlots } from '../../../core/slot-plan.ts';
import { MAX_USER_DATA_BYTES } from '../../../infra/constructs/host-user-data.ts';
import { type Resource, resourcesOf, type Synthesized, synthesizeExample, theResource } from '../synth.ts';

const REGION = 'us-east-1';

let synthesized: Synthesized;
beforeAll(() => {
  synthesized = synthesizeExample();
});
afterAll(() => synthesized.remove());

const template = (of = synthesized) => {
  const found = of.regions[REGION];
  if (!found) throw new Error(`no region ${REGION}`);
  return found.template('recorders');
};
const all = (type: string, of = synthesized): [id: string, Resource][] =>
  Object.entries(resourcesOf(template(of), type));
const slots = () => planSlots(synthesized.deployment).filter(({ region }) => region === REGION);

interface Container {
  Name: string;
  Environment: { Name: string; Value: unknown }[];
  Secrets: { Name: string }[];
  [key: string]: unknown;
}
const containers = (of = synthesized): Record<string, Container>[] =>
  all('AWS::ECS::TaskDefinition', of).map(([, { Properties }]) =>
    Object.fromEntries((Properties.ContainerDefinitions as Container[]).map((c) => [c.Name, c])),
  );

/** A text as CloudFormation would join it, with what it looks up shown as `<...>`. */
const textOf = (value: unknown): string => {
  if (typeof value === 'string') return value;
  const [[name, argument] = []] = Object.entries(value as object);
  if (name === 'Fn::Base64') return textOf(argument);
  if (name === 'Fn::Join') return (argument[1] as unknown[]).map(textOf).join(argument[0]);
  return `<${JSON.stringify(argument)}>`;
};

describe('the slots of a region', () => {
  it('have one host each, in their zone, with what a host of theirs needs', () => {
    const groups = all('AWS::AutoScaling::AutoScalingGroup');
    expect(groups.map(([, { Properties }]) => Properties.AutoScalingGroupName)).toEqual(
      slots().map(({ name }) => `siprec-${name}`),
    );
    for (const [index, [, group]] of groups.entries()) {
      expect(group.Properties).toMatchObject({ MinSize: '1', MaxSize: '1', HealthCheckType: 'EC2' });
      expect(group.Properties.MaxInstanceLifetime).toBeUndefined();
      const zone = slots()[index]?.zone.replaceAll('-', '');
      expect(JSON.stringify(group.Properties.VPCZoneIdentifier)).toContain(`subnet${zone}`);
    }
    for (const [, { Properties }] of all('AWS::EC2::LaunchTemplate'))
      expect(Properties.LaunchTemplateData).toMatchObject({
        InstanceType: 'c7g.xlarge',
        MetadataOptions: { HttpTokens: 'required', HttpPutResponseHopLimit: 1 },
        BlockDeviceMappings: [{ Ebs: { Encrypted: true } }],
      });
    expect(Object.values(template().toJSON().Parameters)).toContainEqual(
      expect.objectContaining({
        Default: '/aws/service/ecs/optimized-ami/amazon-linux-2023/arm64/recommended/image_id',
      }),
    );
  });

  it('have a disk each that outlives host and stack', () => {
    const volumes = all('AWS::EC2::Volume');
    expect(volumes.map(([, { Properties }]) => Properties.AvailabilityZone)).toEqual(
      slots().map(({ zone }) => zone),
    );
    for (const [, volume] of volumes)
      expect(volume).toMatchObject({
        DeletionPolicy: 'Retain',
        UpdateReplacePolicy: 'Retain',
        Properties: { Encrypted: true, VolumeType: 'gp3', Size: 270 },
      });
  });

  it('are changed one after another: the service, then the hosts, then the next slot', () => {
    const services = all('AWS::ECS::Service');
    const groups = all('AWS::AutoScaling::AutoScalingGroup');
    expect(services).toHaveLength(3);
    for (const [index, [serviceId, service]] of services.entries()) {
      expect(groups[index]?.[1].DependsOn).toContain(serviceId);
      const before = groups.slice(0, index).map(([id]) => id);
      if (before.length > 0) expect(service.DependsOn).toContain(before.at(-1));
      expect(service.Properties).toMatchObject({
        SchedulingStrategy: 'DAEMON',
        PlacementConstraints: [
          { Type: 'memberOf', Expression: `attribute:siprec-ha.slot == ${slots()[index]?.name}` },
        ],
        DeploymentConfiguration: { MinimumHealthyPercent: 0, MaximumPercent: 100 },
      });
    }
    for (const [id, group] of groups as [string, Resource & Record<string, unknown>][]) {
      expect(group.CreationPolicy).toMatchObject({ ResourceSignal: { Count: 1 } });
      expect(group.UpdatePolicy).toMatchObject({
        AutoScalingRollingUpdate: { MinInstancesInService: 0, WaitOnResourceSignals: true },
      });
      const signals = all('AWS::EC2::LaunchTemplate').filter(([, { Properties }]) =>
        textOf(Properties.LaunchTemplateData.UserData).includes(`GROUP_LOGICAL_ID=${id}\n`),
      );
      expect(signals).toHaveLength(1);
    }
  });

  it('are given up only when their calls are over, and soon when their host is dead', () => {
    for (const [, { Properties }] of all('AWS::AutoScaling::AutoScalingGroup')) {
      const [hook] = Properties.LifecycleHookSpecificationList;
      expect(hook).toMatchObject({ LifecycleTransition: 'autoscaling:EC2_INSTANCE_TERMINATING' });
      for (const { recorder } of containers()) {
        const stop = recorder?.StopTimeout as number;
        expect(stop).toBeGreaterThan(7_200);
        expect(hook.HeartbeatTimeout * 100).toBeGreaterThan(stop); // Auto Scaling's longest
      }
    }
  });

  it('start by a script that EC2 takes', () => {
    for (const [, { Properties }] of all('AWS::EC2::LaunchTemplate')) {
      const script = textOf(Properties.LaunchTemplateData.UserData);
      expect(Buffer.byteLength(script)).toBeLessThan(MAX_USER_DATA_BYTES - 1_000); // ids are longer than what stands for them
      expect(script.startsWith('#!/bin/bash\n')).toBe(true);
    }
  });
});

describe('the containers', () => {
  it('have the host network, no root, no capabilities, and nothing to write on but the spool and /tmp', () => {
    for (const [, { Properties }] of all('AWS::ECS::TaskDefinition'))
      expect(Properties.NetworkMode).toBe('host');
    for (const task of containers())
      for (const container of Object.values(task))
        expect(container).toMatchObject({
          ReadonlyRootFilesystem: true,
          User: '1000:1000',
          LinuxParameters: { Capabilities: { Drop: ['ALL'] } },
          LogConfiguration: { LogDriver: 'awslogs' },
          RestartPolicy: { Enabled: true },
        });
  });

  it('tell each recorder all that it must know, in words that it takes', () => {
    const secrets = { SIPREC_SPOOL_KEY: 'A'.repeat(43), DRACHTIO_SECRET: 'secret' };
    const environments = containers().map(({ recorder }) => {
      const set = (recorder as Container).Environment.map(({ Name, Value }) => [
        Name,
        typeof Value === 'string' ? Value : '198.51.100.11',
      ]);
      expect((recorder as Container).Secrets.map(({ Name }) => Name).sort()).toEqual(
        Object.keys(secrets).sort(),
      );
      return readRecorderEnvironment({ ...Object.fromEntries(set), ...secrets });
    });
    expect(environments.map(({ SIPREC_SLOT }) => SIPREC_SLOT)).toEqual(slots().map(({ name }) => name));
    for (const environment of environments)
      expect(environment).toMatchObject({
        SIPREC_BUCKET: 'siprec-recordings-111122223333-us-east-1',
        SIPREC_FLEET_TABLE: 'siprec-fleet',
        SIPREC_REGION_SWITCH: '/siprec/region',
        SIPREC_METRICS_NAMESPACE: 'SiprecHa/siprec',
        SIPREC_INSTANCE_METADATA: 'http://169.254.169.254',
        SIPREC_SPOOL: '/spool',
      });
  });

  it('have certificates where a service wants TLS, and only there', () => {
    const tls = synthesizeExample((example) => ({
      ...example,
      dns: { ...example.dns, services: [{ name: 'siprec', transports: ['tls'] }] },
    }));
    try {
      const [task] = containers(tls);
      expect(task?.['sip-server']).toMatchObject({
        Command: expect.arrayContaining(['--cert-file', '/certificates/cert.pem']),
        MountPoints: [{ ContainerPath: '/certificates', ReadOnly: true }],
      });
      const [, host] = theResource(template(tls), 'AWS::EC2::SecurityGroup', 'firewallsip');
      expect(host.Properties.SecurityGroupIngress.map((rule: { FromPort: number }) => rule.FromPort)).toEqual(
        [5061, 5061],
      );
    } finally {
      tls.remove();
    }
    expect(JSON.stringify(containers())).not.toContain('certificates');
  });
});

describe('the firewall', () => {
  it('lets SIP and RTP in from the SRCs only, and health checks from Route 53 only', () => {
    const rules = all('AWS::EC2::SecurityGroup').flatMap(
      ([, { Properties }]) => Properties.SecurityGroupIngress,
    );
    const sources = synthesized.deployment.sources.flatMap(({ networks }) => networks);
    const opened = rules.map(
      ({ IpProtocol, FromPort, ToPort, CidrIp, SourcePrefixListId }) =>
        `${IpProtocol} ${FromPort}-${ToPort} ${CidrIp ?? (SourcePrefixListId && 'prefix list')}`,
    );
    expect(opened.sort()).toEqual(
      [
        ...sources.flatMap((network) => [
          ...[`udp 5060-5060 ${network}`, `tcp 5060-5060 ${network}`, `udp 20000-59999 ${network}`],
        ]),
        'tcp 8080-8080 prefix list',
      ].sort(),
    );
  });

  it("finds Route 53's list by its name, while it is deployed", () => {
    const [, lookup] = theResource(template(), 'Custom::AWS');
    expect(textOf(lookup.Properties.Create)).toContain('com.amazonaws.us-east-1.route53-healthchecks');
  });
});

describe('the rights of recorders', () => {
  interface Statement {
    Action: string | string[];
    Resource: unknown;
    Condition?: Record<string, Record<string, unknown>>;
  }
  /** Of the roles whose id has this in it. */
  const statementsOf = (role: string): Statement[] =>
    all('AWS::IAM::Policy')
      .filter(([, { Properties }]) => JSON.stringify(Properties.Roles).includes(role))
      .flatMap(([, { Properties }]) => Properties.PolicyDocument.Statement);
  const actionsOf = (statements: Statement[]) =>
    [...new Set(statements.flatMap(({ Action }) => Action))].sort();

  it('are to write recordings of their region, and never to read one: neither the task, nor its host', () => {
    expect(actionsOf(statementsOf('recorderrole')).filter((action) => action.startsWith('s3:'))).toEqual([
      's3:AbortMultipartUpload',
      's3:ListMultipartUploadParts',
      's3:PutObject',
    ]);
    for (const { Action, Resource } of statementsOf('recorderrole'))
      if ([Action].flat().some((action) => action.startsWith('s3:')))
        expect(Resource).toBe('arn:aws:s3:::siprec-recordings-111122223333-us-east-1/rec/us-east-1/*');
    for (const role of ['hostrole', 'executionrole'])
      expect(actionsOf(statementsOf(role)).filter((action) => /^(s3|kms):/.test(action))).toEqual([]);
  });

  it('to the key are through S3 alone', () => {
    const kms = statementsOf('recorderrole').filter(({ Action }) =>
      [Action].flat().some((action) => action.startsWith('kms:')),
    );
    expect(kms).toHaveLength(3);
    for (const { Condition } of kms)
      expect(Condition).toEqual({
        StringEquals: { 'kms:ViaService': 's3.us-east-1.amazonaws.com' },
        'ForAnyValue:StringEquals': { 'kms:ResourceAliases': 'alias/siprec-recordings' },
      });
  });

  it('end at their own slot', () => {
    const [, policy] = theResource(template(), 'AWS::IAM::Policy', 'slotuse11recorderrole');
    const report = (policy.Properties.PolicyDocument.Statement as Statement[]).find(
      ({ Action }) => Action === 'dynamodb:PutItem',
    );
    expect(report?.Condition).toEqual({
      'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': ['slot#use1-1', 'LEDGER#use1-1#*'] },
    });
    const host = all('AWS::IAM::Policy').filter(([id]) => id.startsWith('slotuse11hostrole'));
    const text = JSON.stringify(host);
    expect(text).toContain('slotuse11spool');
    expect(text).not.toMatch(/slotuse12|slotuse13|use1-2/);
    for (const { Action, Resource, Condition } of host.flatMap(
      ([, { Properties }]) => Properties.PolicyDocument.Statement as Statement[],
    ))
      if (
        [Action].flat().some((action) => /^ec2:(Att|Det|Ass)/.test(action)) &&
        /instance/.test(JSON.stringify(Resource))
      )
        expect(Condition).toEqual({
          StringEquals: {
            'aws:ResourceTag/siprec-ha:deployment': 'siprec',
            'aws:ResourceTag/siprec-ha:slot': 'use1-1',
          },
        });
  });

  it('to secrets end at those of their containers', () => {
    const secrets = statementsOf('executionrole').filter(({ Action }) =>
      [Action].flat().includes('secretsmanager:GetSecretValue'),
    );
    for (const { Resource } of secrets) expect(JSON.stringify(Resource)).not.toContain('*');
    const [, key] = theResource(template(), 'AWS::SecretsManager::Secret', 'spoolkey');
    expect(key.DeletionPolicy).toBe('Retain');
    expect(key.Properties.GenerateSecretString).toMatchObject({
      PasswordLength: 43,
      ExcludePunctuation: true,
    });
  });
});

describe('the image of the SIP server', () => {
  const PINNED = `registry.example.com:5000/drachtio/drachtio-server:0.9.10@sha256:${'0'.repeat(64)}`;
  const tellingOf = ({ regions }: Synthesized) =>
    regions[REGION]?.assembly.stacks
      .flatMap(({ messages }) => messages)
      .map(({ level, entry }) => `${level}: ${entry.data}`);
  const buildArgumentsOf = ({ regions }: Synthesized) => {
    const { assembly } = regions[REGION] as Synthesized['regions'][string];
    const [manifest] = assembly.artifacts
      .map(({ id }) => id)
      .filter((id) => /recorders.*\.assets$/.test(id))
      .map((id) => JSON.parse(readFileSync(join(assembly.directory, `${id}.json`), 'utf8')));
    const images = Object.values(manifest.dockerImages) as { source: Record<string, unknown> }[];
    return Object.fromEntries(images.map(({ source }) => [source.dockerFile, source.dockerBuildArgs]));
  };

  it('is the one of the deployment file', () => {
    const pinned = synthesizeExample((example) => ({
      ...example,
      recorders: { ...example.recorders, sipServerImage: PINNED },
    }));
    try {
      expect(buildArgumentsOf(pinned)).toEqual({
        'recorder-image/Dockerfile': undefined,
        'sip-server.Dockerfile': { SIP_SERVER_IMAGE: PINNED },
      });
      expect(tellingOf(pinned)).toEqual([]);
    } finally {
      pinned.remove();
    }
  });

  it('may be that of the Dockerfile, and then the synth says that a tag can move', () => {
    expect(buildArgumentsOf(synthesized)['sip-server.Dockerfile']).toBeUndefined();
    expect(tellingOf(synthesized)).toEqual([expect.stringMatching(/^info: .*recorders\.sipServerImage/)]);
  });
});
