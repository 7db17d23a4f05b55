/**
 * The whole platform on loopback: the real stacks in an emulator, recorders as processes, and a DNS server that answers
 * as Route 53 would. Only what the emulator cannot host is replaced (DESIGN.md 4.12).
 */
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Route53Client } from '@aws-sdk/client-route-53';
import { type Deployment, parseDeployment } from '../../core/deployment.ts';
import { indexHomeRegion, indexTableName } from '../../core/names.ts';
import { planSlots } from '../../core/slot-plan.ts';
import { startHealthChecker } from '../dns-server/health-checker.ts';
import { startRoute53Zone } from '../dns-server/route53-zone.ts';
import { startDnsServer } from '../dns-server/server.ts';
import { type DeployTarget, deployedApiId, deployStacks } from './deploy.ts';
import { publishZone, type SlotCheck } from './dns-records.ts';
import { credentialsOf, forgetState, installEmulator, portOfState, startEmulator } from './emulator.ts';
import { LocalCloudError } from './errors.ts';
import { startGlobalTable } from './global-table.ts';
import { checkPorts, fixedPorts, freePorts, HOST, type PortPlan } from './ports.ts';
import { findDrachtio } from './sip-server-child.ts';
import { type RunningSlot, startSlot } from './slot.ts';

export interface LocalCloudOptions {
  deploymentFile: string;
  /** Everything that is kept lies here. */
  stateDirectory: string;
  ports: 'fixed' | 'free';
  /** Forget the state of earlier starts (not what was downloaded). */
  fresh: boolean;
  /** Divides the intervals of health checks; 1 is Route 53's time. */
  healthTimeFactor: number;
  /** A step begins; the returned function is called when it is done. */
  onStep: (what: string) => () => void;
  /** Something ended or failed while the cloud runs; in words. */
  onIncident: (what: string) => void;
}

export interface LocalCloud {
  deployment: Deployment;
  /** Of every emulated AWS service. */
  endpoint: string;
  credentials: { accessKeyId: string; secretAccessKey: string };
  dns: { address: string; port: number };
  slots: RunningSlot[];
  sipServer: string;
  /** Address of a region's query API, without a closing slash. */
  apiUrl: (region: string) => string;
  /** Rejects when something without which nothing goes on is lost: the emulator. */
  lost: Promise<never>;
}

/** Starts and stops the local cloud. `stop` may be called at any time, also while `start` runs. */
export class LocalCloudRun {
  readonly #options: LocalCloudOptions;
  /** What is to be closed, in the order of opening. */
  readonly #closers: (() => Promise<void> | void)[] = [];
  #stopping: Promise<void> | undefined;

  constructor(options: LocalCloudOptions) {
    this.#options = options;
  }

  /**
   * @throws LocalCloudError, DeploymentFileError: with the remedy in the message; nothing stays running
   */
  async start(): Promise<LocalCloud> {
    try {
      return await this.#start();
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Stops everything, last opened first. */
  stop(): Promise<void> {
    this.#stopping ??= (async () => {
      for (const close of this.#closers.splice(0).reverse()) await close();
    })();
    return this.#stopping;
  }

  async #step<T>(what: string, work: () => Promise<T>): Promise<T> {
    if (this.#stopping) throw new LocalCloudError('stopped');
    const done = this.#options.onStep(what);
    const result = await work();
    done();
    return result;
  }

  /** Keeps what was opened for closing; closes it at once if the stop came first. */
  async #keep<T>(opened: T, close: (opened: T) => Promise<void> | void): Promise<T> {
    if (this.#stopping) {
      await close(opened);
      throw new LocalCloudError('stopped');
    }
    this.#closers.push(() => close(opened));
    return opened;
  }

  async #start(): Promise<LocalCloud> {
    const options = this.#options;
    const directory = resolve(options.stateDirectory);
    const deployment = readDeployment(options.deploymentFile);
    const drachtio = findDrachtio(process.env);
    const emulatorHome = join(directory, 'emulator');
    const kept = options.fresh ? undefined : portOfState(emulatorHome);
    const slotNames = planSlots(deployment).map(({ name }) => name);
    const ports = options.ports === 'fixed' ? fixedPorts(slotNames, kept) : await freePorts(slotNames, kept);
    const foreignEmulator = process.env.AWS_ENDPOINT_URL;
    await checkPorts(ports, !foreignEmulator);
    if (options.fresh) {
      forgetState(emulatorHome);
      for (const old of ['spool', 'cdk.out', 'logs'])
        rmSync(join(directory, old), { recursive: true, force: true });
    }
    mkdirSync(directory, { recursive: true });

    const lost = Promise.withResolvers<never>();
    lost.promise.catch(() => {}); // whoever waits for it hears of it
    const endpoint =
      foreignEmulator ?? (await this.#startEmulator(emulatorHome, directory, ports, lost.reject));
    const target: DeployTarget = { deployment, deploymentFile: options.deploymentFile, endpoint, directory };
    const credentials = credentialsOf(deployment.account);
    await this.#step('deploy the stacks with the CDK', () => deployStacks(target));

    const regions = deployment.regions.map(({ name }) => name);
    const apiIds = new Map<string, string>();
    for (const region of regions) apiIds.set(region, await deployedApiId(target, region));
    await this.#step('replicate the index table', async () => {
      const home = indexHomeRegion(deployment);
      const table = await startGlobalTable({
        endpoint,
        credentials,
        tableName: indexTableName(deployment),
        regions: [home, ...regions.filter((region) => region !== home)],
        onError: (error) =>
          options.onIncident(`index replication: ${(error as Error).message}; it is tried again`),
      });
      return this.#keep(table, (opened) => opened.stop());
    });

    const slots = await this.#step('start the recorders', () =>
      this.#startSlots(deployment, ports, endpoint, directory, drachtio),
    );
    const dns = await this.#step('publish the zone and answer DNS', () =>
      this.#startDns(deployment, ports, endpoint, credentials),
    );
    return {
      deployment,
      endpoint,
      credentials,
      dns,
      slots,
      sipServer: drachtio ?? 'the development SIP server',
      apiUrl: (region) => `${endpoint}/restapis/${apiIds.get(region)}/v1/_user_request_`,
      lost: lost.promise,
    };
  }

  async #startEmulator(
    home: string,
    directory: string,
    ports: PortPlan,
    onLost: (error: Error) => void,
  ): Promise<string> {
    const python = await this.#step('install the AWS emulator', () => installEmulator(home));
    await this.#step('start the AWS emulator', async () => {
      const emulator = await startEmulator(
        python,
        home,
        ports.emulator,
        join(directory, 'logs', 'emulator.log'),
      );
      void emulator.exited.then((exit) => {
        if (!this.#stopping)
          onLost(
            new LocalCloudError(
              `${emulator.describeExit(exit)}\nStart again; with --fresh if it happens again.`,
            ),
          );
      });
      return this.#keep(emulator, (opened) => opened.stop());
    });
    return `http://${HOST}:${ports.emulator}`;
  }

  async #startSlots(
    deployment: Deployment,
    ports: PortPlan,
    endpoint: string,
    directory: string,
    drachtio: string | undefined,
  ): Promise<RunningSlot[]> {
    const started = await Promise.allSettled(
      planSlots(deployment).map(async (slot) => {
        const running = await startSlot({
          deployment,
          slot,
          ports: portsOf(ports, slot.name),
          endpoint,
          directory,
          drachtio,
          onIncident: this.#options.onIncident,
        });
        return this.#keep(running, (opened) => opened.stop());
      }),
    );
    return started.map((result) => {
      if (result.status === 'rejected') throw result.reason;
      return result.value;
    });
  }

  async #startDns(
    deployment: Deployment,
    ports: PortPlan,
    endpoint: string,
    credentials: { accessKeyId: string; secretAccessKey: string },
  ): Promise<{ address: string; port: number }> {
    const { onIncident, healthTimeFactor } = this.#options;
    const client = new Route53Client({ endpoint, credentials, region: 'us-east-1' });
    const plan = planSlots(deployment, (name) => portsOf(ports, name));
    const { hostedZoneId, checks } = await publishZone(client, deployment.dns.zone, plan, HOST);
    const zone = await startRoute53Zone({
      client,
      hostedZoneId,
      onProblem: (problem) => onIncident(`DNS: ${problem.message}`),
    });
    await this.#keep(zone, (opened) => opened.close());
    const slotOf = new Map(checks.map((check: SlotCheck) => [check.id, check.slot]));
    const checker = startHealthChecker({
      checks,
      timeFactor: healthTimeFactor,
      onChange: ({ id, health, observed }) =>
        onIncident(`health check of ${slotOf.get(id)}: ${health} (${observed})`),
    });
    await this.#keep(checker, (opened) => opened.close());
    const server = await startDnsServer({
      address: HOST,
      port: ports.dns,
      zone: zone.zone,
      health: checker.health,
      onError: (error) => onIncident(`DNS: ${error.message}`),
    });
    await this.#keep(server, (opened) => opened.close());
    return { address: HOST, port: server.port };
  }
}

const portsOf = (ports: PortPlan, slotName: string) => {
  const slot = ports.slots.get(slotName);
  if (!slot) throw new Error(`no ports are planned for slot ${slotName}`);
  return slot;
};

function readDeployment(file: string): Deployment {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new LocalCloudError(`the deployment file ${file} cannot be read: ${(cause as Error).message}`, {
      cause,
    });
  }
  return parseDeployment(text, file);
}
