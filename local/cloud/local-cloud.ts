/**
 * The whole platform on loopback: the real stacks in an emulator, recorders as processes, and a DNS server that answers
 * as Route 53 would. Only what the emulator cannot host is replaced (DESIGN.md 4.12).
 */
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Route53Client } from '@aws-sdk/client-route-53';
import { type Deployment, readDeployment } from '../../core/deployment.ts';
import { indexHomeRegion, indexTableName } from '../../core/names.ts';
import type { RecorderVariables } from '../../core/recorder-environment.ts';
import { planNaptr, planSlots } from '../../core/slot-plan.ts';
import { startHealthChecker } from '../dns-server/health-checker.ts';
import { startRoute53Zone } from '../dns-server/route53-zone.ts';
import { startDnsServer } from '../dns-server/server.ts';
import { type DeployTarget, deployedApiId, deployStacks } from './deploy.ts';
import { publishZone, type SlotCheck } from './dns-records.ts';
import { credentialsOf, forgetState, installEmulator, portOfState, startEmulator } from './emulator.ts';
import { LocalCloudError } from './errors.ts';
import { replicateTable } from './global-table.ts';
import { checkPorts, claimPorts, fixedPorts, HOST, type PortPlan } from './ports.ts';
import { type Route53Gate, startRoute53Gate } from './route53-gate.ts';
import { findDrachtio } from './sip-server-child.ts';
import { type RunningSlot, startSlot } from './slot.ts';
import { redirectRoute53 } from './steering-function.ts';

export interface LocalCloudOptions {
  deploymentFile: string;
  /** Everything that is kept lies here. */
  stateDirectory: string;
  /** Where the AWS emulator is installed, or will be. */
  installDirectory: string;
  ports: 'fixed' | 'free';
  /** Forget the state of earlier starts (not what was downloaded). */
  fresh: boolean;
  /** Divides the intervals of health checks; 1 is Route 53's time. */
  healthTimeFactor: number;
  /** For running calls to end when a recorder is stopped; default 5. */
  drainSeconds?: number;
  /** Of all recorders, beside those that follow from the deployment. */
  recorderVariables?: RecorderVariables;
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
  /** State of a slot's health check, by the slot's name. */
  health: (slot: string) => 'healthy' | 'unhealthy';
  /** Closes the way to Route 53's API, for drills. */
  route53: Route53Gate;
  sipServer: string;
  logDirectory: string;
  /** Address of a region's query API, without a closing slash. */
  apiUrl: (region: string) => string;
  /** Rejects when something without which nothing goes on is lost: the emulator. */
  lost: Promise<never>;
}

/** Starts and stops the local cloud. `stop` may be called at any time, also while `start` runs. */
export class LocalCloudRun {
  readonly #options: LocalCloudOptions;
  /** What is to be closed, in the order of opening. */
  readonly #closers: (() => unknown)[] = [];
  readonly #stop = new AbortController();
  readonly #lost = Promise.withResolvers<never>();
  #started: Promise<LocalCloud> | undefined;
  #stopped: Promise<void> | undefined;

  constructor(options: LocalCloudOptions) {
    this.#options = options;
    this.#lost.promise.catch(() => {}); // whoever waits for it hears of it
  }

  /**
   * @throws LocalCloudError, DeploymentFileError: with the remedy in the message; nothing stays running
   */
  async start(): Promise<LocalCloud> {
    try {
      this.#started = this.#start();
      return await Promise.race([this.#started, this.#lost.promise]);
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Stops everything, last opened first. */
  stop(): Promise<void> {
    this.#stopped ??= (async () => {
      this.#stop.abort(new LocalCloudError('stopped'));
      await this.#started?.catch(() => {}); // what it was just opening is known by then
      for (const close of this.#closers.splice(0).reverse()) await close();
    })();
    return this.#stopped;
  }

  async #step<T>(what: string, work: () => Promise<T>): Promise<T> {
    this.#stop.signal.throwIfAborted();
    const done = this.#options.onStep(what);
    const result = await work().catch((error) => {
      throw refusedByEmulator(error)
        ? new LocalCloudError(explainRefusal(what, error), { cause: error })
        : error;
    });
    done();
    return result;
  }

  async #start(): Promise<LocalCloud> {
    const options = this.#options;
    const directory = resolve(options.stateDirectory);
    const deploymentFile = resolve(options.deploymentFile);
    const deployment = localDeployment(deploymentFile);
    const drachtio = findDrachtio(process.env);
    const emulatorHome = join(directory, 'emulator');
    const ports = await this.#choosePorts(deployment, emulatorHome);
    if (options.fresh) {
      forgetState(emulatorHome);
      for (const old of ['spool', 'logs']) rmSync(join(directory, old), { recursive: true, force: true });
    }
    makeStateDirectory(directory);

    const endpoint =
      process.env.AWS_ENDPOINT_URL ?? (await this.#startEmulator(emulatorHome, directory, ports));
    const { signal } = this.#stop;
    const target: DeployTarget = { deployment, deploymentFile, endpoint, directory, signal };
    const credentials = credentialsOf(deployment.account);
    await this.#step('deploy the stacks with the CDK', () => deployStacks(target));

    const regions = deployment.regions.map(({ name }) => name);
    const apiIds = new Map<string, string>();
    for (const region of regions) apiIds.set(region, await deployedApiId(target, region));
    const home = indexHomeRegion(deployment);
    await this.#step('replicate the index table', () =>
      replicateTable({
        endpoint,
        credentials,
        tableName: indexTableName(deployment),
        regions: [home, ...regions.filter((region) => region !== home)],
      }),
    );

    const slots = await this.#step('start the recorders', () =>
      this.#startSlots(deployment, ports, endpoint, directory, drachtio),
    );
    const route53 = await startRoute53Gate(endpoint);
    this.#closers.push(() => route53.close());
    for (const region of regions) await redirectRoute53({ endpoint, credentials, region }, route53.endpoint);
    const { dns, health } = await this.#step('publish the zone and answer DNS', () =>
      this.#startDns(deployment, ports, route53.endpoint, credentials),
    );
    return {
      deployment,
      endpoint,
      credentials,
      dns,
      slots,
      health,
      route53,
      sipServer: drachtio ?? 'the development SIP server',
      logDirectory: join(directory, 'logs'),
      apiUrl: (region) => `${endpoint}/restapis/${apiIds.get(region)}/v1/_user_request_`,
      lost: this.#lost.promise,
    };
  }

  /** @throws LocalCloudError when ports are taken */
  async #choosePorts(deployment: Deployment, emulatorHome: string): Promise<PortPlan> {
    const slotNames = planSlots(deployment).map(({ name }) => name);
    const kept = this.#options.fresh ? undefined : portOfState(emulatorHome);
    let plan: PortPlan;
    if (this.#options.ports === 'fixed') plan = fixedPorts(slotNames, kept);
    else {
      const claimed = await claimPorts(slotNames, kept);
      this.#closers.push(claimed.release);
      plan = claimed.plan;
    }
    await checkPorts(plan, !process.env.AWS_ENDPOINT_URL);
    return plan;
  }

  async #startEmulator(home: string, directory: string, ports: PortPlan): Promise<string> {
    const python = await this.#step('install the AWS emulator', () =>
      installEmulator(resolve(this.#options.installDirectory)),
    );
    await this.#step('start the AWS emulator', async () => {
      const { signal } = this.#stop;
      const logFile = join(directory, 'logs', 'emulator.log');
      const emulator = await startEmulator(python, home, ports.emulator, logFile, signal);
      this.#closers.push(() => emulator.stop());
      void emulator.exited.then((exit) => {
        if (signal.aborted) return;
        this.#lost.reject(
          new LocalCloudError(
            `${emulator.describeExit(exit)}\nStart again; with --fresh if it happens again.`,
          ),
        );
      });
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
    const running: RunningSlot[] = [];
    this.#closers.push(() => Promise.all(running.map((slot) => slot.stop())));
    const started = await Promise.allSettled(
      planSlots(deployment).map(async (slot) => {
        const slotRun = await startSlot({
          deployment,
          slot,
          ports: portsOf(ports, slot.name),
          endpoint,
          directory,
          drachtio,
          variables: this.#options.recorderVariables ?? {},
          drainSeconds: this.#options.drainSeconds ?? DRAIN_SECONDS,
          signal: this.#stop.signal,
          onIncident: this.#options.onIncident,
        });
        running.push(slotRun);
        return slotRun;
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
  ): Promise<Pick<LocalCloud, 'dns' | 'health'>> {
    const { onIncident, healthTimeFactor } = this.#options;
    const client = new Route53Client({ endpoint, credentials, region: 'us-east-1' });
    const plan = planSlots(deployment, (name) => ({ ...portsOf(ports, name), sips: NO_PORT }));
    const naptr = planNaptr(deployment);
    const { hostedZoneId, checks } = await publishZone(client, deployment.dns.zone, plan, HOST, naptr);
    const zone = await startRoute53Zone({
      client,
      hostedZoneId,
      onProblem: (problem) => onIncident(`DNS: ${problem.message}`),
    });
    this.#closers.push(() => zone.close());
    const slotOf = new Map(checks.map((check: SlotCheck) => [check.id, check.slot]));
    const checkOf = new Map(checks.map((check: SlotCheck) => [check.slot, check.id]));
    const checker = startHealthChecker({
      checks,
      timeFactor: healthTimeFactor,
      onChange: ({ id, health, observed }) =>
        onIncident(`health check of ${slotOf.get(id)}: ${health} (${observed})`),
    });
    this.#closers.push(() => checker.close());
    const server = await startDnsServer({
      address: HOST,
      port: ports.dns,
      zone: zone.zone,
      health: checker.health,
      onError: (error) => onIncident(`DNS: ${error.message}`),
    });
    this.#closers.push(() => server.close());
    return {
      dns: { address: HOST, port: server.port },
      health: (slot) => checker.health(checkOf.get(slot) ?? slot),
    };
  }
}

/** The SDK's mark of an answer, as opposed to no answer. */
const refusedByEmulator = (error: object): boolean => '$metadata' in error;

const explainRefusal = (step: string, { name, message }: Error): string =>
  `cannot ${step}: the AWS emulator answered ${name}: ${message}\n` +
  'If the state is that of an older version, start again with --fresh (its recordings are lost) or another --state.';

/** Somebody waits for `npm start` to end. */
const DRAIN_SECONDS = 5;
/** Never planned: a deployment with TLS is refused here. */
const NO_PORT = 0;

const portsOf = (ports: PortPlan, slotName: string) => {
  const slot = ports.slots.get(slotName);
  if (!slot) throw new Error(`no ports are planned for slot ${slotName}`);
  return slot;
};

function localDeployment(file: string): Deployment {
  const deployment = readDeployment(file, readFileSync, 'with --deployment');
  if (deployment.dns.services.some(({ transports }) => transports.includes('tls')))
    throw new LocalCloudError(
      `${file} asks for SIP over TLS, for which the local cloud has no certificates: leave tls out of its transports.`,
    );
  if (!letsLocalCallerIn(deployment))
    throw new LocalCloudError(
      `${file} does not let the local cloud's own caller, ${localCaller(deployment)}, use the API: leave its \`api\` out, ` +
        'or list this principal in api.callers with all tenants and the roles search, listen and operate.',
    );
  return deployment;
}

const localCaller = ({ account }: Deployment): string => `arn:aws:iam::${account}:root`;

/** The local cloud finds its own recordings through the API, signed with the account's key. */
const letsLocalCallerIn = (deployment: Deployment): boolean => {
  const { auth, callers } = deployment.api;
  const own = callers?.find(({ principal }) => principal === localCaller(deployment));
  return auth === 'iam' && (!callers || (own?.tenants === 'all' && own.roles.includes('listen')));
};

function makeStateDirectory(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true });
  } catch (cause) {
    throw new LocalCloudError(
      `the state directory cannot be made: ${(cause as Error).message}\nName another with --state DIRECTORY.`,
      { cause },
    );
  }
}
