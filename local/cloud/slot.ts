/** A slot of the local cloud: a SIP server and a recorder, as on one host in production. */
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Deployment } from '../../core/deployment.ts';
import { recordingsBucketName } from '../../core/names.ts';
import type { RecorderVariables } from '../../core/recorder-environment.ts';
import type { PlannedSlot } from '../../core/slot-plan.ts';
import { type Child, type ChildExit, exitWords, nodeProgram, startChild } from './child.ts';
import { emulatorEnvironment } from './deploy.ts';
import { LocalCloudError } from './errors.ts';
import { HOST, type SlotPortPlan } from './ports.ts';
import { startSipServerChild } from './sip-server-child.ts';

const RECORDER = join(import.meta.dirname, '../../recorder-image/src/main.ts');
const READY_TIMEOUT_MS = 30_000;
const DRAIN_SECONDS = 5;
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
  stop(): Promise<void>;
}

/** Starts the processes of a slot; the recorder is ready to take calls when it resolves. */
export async function startSlot(options: SlotOptions): Promise<RunningSlot> {
  const { slot, ports, directory, signal } = options;
  const log = (what: string) => join(directory, 'logs', `${slot.name}-${what}.log`);
  let stopping = false;
  let incident: string | undefined;
  const watch = (child: Child<true>) =>
    void child.exited.then((exit: ChildExit) => {
      if (stopping) return;
      incident ??= `${child.name} (${slot.region}) ended with ${exitWords(exit)}`;
      options.onIncident(child.describeExit(exit));
    });

  const sipServer = await startSipServerChild(options.drachtio, {
    name: slot.name,
    sipPort: ports.sip,
    adminPort: ports.sipAdmin,
    secret: SIP_SERVER_SECRET,
    directory: join(directory, 'sip-servers'),
    logFile: log('sip-server'),
    signal,
  });
  // A recorder without its SIP server never gets ready.
  const alone = new AbortController();
  void sipServer.exited.then((exit) => alone.abort(new LocalCloudError(sipServer.describeExit(exit))));
  let recorder: Child<true>;
  try {
    recorder = await startChild({
      name: `recorder ${slot.name}`,
      command: nodeProgram(RECORDER),
      env: { ...process.env, ...recorderVariables(options) },
      logFile: log('recorder'),
      ready: (line) => (line.includes('"ready":true') ? true : undefined),
      readyTimeoutMs: READY_TIMEOUT_MS,
      signal: AbortSignal.any([signal, alone.signal]),
    });
  } catch (error) {
    await sipServer.stop();
    throw error;
  }
  watch(sipServer);
  watch(recorder);
  return {
    name: slot.name,
    region: slot.region,
    ports,
    recorderPid: recorder.pid,
    sipServerPid: sipServer.pid,
    incident: () => incident,
    async stop() {
      stopping = true;
      await recorder.stop(); // first: it ends its calls through the SIP server
      await sipServer.stop();
    },
  };
}

/** The same for all slots, and the next start, which finds their spools. */
function spoolKey(directory: string): string {
  const file = join(directory, 'spool.key');
  if (!existsSync(file)) writeFileSync(file, randomBytes(32).toString('base64'), { mode: 0o600 });
  return readFileSync(file, 'utf8');
}

function recorderVariables({ deployment, slot, ports, endpoint, directory }: SlotOptions): NodeJS.ProcessEnv {
  const variables: RecorderVariables = {
    SIPREC_SLOT: slot.name,
    SIPREC_CALL_CAPACITY: String(slot.callCapacity),
    SIPREC_SOURCES: JSON.stringify(deployment.sources),
    SIPREC_BUCKET: recordingsBucketName(deployment, slot.region),
    SIPREC_SPOOL: join(directory, 'spool', slot.name),
    SIPREC_SPOOL_KEY: spoolKey(directory),
    SIPREC_MEDIA_ADDRESS: HOST,
    SIPREC_RTP_PORT_MIN: String(ports.rtp.min),
    SIPREC_RTP_PORT_MAX: String(ports.rtp.max),
    SIPREC_HEALTH_ADDRESS: HOST,
    SIPREC_HEALTH_PORT: String(ports.health),
    SIPREC_DRAIN_SECONDS: String(DRAIN_SECONDS),
    SIPREC_MAX_STALL_MS: '5000', // a laptop does more than record
    DRACHTIO_HOST: HOST,
    DRACHTIO_PORT: String(ports.sipAdmin),
    DRACHTIO_SECRET: SIP_SERVER_SECRET,
    LOG_LEVEL: 'info',
  };
  return {
    ...emulatorEnvironment(endpoint, deployment.account, slot.region),
    ...variables,
    UV_THREADPOOL_SIZE: '16', // as in the image
  };
}
