/**
 * What receiving media costs: `npm run bench:media -- [--seconds N] [--receiver native|dgram] [--quick]`.
 *
 * Two-stream G.711 calls (172 bytes every 20 ms to each of two ports) are sent from core 0 by a C generator to the real
 * media worker on core 1, which journals them. Beside it, in the same run and measured alike, a C receiver (epoll and
 * recvmmsg) stores the payloads: the floor. It writes once a second, since no more may be lost by a crash.
 *
 * CPU is that of the whole receiving process, all threads, by getrusage. What the kernel does in soft interrupts is
 * charged to the sender on loopback, for both receivers alike. A number of calls is kept up with if every packet is in
 * the journals and the last one was taken in within 200 ms of being sent.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { refreshDevelopmentAddon } from '../../recorder-image/native/build.ts';
import { chooseReceiver } from '../../recorder-image/src/media/capture.ts';
import {
  type BenchReceiver,
  killReceivers,
  recorderProcesses,
  startFloor,
  startRecorder,
} from './receivers.ts';

const SENDER_CORE = 0;
const RECEIVER_CORE = 1;
/** 100,000 packets a second. */
const COST_CALLS = 1000;
const RUNS = 3;
const DRAIN_LIMIT_MS = 200;
/** After this the rest is lost. */
const GIVE_UP_MS = 3000;
const SEARCH_STEP = 250;
const SEARCH_START = 2000;
const SEARCH_MAX = 6000;

interface Tools {
  /** Folder for programs and journals. */
  directory: string;
  generator: readonly string[];
  floor?: string;
  openFilesLimit: number;
}

interface Measurement {
  calls: number;
  sent: number;
  stored: number;
  dropped: number;
  /** From the last packet sent to the last one taken in. */
  drainMs: number;
  usPerPacket: number;
  /** Of one core. */
  cpuShare: number;
  bytesPerCall: number;
  /** The sender was late itself: nothing is said of the receiver. */
  senderLate: boolean;
}

const { seconds, quick, receiver } = readArguments();

function readArguments() {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string' },
      receiver: { type: 'string', default: 'auto' },
      quick: { type: 'boolean', default: false },
    },
  });
  const asked = Number(values.seconds ?? (values.quick ? 2 : 10));
  if (!Number.isInteger(asked) || asked < 1)
    throw new RangeError(`bench: --seconds must be a whole number: ${values.seconds}`);
  const wishes = ['auto', 'native', 'dgram'] as const;
  const wish = wishes.find((one) => one === values.receiver);
  if (wish === undefined)
    throw new RangeError(`bench: --receiver must be one of ${wishes.join(', ')}: ${values.receiver}`);
  const notBuilt = wish === 'dgram' ? undefined : refreshDevelopmentAddon();
  if (notBuilt) console.log(notBuilt);
  return { ...values, seconds: asked, ...chooseReceiver(wish) };
}

const has = (command: string): boolean => {
  try {
    execFileSync('which', [command], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
};

const canPin = has('taskset') && availableParallelism() > 1;
const pinnedTo = (core: number): string[] => (canPin ? ['taskset', '-c', String(core)] : []);

function prepare(): Tools {
  const directory = mkdtempSync(join(tmpdir(), 'siprec-bench-'));
  const openFilesLimit = Number(execFileSync('sh', ['-c', 'ulimit -Hn']).toString().trim()) || 1_000_000;
  if (!has('cc')) {
    console.log(
      'no C compiler (cc): packets are sent by Node, which limits the search, and there is no floor',
    );
    const script = join(import.meta.dirname, 'rtp-generator.ts');
    return { directory, openFilesLimit, generator: [process.execPath, script] };
  }
  const compile = (name: string): string => {
    const program = join(directory, name);
    execFileSync('cc', ['-O2', '-o', program, join(import.meta.dirname, `${name}.c`)]);
    return program;
  };
  return {
    directory,
    openFilesLimit,
    generator: [compile('rtp-generator')],
    floor: compile('floor-receiver'),
  };
}

/** Sends to all ports. Times are those of CLOCK_MONOTONIC, which `process.hrtime` reads too. */
async function generate({ generator }: Tools, ports: number[], durationSeconds: number) {
  const [command = '', ...args] = [...pinnedTo(SENDER_CORE), ...generator, String(durationSeconds)];
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const output = text(child.stdout);
  child.stdin.end(ports.join('\n'));
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`the generator ended with exit code ${code}`);
  const [sent = 0, tookSeconds = 0, lastAtMs = 0] = (await output).split(' ').map(Number);
  return { sent, tookSeconds, lastAtMs };
}

const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6;

async function measure(
  tools: Tools,
  start: (directory: string) => Promise<BenchReceiver>,
  calls: number,
  durationSeconds: number,
): Promise<Measurement> {
  const journals = join(tools.directory, 'journals');
  mkdirSync(journals);
  try {
    const started = await start(journals);
    const before = await started.sample();
    const startedAtMs = monotonicMs();
    const { sent, tookSeconds, lastAtMs } = await generate(tools, started.ports, durationSeconds);
    let after = await started.sample();
    let sampledAtMs = monotonicMs();
    while (after.packets < sent && sampledAtMs < lastAtMs + GIVE_UP_MS) {
      await pause(10);
      after = await started.sample();
      sampledAtMs = monotonicMs();
    }
    const { rtpPackets, dropped } = await started.finish();
    const cpuSeconds = after.cpuSeconds - before.cpuSeconds;
    return {
      calls,
      sent,
      stored: rtpPackets,
      dropped,
      drainMs: Math.max(0, sampledAtMs - lastAtMs),
      usPerPacket: (cpuSeconds * 1e6) / after.packets,
      cpuShare: cpuSeconds / ((sampledAtMs - startedAtMs) / 1000),
      bytesPerCall: (after.rssBytes - started.rssBytesBefore) / calls,
      senderLate: tookSeconds > durationSeconds * 1.01,
    };
  } finally {
    rmSync(journals, { recursive: true });
  }
}

const keptUp = ({ sent, stored, drainMs, senderLate }: Measurement): boolean =>
  !senderLate && stored === sent && drainMs <= DRAIN_LIMIT_MS;

const lossPercent = ({ sent, stored }: Measurement): number => (100 * (sent - stored)) / sent;

const COLUMNS: [heading: string, value: (measurement: Measurement, name: string) => string][] = [
  ['receiver', (_, name) => name],
  ['calls', ({ calls }) => String(calls)],
  ['packets/s', ({ calls }) => String(calls * 100)],
  ['us/packet', ({ usPerPacket }) => usPerPacket.toFixed(2)],
  ['core %', ({ cpuShare }) => (100 * cpuShare).toFixed(0)],
  ['lost', ({ sent, stored }) => String(sent - stored)],
  ['dropped', ({ dropped }) => String(dropped)],
  ['drained ms', ({ drainMs }) => drainMs.toFixed(0)],
  ['KB/call', ({ bytesPerCall }) => (bytesPerCall / 1000).toFixed(1)],
  ['kept up', (measurement) => (measurement.senderLate ? 'sender late' : keptUp(measurement) ? 'yes' : 'no')],
];

const printRow = (cells: string[]): void => console.log(cells.map((cell) => cell.padStart(11)).join(' '));

function printed(name: string, measurement: Measurement): Measurement {
  printRow(COLUMNS.map(([, value]) => value(measurement, name)));
  return measurement;
}

const median = (values: number[]): number =>
  values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] as number;

/** Where the sender was late, or the receiver once too slow, it is tried again: other programs may have been in the way. */
const TRIES = 3;

/** The largest number of calls, in steps, that is kept up with. */
async function search(tryOut: (calls: number) => Promise<Measurement>): Promise<Measurement | undefined> {
  let best: Measurement | undefined;
  let [low, high] = [0, SEARCH_MAX + SEARCH_STEP];
  for (let calls = SEARCH_START; high - low > SEARCH_STEP; ) {
    let measurement = await tryOut(calls);
    for (let tries = 1; tries < TRIES && !keptUp(measurement); tries++) measurement = await tryOut(calls);
    if (keptUp(measurement)) {
      best = measurement;
      low = calls;
    } else high = calls;
    calls = low === 0 ? calls / 2 : SEARCH_STEP * Math.round((low + high) / 2 / SEARCH_STEP);
    if (calls < SEARCH_STEP) break;
  }
  return best;
}

async function run(tools: Tools): Promise<void> {
  const { floor, openFilesLimit } = tools;
  const pin = pinnedTo(RECEIVER_CORE);
  if (!canPin) console.log('nothing is pinned to a core: there is no taskset, or only one core');
  const tryRecorder = async (calls: number, durationSeconds: number) => {
    const processes = recorderProcesses(2 * calls, openFilesLimit);
    const start = (directory: string) =>
      startRecorder({ receiver, directory, streams: 2 * calls, pin, processes });
    return printed(receiver, await measure(tools, start, calls, durationSeconds));
  };
  const tryFloor = async (calls: number, program: string) => {
    const start = (directory: string) => startFloor({ directory, streams: 2 * calls, pin }, program);
    return printed('floor', await measure(tools, start, calls, seconds));
  };

  printRow(COLUMNS.map(([heading]) => heading));
  const recorders: Measurement[] = [];
  const floors: Measurement[] = [];
  const costCalls = floor ? COST_CALLS : COST_CALLS / 4;
  for (let runs = quick ? 1 : RUNS; runs > 0; runs--) {
    if (floor) floors.push(await tryFloor(costCalls, floor));
    recorders.push(await tryRecorder(costCalls, seconds));
  }
  const most = quick ? recorders[0] : await search((calls) => tryRecorder(calls, seconds));

  const usPerPacket = median(recorders.map((one) => one.usPerPacket));
  const floorUsPerPacket = floor ? median(floors.map((one) => one.usPerPacket)) : null;
  const processes = recorderProcesses(2 * (most?.calls ?? 0), openFilesLimit);
  if (processes > 1)
    console.log(`${processes} recorder processes shared the core: one may open ${openFilesLimit} files only`);
  console.log(
    JSON.stringify({
      bench: 'media',
      receiver,
      callsPerCore: most && keptUp(most) ? most.calls : 0,
      usPerPacket: rounded(usPerPacket),
      floorUsPerPacket: floorUsPerPacket && rounded(floorUsPerPacket),
      ratio: floorUsPerPacket && rounded(usPerPacket / floorUsPerPacket),
      lossPercent: rounded(Math.max(...[...recorders, ...(most ? [most] : [])].map(lossPercent))),
      bytesPerCall: Math.round(median(recorders.map((one) => one.bytesPerCall))),
    }),
  );
}

const rounded = (value: number): number => Math.round(value * 1000) / 1000;

const tools = prepare();
try {
  await run(tools);
} finally {
  killReceivers();
  rmSync(tools.directory, { recursive: true, force: true });
}
