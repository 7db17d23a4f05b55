/**
 * A recorder with a SIP server of its own, as on one host in production: in this process, or as a child process that
 * can be killed.
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type RecorderVariables, readRecorderEnvironment } from '../../core/recorder-environment.ts';
import { type Child, nodeProgram, runChild, startChild } from '../../local/cloud/child.ts';
import { emulatorEnvironment } from '../../local/cloud/deploy.ts';
import { type SipServer, startSipServer } from '../../local/sip-server/server.ts';
import { CONTROL_SOCKET } from '../../recorder-image/src/lifecycle/control-socket.ts';
import { type Recorder, type RecorderTimes, startRecorder } from '../../recorder-image/src/recorder.ts';
import { LOCK_FILE } from '../../recorder-image/src/storage/spool-lock.ts';
import { LogLines } from './logs.ts';

export const HOST = '127.0.0.1';
export const REGION = 'us-east-1';
/** The one whose buckets `startTestEmulator` gives. */
const ACCOUNT = '000000000000';
export const SECRET = 'example';
export const MAIN = join(import.meta.dirname, '../../recorder-image/src/main.ts');
/** Where nobody listens: an S3 that is down. */
export const NO_ENDPOINT = 'http://127.0.0.1:9';

/** What a recorder and its callers need to know of a SIP server, in this process or in one of its own. */
export type SipServerOfTest = Pick<SipServer, 'sipPort' | 'adminPort' | 'close'>;

export interface RecorderOptions {
  /** Of S3. Default: down. */
  endpoint?: string;
  bucket?: string;
  /** One that a predecessor left; default a new one, removed by `stop`. */
  spool?: string;
  /** A SIP server to use; default one of its own, closed by `stop`. */
  sipServer?: SipServerOfTest;
  /** Default 20. */
  rtpPairs?: number;
  /** In place of those that it would get, or besides. */
  variables?: NodeJS.ProcessEnv & RecorderVariables;
  /** Of a process: kept. Default: in a temporary folder, removed by `stop`. */
  logFile?: string;
}

export interface RecorderProcessOptions extends RecorderOptions {
  /** Default: `main.ts` of the sources. */
  main?: string;
}

export interface TestRecorder {
  sipServer: SipServerOfTest;
  spool: string;
  logs: LogLines;
  /** Names of the recordings in the spool. */
  spooled(): string[];
  /** Of its health port. */
  healthUrl: string;
  health(path: string): Promise<{ status: number; body: Record<string, unknown> }>;
  /** Ends running recordings, if any, and the recorder; then everything that was made for it. */
  stop(): Promise<void>;
}

interface Surroundings {
  sipServer: SipServerOfTest;
  spool: string;
  variables: RecorderVariables;
  dispose(): Promise<void>;
}

async function surround({ endpoint = NO_ENDPOINT, ...options }: RecorderOptions): Promise<Surroundings> {
  const sipServer = options.sipServer ?? (await startSipServer({ secret: SECRET }));
  const spool = options.spool ?? mkdtempSync(join(tmpdir(), 'siprec-ha-spool-'));
  const rtp = await freePortRange(options.rtpPairs ?? 20);
  const variables: RecorderVariables = {
    SIPREC_SLOT: 'use1-1',
    SIPREC_CALL_CAPACITY: '10',
    SIPREC_SOURCES: JSON.stringify([{ name: 'broadworks', networks: ['127.0.0.0/8'] }]),
    SIPREC_BUCKET: options.bucket ?? 'nowhere',
    SIPREC_SPOOL: spool,
    SIPREC_MEDIA_ADDRESS: HOST,
    SIPREC_RTP_PORT_MIN: String(rtp.min),
    SIPREC_RTP_PORT_MAX: String(rtp.max),
    SIPREC_PORT_COOLDOWN_SECONDS: '0', // the ranges are small, and every packet is of its call
    SIPREC_MAX_STALL_MS: '60000', // a busy machine is no matter of these tests
    SIPREC_MAX_LOOP_DELAY_MS: '60000',
    SIPREC_HEALTH_ADDRESS: HOST,
    SIPREC_HEALTH_PORT: '0',
    DRACHTIO_PORT: String(sipServer.adminPort),
    DRACHTIO_SECRET: SECRET,
    ...emulatorEnvironment(endpoint, ACCOUNT, REGION),
    ...options.variables,
  };
  return {
    sipServer,
    spool,
    variables,
    async dispose() {
      if (!options.sipServer) await sipServer.close();
      if (!options.spool) rmSync(spool, { recursive: true, force: true });
    },
  };
}

const observe = (spool: string, healthPort: number) => ({
  spooled: () => readdirSync(spool).filter((name) => name !== LOCK_FILE && name !== CONTROL_SOCKET),
  healthUrl: `http://${HOST}:${healthPort}`,
  async health(path: string) {
    const response = await fetch(`http://${HOST}:${healthPort}${path}`);
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  },
});

export interface LocalRecorder extends TestRecorder {
  drainRequested: Recorder['drainRequested'];
  /** As at SIGTERM. */
  drain(ceilingMs: number): Promise<void>;
  crashMediaWorker(): Promise<void>;
}

/** In this process; ready for calls when it resolves, unless it is not to wait for its SIP server. */
export async function startTestRecorder(
  options: RecorderOptions & RecorderTimes & { waits?: boolean } = {},
): Promise<LocalRecorder> {
  const { sipServer, spool, variables, dispose } = await surround(options);
  const logs = new LogLines();
  for (const [name, value] of Object.entries(
    emulatorEnvironment(options.endpoint ?? NO_ENDPOINT, ACCOUNT, REGION),
  ))
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  const recorder = await startRecorder(readRecorderEnvironment(variables), logs.logger(), {
    ...(options.endpoint === undefined && { spoolFlushMs: 0 }), // there is no S3 to wait for
    ...options,
  });
  if (options.waits ?? true) await recorder.connected;
  let stopping: Promise<void> | undefined;
  const drain = (ceilingMs: number) => {
    stopping ??= recorder.stop(ceilingMs);
    return stopping;
  };
  return {
    drain,
    drainRequested: recorder.drainRequested,
    crashMediaWorker: () => recorder.crashMediaWorker(),
    sipServer,
    spool,
    logs,
    ...observe(spool, recorder.healthPort),
    async stop() {
      await drain(0);
      await dispose();
    },
  };
}

export interface RecorderProcess extends TestRecorder {
  child: Child<number>;
  /** As a crash: SIGKILL. Resolves when it is gone. */
  kill(): Promise<void>;
}

/** A process of its own; ready for calls when it resolves. */
export async function startRecorderProcess(options: RecorderProcessOptions = {}): Promise<RecorderProcess> {
  const { sipServer, spool, variables, dispose } = await surround(options);
  const logs = new LogLines();
  const folder = mkdtempSync(join(tmpdir(), 'siprec-ha-log-'));
  const child = await startChild<number>({
    name: 'recorder',
    command: nodeProgram(options.main ?? MAIN),
    env: { ...process.env, ...variables },
    logFile: options.logFile ?? join(folder, 'recorder.log'),
    ready: (line) => {
      logs.add(line);
      return logs.lines.at(-1)?.ready ? (logs.lines.at(-1)?.healthPort as number) : undefined;
    },
    readyTimeoutMs: 20_000,
  });
  return {
    child,
    sipServer,
    spool,
    logs,
    ...observe(spool, child.info),
    async kill() {
      process.kill(child.pid, 'SIGKILL');
      await child.exited;
    },
    async stop() {
      await child.stop();
      rmSync(folder, { recursive: true, force: true });
      await dispose();
    },
  };
}

/** A process that is not expected to become ready, up to its end. */
export async function runRecorderProcess(
  options: RecorderOptions,
): Promise<{ code: number | null; lines: string[] }> {
  const { variables, dispose } = await surround(options);
  const folder = mkdtempSync(join(tmpdir(), 'siprec-ha-log-'));
  try {
    return await runChild({
      name: 'recorder',
      command: nodeProgram(MAIN),
      env: { ...process.env, ...variables },
      logFile: join(folder, 'recorder.log'),
      timeoutMs: 20_000,
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
    await dispose();
  }
}

/** `recover <spool>`, to its end: what the spool holds goes to S3 without a recorder. */
export function runRecovery(
  spool: string,
  {
    endpoint,
    bucket,
    logFile,
    signal,
  }: { endpoint: string; bucket: string; logFile: string; signal?: AbortSignal },
): Promise<{ code: number | null; lines: string[] }> {
  return runChild({
    name: 'recover',
    command: nodeProgram(MAIN, ['recover', spool]),
    env: { ...process.env, ...emulatorEnvironment(endpoint, ACCOUNT, REGION), SIPREC_BUCKET: bucket },
    logFile,
    timeoutMs: 120_000,
    ...(signal && { signal }),
  });
}

/** Of each of Jest's two workers (jest.config.js): ranges of tests that run side by side do not overlap. */
const PORTS_PER_WORKER = 4_500;
const WORKER = Number(process.env.JEST_WORKER_ID ?? 1) % 2;

/**
 * A range of so many pairs of which every port is free, below those that the system gives out by itself.
 * @param from it begins within the 9000 ports from there on
 */
export async function freePortRange(pairs: number, from = 10_000): Promise<{ min: number; max: number }> {
  for (;;) {
    const min = from + WORKER * PORTS_PER_WORKER + 2 * Math.floor((Math.random() * PORTS_PER_WORKER) / 2);
    const sockets = Array.from({ length: 2 * pairs }, () => createSocket('udp4'));
    try {
      await Promise.all(sockets.map((socket, index) => bind(socket, min + index)));
      return { min, max: min + 2 * pairs - 1 };
    } catch {
      // One of them is taken: somewhere else.
    } finally {
      await Promise.all(sockets.map(close));
    }
  }
}

async function bind(socket: Socket, port: number): Promise<void> {
  socket.bind({ port, address: HOST, exclusive: true });
  await once(socket, 'listening');
}

const close = (socket: Socket): Promise<void> => new Promise((resolve) => socket.close(resolve));
