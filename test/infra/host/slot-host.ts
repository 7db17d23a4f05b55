/**
 * A slot's host, as far as its scripts can tell: the real AWS CLI and the emulator's EC2, real disks and file systems, the metadata
 * service of an instance. systemd, docker and the kernel's settings are not the test's to change: programs of their names write down
 * what they are asked.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { HostSettings } from '../../../infra/constructs/host-user-data.ts';
import { emulatorEnvironment } from '../../../local/cloud/deploy.ts';
import { installAwsCli, writeProgram } from '../../helpers/aws-cli.ts';
import { run as runProgram } from '../../helpers/block-device.ts';
import { ACCOUNT, type TestEmulator } from '../../helpers/emulator.ts';
import { type InstanceMetadataService, startInstanceMetadata } from '../../helpers/instance-metadata.ts';

const SCRIPTS = join(import.meta.dirname, '../../../infra/host');
const REGION = 'us-east-1';
export const LOG_GROUP = '/siprec/host';

export interface Run {
  child: ChildProcess;
  /** All that it has written so far. */
  output: () => string;
  exited: Promise<number | null>;
}

export class SlotHost {
  readonly directory = mkdtempSync(join(tmpdir(), 'siprec-ha-host-'));
  readonly spool = join(this.directory, 'spool');
  readonly etc = join(this.directory, 'etc');
  readonly devices = join(this.directory, 'devices');
  readonly #bin = join(this.directory, 'bin');
  readonly #asked = join(this.directory, 'asked');
  readonly metadata: InstanceMetadataService;
  readonly #environment: NodeJS.ProcessEnv;
  readonly #endpoint: string;
  readonly #runs: Run[] = [];
  instanceId = '';
  volumeId = '';
  allocationId = '';

  private constructor(emulator: TestEmulator, metadata: InstanceMetadataService) {
    this.metadata = metadata;
    this.#endpoint = emulator.endpoint;
    this.#environment = {
      ...process.env,
      ...emulatorEnvironment(emulator.endpoint, ACCOUNT, REGION),
      PATH: `${this.#bin}:/usr/sbin:/sbin:${process.env.PATH}`,
      AWS_DEFAULT_REGION: REGION,
    };
  }

  /** A host with an instance, an address and a volume that is attached to nothing. */
  static async start(emulator: TestEmulator): Promise<SlotHost> {
    const host = new SlotHost(emulator, await startInstanceMetadata());
    try {
      await host.prepare();
      return host;
    } catch (error) {
      await host.close();
      throw error;
    }
  }

  private async prepare(): Promise<void> {
    mkdirSync(this.devices);
    await installAwsCli(this.#bin, this.#asked);
    for (const name of ['systemctl', 'sysctl', 'dnf', 'docker'])
      writeProgram(this.#bin, name, `echo "${name} $*" >>'${this.#asked}'`);
    this.instanceId = await this.launch();
    this.metadata.items.set('instance-id', this.instanceId);
    this.allocationId = await this.#ec2('AllocateAddress', { Domain: 'vpc' }, 'allocationId');
    this.volumeId = await this.#ec2(
      'CreateVolume',
      { AvailabilityZone: `${REGION}a`, Size: '1' },
      'volumeId',
    );
  }

  /**
   * Asks the emulator itself: the CLI takes a second to start.
   * @param element of the answer
   * @returns what is in it; '' where there is none
   */
  async #ec2(action: string, parameters: Record<string, string>, element: string): Promise<string> {
    const scope = `Credential=${ACCOUNT}/20260101/${REGION}/ec2/aws4_request`;
    const response = await fetch(this.#endpoint, {
      method: 'POST',
      headers: { authorization: `AWS4-HMAC-SHA256 ${scope}, SignedHeaders=host, Signature=none` },
      body: new URLSearchParams({ Action: action, Version: '2016-11-15', ...parameters }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${action}: ${response.status} ${text}`);
    return new RegExp(`<${element}>([^<]*)</${element}>`).exec(text)?.[1] ?? '';
  }

  /** Another instance. */
  launch = (): Promise<string> =>
    this.#ec2('RunInstances', { ImageId: 'ami-1', MinCount: '1', MaxCount: '1' }, 'instanceId');
  terminate = (InstanceId: string) =>
    this.#ec2('TerminateInstances', { 'InstanceId.1': InstanceId }, 'instanceId');
  attachTo = (InstanceId: string) =>
    this.#ec2('AttachVolume', { VolumeId: this.volumeId, InstanceId, Device: '/dev/sdf' }, 'status');
  detach = () => this.#ec2('DetachVolume', { VolumeId: this.volumeId }, 'status');
  giveAddressTo = (InstanceId: string) =>
    this.#ec2('AssociateAddress', { AllocationId: this.allocationId, InstanceId }, 'associationId');
  /** Instances; '' for none. */
  holderOfVolume = () => this.#ec2('DescribeVolumes', { 'VolumeId.1': this.volumeId }, 'instanceId');
  holderOfAddress = () =>
    this.#ec2('DescribeAddresses', { 'AllocationId.1': this.allocationId }, 'instanceId');

  /** @returns what the CLI writes, without its last line break */
  async aws(command: string): Promise<string> {
    const { stdout } = await promisify(execFile)(join(this.#bin, 'aws'), command.split(' '), {
      env: this.#environment,
    });
    return stdout.trim();
  }

  /** The volume shows up as this disk. */
  plugIn(device: string): void {
    symlinkSync(
      device,
      join(this.devices, `nvme-Amazon_Elastic_Block_Store_${this.volumeId.replace('-', '')}`),
    );
  }

  program(name: string, script: string): void {
    writeProgram(this.#bin, name, script);
  }

  /** Everything that the AWS CLI and the programs of the host were asked so far, a line each. */
  asked(): string[] {
    return existsSync(this.#asked) ? readFileSync(this.#asked, 'utf8').trim().split('\n') : [];
  }

  /** @param settings other than those of a slot without TLS */
  start(script: 'start-slot.sh' | 'watch-slot.sh', settings: NodeJS.ProcessEnv = {}): Run {
    const slot: HostSettings = {
      SLOT: 'use1-1',
      AWS_REGION: REGION,
      VOLUME_ID: this.volumeId,
      ALLOCATION_ID: this.allocationId,
      CLUSTER: 'siprec-recorders',
      SLOT_ATTRIBUTE: 'siprec-ha.slot',
      STACK: 'siprec-recorders',
      GROUP_LOGICAL_ID: 'Group1',
      GROUP_NAME: 'siprec-use1-1',
      HOOK: 'drain',
      STOP_SECONDS: '7260',
      RESERVED_PORTS: '5060-5061,8080,9022,20000-59999',
      SPOOL_OWNER: '1000',
      LOG_GROUP,
      METRICS_NAMESPACE: 'SiprecHa',
      FAILURE_METRIC: 'SlotStartFailures',
      HUNG_METRIC: 'HungRecorders',
    };
    const child = spawn('bash', [join(SCRIPTS, script)], {
      env: {
        ...this.#environment,
        ...slot,
        SPOOL: this.spool,
        ETC: this.etc,
        RUN: join(this.directory, 'run'),
        DEVICES: this.devices,
        IMDS: this.metadata.endpoint,
        AGENT: 'http://127.0.0.1:1',
        HEALTH: 'http://127.0.0.1:1',
        POLL_SECONDS: '0.2',
        MAX_WAIT_SECONDS: '1',
        ...settings,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true, // with all that it starts
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    const run: Run = {
      child,
      output: () => output,
      exited: new Promise((resolve) => child.on('close', (code) => resolve(code))),
    };
    this.#runs.push(run);
    return run;
  }

  /** What the slot's log group holds. */
  async reported(): Promise<string[]> {
    const text = await this.aws(
      `logs filter-log-events --log-group-name ${LOG_GROUP} --query events[].message --output json`,
    );
    return JSON.parse(text) as string[];
  }

  async close(): Promise<void> {
    for (const { child, exited } of this.#runs) {
      if (child.exitCode === null && child.signalCode === null)
        process.kill(-(child.pid as number), 'SIGKILL');
      await exited;
    }
    if (
      existsSync(this.spool) &&
      runProgram('findmnt', '-n', '-l', '-o', 'TARGET').split('\n').includes(this.spool)
    )
      runProgram('umount', this.spool);
    rmSync(this.directory, { recursive: true, force: true });
    await this.metadata.close();
  }
}
