/** A slot of the local cloud: a SIP server and a recorder, as on one host in production. */
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Deployment } from '../../core/deployment.ts';
import { fleetTableName, regionSwitchName } from '../../core/fleet.ts';
import { metricsNamespace, recordingsBucketName } from '../../core/names.ts';
import type { RecorderVariables } from '../../core/recorder-environment.ts';
import type { PlannedSlot } from '../../core/slot-plan.ts';
import { type Child, exitWords, nodeProgram, startChild } from './child.ts';
import { emulatorEnvironment } from './deploy.ts';
import { LocalCloudError } from './errors.ts';
import { HOST, type SlotPortPlan } from './ports.ts';
import { startSipServerChild } from './sip-server-child.ts';

const RECORDER = join(import.meta.dirname, '../../recorder-image/src/main.ts');
const READY_TIMEOUT_MS = 30_000;
/** From the last call to the end of the process: the spool is worked off. */
const AFTER_DRAIN_SECONDS = 10;
/** Reached over loopback only. */
const SIP_SERVER_SECRET = 'local';

export interface SlotOptions {
  deployment: Deployment;
  slot: PlannedSlot;
  ports: SlotPortPlan;
  endpoint: string;
  /** State folder of the local cloud. */
  directory: string;
  drachtio: string | undefined;
  /** For running calls to end when a recorder is stopped. */
  drainSeconds: number;
  /** Beside, or instead of, those that follow from the deployment. */
  variables: RecorderVariables;
  /** Ends the start. */
  signal: AbortSignal;
  /** A process of the slot ended though nobody stopped it. */
  onIncident: (what: string) => void;
}

export interface RunningSlot {
  name: string;
  region: string;
  ports: SlotPortPlan;
  recorderPid: number;
  sipServerPid: number;
  /** How one of its processes ended before it was stopped; undefined while all is well. */
  incident(): string | undefined;
  /** Kills its processes at once, as when a host is lost. */
  kill(): Promise<void>;
  /** Starts its processes again, with the same ports and the same spool; what still runs is stopped first. */
  restart(): Promise<void>;
  /** Takes no new calls, waits for the end of those that run, and ends. */
  stop(): Promise<void>;
}

interface Processes {
  sipServer: Child<true>;
  recorder: Child<true>;
}

/** Starts the processes of a slot; the recorder is ready to take calls when it resolves. */
export async function startSlot(options: SlotOptions): Promise<RunningSlot> {
  const { slot, ports } = options;
  let incident: string | undefined;
  /** Processes whose end is wanted. */
  const ending = new WeakSet<Child<true>>();
  const start = async (appendLog: boolean): Promise<Processes> => {
    const processes = await startProcesses(options, appendLog);
    for (const child of Object.values(processes) as Child<true>[])
      void child.exited.then((exit) => {
        if (ending.has(child)) return;
        incident ??= `${child.name} (${slot.region}) ended with ${exitWords(exit)}`;
        options.onIncident(child.describeExit(exit));
      });
    return processes;
  };
  const stop = async ({ recorder, sipServer }: Processes): Promise<void> => {
    ending.add(recorder).add(sipServer);
    await recorder.stop(); // first: it ends its calls through the SIP server
    await sipServer.stop();
  };

  let running = await start(false);
  return {
    name: slot.name,
    region: slot.region,
    ports,
    get recorderPid() {
      return running.recorder.pid;
    },
    get sipServerPid() {
      return running.sipServer.pid;
    },
    incident: () => incident,
    async kill() {
      const children = Object.values(running) as Child<true>[];
      for (const child of children) child.kill();
      await Promise.all(children.map(({ exited }) => exited));
    },
    async restart() {
      await stop(running);
      running = await start(true);
    },
    stop: () => stop(running),
  };
}

async function startProcesses(options: SlotOptions, appendLog: boolean): Promise<Processes> {
  const { slot, ports, directory, signal, drainSeconds } = options;
  const log = (what: string) => join(directory, 'logs', `${slot.name}-${what}.log`);
  const sipServer = await startSipServerChild(options.drachtio, {
    name: slot.name,
    sipPort: ports.sip,
    adminPort: ports.sipAdmin,
    secret: SIP_SERVER_SECRET,
    directory: join(directory, 'sip-servers'),
    logFile: log('sip-server'),
    appendLog,
    signal,
  });
  // A recorder without its SIP server never gets ready.
  const alone = new AbortController();
  void sipServer.exited.then((exit) => alone.abort(new LocalCloudError(sipServer.describeExit(exit))));
  try {
    const recorder = await startChild({
      name: `recorder ${slot.name}`,
      command: nodeProgram(RECORDER),
      env: { ...process.env, ...recorderVariables(options) },
      logFile: log('recorder'),
      appendLog,
      ready: (line) => (line.includes('"ready":true') ? true : undefined),
      readyTimeoutMs: READY_TIMEOUT_MS,
      stopGraceMs: 1000 * (drainSeconds + AFTER_DRAIN_SECONDS),
      signal: AbortSignal.any([signal, alone.signal]),
    });
    return { sipServer, recorder };
  } catch (error) {
    await sipServer.stop();
    throw error;
  }
}

/** The same for all slots, and the next start, which finds their spools. */
function spoolKey(directory: string): string {
  const file = join(directory, 'spool.key');
  if (!existsSync(file)) writeFileSync(file, randomBytes(32).toString('base64'), { mode: 0o600 });
  return readFileSync(file, 'utf8');
}

function recorderVariables(options: SlotOptions): NodeJS.ProcessEnv {
  const { deployment, slot, ports, endpoint, directory, drainSeconds } = options;
  const variables: RecorderVariables = {
    SIPREC_SLOT: slot.name,
    SIPREC_CALL_CAPACITY: String(slot.callCapacity),
    SIPREC_SOURCES: JSON.stringify(deployment.sources),
    SIPREC_BUCKET: recordingsBucketName(deployment, slot.region),
    ...(deployment.retention.objectLock && { SIPREC_RETENTION: JSON.stringify(deployment.retention) }),
    SIPREC_FLEET_TABLE: fleetTableName(deployment),
    SIPREC_METRICS_NAMESPACE: metricsNamespace(deployment),
    SIPREC_REGION_SWITCH: regionSwitchName(deployment),
    SIPREC_SPOOL: join(directory, 'spool', slot.name),
    SIPREC_SPOOL_KEY: spoolKey(directory),
    SIPREC_MEDIA_ADDRESS: HOST,
    SIPREC_RTP_PORT_MIN: String(ports.rtp.min),
    SIPREC_RTP_PORT_MAX: String(ports.rtp.max),
    SIPREC_HEALTH_ADDRESS: HOST,
    SIPREC_HEALTH_PORT: String(ports.health),
    SIPREC_DRAIN_SECONDS: String(drainSeconds),
    SIPREC_MAX_STALL_MS: '5000', // a laptop does more than record
    SIPREC_MAX_LOOP_DELAY_MS: '5000',
    DRACHTIO_HOST: HOST,
    DRACHTIO_PORT: String(ports.sipAdmin),
    DRACHTIO_SECRET: SIP_SERVER_SECRET,
    LOG_LEVEL: 'info',
    ...options.variables,
  };
  return {
    ...emulatorEnvironment(endpoint, deployment.account, slot.region),
    ...variables,
    UV_THREADPOOL_SIZE: '16', // as in the image
  };
}
