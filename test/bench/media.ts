/**
 * What receiving media costs: `npm run bench:media -- [--seconds N] [--calls N] [--receiver native|dgram] [--quick]`.
 *
 * Two-stream G.711 calls (172 bytes every 20 ms to each of two ports) are sent from core 0 by a C generator to the real
 * media worker on core 1, which journals them. Beside it, in the same run and measured alike, a C receiver (epoll and
 * recvmmsg) stores the payloads: the floor. It writes once a second, since no more may be lost by a crash.
 *
 * CPU is that of the whole receiving process, all threads, by getrusage. What the kernel does in soft interrupts is
 * charged to the sender on loopback, for both receivers alike. A number of calls is kept up with if every packet is in
 * the journals and the last one was taken in within 200 ms of being sent.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
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
/** 100,000 packets a second: there every receiver has time to spare, and what it costs can be compared. */
const COST_CALLS = 1000;
/** For want of a sender in C, what Node can send beside the receiver. */
const COST_CALLS_WITHOUT_C = 250;
const RUNS = 3;
const DRAIN_LIMIT_MS = 200;
/** After this the rest is lost. */
const GIVE_UP_MS = 3000;
/** Where the search for the most calls begins: what the receivers are to reach. */
const SEARCH_START = { native: 4000, dgram: 2500 };
const SEARCH_STEP = 250;
const SEARCH_MAX = 6000;
/** Where the sender was late, or the receiver too slow, it is tried again: other programs may have been in the way. */
const SEARCH_TRIES = 2;
const CONFIRM_TRIES = 4;

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

const { seconds, calls, quick, receiver } = readArguments();

function readArguments() {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string' },
      calls: { type: 'string' },
      receiver: { type: 'string', default: 'auto' },
      quick: { type: 'boolean', default: false },
    },
  });
  const wholeNumber = (name: 'seconds' | 'calls', fallback: number): number => {
    const text = values[name];
    if (text === undefined) return fallback;
    if (!/^[1-9]\d{0,3}$/.test(text))
      throw new RangeError(`bench: --${name} must be a whole number: ${text}`);
    return Number(text);
  };
  const wishes = ['auto', 'native', 'dgram'] as const;
  const wish = wishes.find((one) => one === values.receiver);
  if (wish === undefined)
    throw new RangeError(`bench: --receiver must be one of ${wishes.join(', ')}: ${values.receiver}`);
  const notBuilt = wish === 'dgram' ? undefined : refreshDevelopmentAddon();
  if (notBuilt) console.log(notBuilt);
  const defaultCalls = has('cc') ? COST_CALLS : COST_CALLS_WITHOUT_C;
  return {
    quick: values.quick,
    seconds: wholeNumber('seconds', values.quick ? 2 : 10),
    calls: wholeNumber('calls', defaultCalls),
    ...chooseReceiver(wish),
  };
}

function has(command: string): boolean {
  return spawnSync(command, ['--version'], { stdio: 'ignore' }).error === undefined;
}

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

/** Other programs of the machine may send to our ports too: what is stored beyond what was sent is theirs. */
const lost = ({ sent, stored }: Measurement): number => Math.max(0, sent - stored);
const lossPercent = (measurement: Measurement): number => (100 * lost(measurement)) / measurement.sent;

const keptUp = (measurement: Measurement): boolean => {
  const { senderLate, dropped, drainMs } = measurement;
  return !senderLate && dropped === 0 && lost(measurement) === 0 && drainMs <= DRAIN_LIMIT_MS;
};

const COLUMNS: [heading: string, value: (measurement: Measurement, name: string) => string][] = [
  ['receiver', (_, name) => name],
  ['calls', ({ calls }) => String(calls)],
  ['packets/s', ({ calls }) => String(calls * 100)],
  ['us/packet', ({ usPerPacket }) => usPerPacket.toFixed(2)],
  ['core %', ({ cpuShare }) => (100 * cpuShare).toFixed(0)],
  ['lost', (measurement) => String(lost(measurement))],
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

type Try = (calls: number, durationSeconds: number) => Promise<Measurement>;

async function tryUntilKeptUp(
  tryOut: Try,
  calls: number,
  durationSeconds: number,
  tries: number,
): Promise<Measurement> {
  const measurement = await tryOut(calls, durationSeconds);
  if (keptUp(measurement) || tries === 1) return measurement;
  return tryUntilKeptUp(tryOut, calls, durationSeconds, tries - 1);
}

/** The largest number of calls, in steps, that is kept up with: found in short runs, and borne out by a long one. */
async function search(tryOut: Try): Promise<Measurement | undefined> {
  const shortSeconds = Math.ceil(seconds / 2);
  let [low, high] = [0, SEARCH_MAX + SEARCH_STEP];
  for (let next = SEARCH_START[receiver]; high - low > SEARCH_STEP; ) {
    const measurement = await tryUntilKeptUp(tryOut, next, shortSeconds, SEARCH_TRIES);
    if (keptUp(measurement)) low = next;
    else high = next;
    next = SEARCH_STEP * Math.round((low + high) / 2 / SEARCH_STEP);
  }
  for (let tries = CONFIRM_TRIES, best = low; tries > 0 && best > 0; tries--, best -= SEARCH_STEP) {
    const measurement = await tryOut(best, seconds);
    if (keptUp(measurement)) return measurement;
  }
  return undefined;
}

async function run(tools: Tools): Promise<void> {
  const { floor, openFilesLimit } = tools;
  const pin = pinnedTo(RECEIVER_CORE);
  if (!canPin) console.log('nothing is pinned to a core: there is no taskset, or only one core');
  let isLowerBound = false;
  const tryRecorder: Try = async (calls, durationSeconds) => {
    const processes = recorderProcesses(2 * calls, openFilesLimit);
    const start = (directory: string) =>
      startRecorder({ receiver, directory, streams: 2 * calls, pin, processes });
    const measurement = printed(receiver, await measure(tools, start, calls, durationSeconds));
    isLowerBound ||= measurement.senderLate;
    return measurement;
  };
  const tryFloor = async (program: string) => {
    const start = (directory: string) => startFloor({ directory, streams: 2 * calls, pin }, program);
    return printed('floor', await measure(tools, start, calls, seconds));
  };

  printRow(COLUMNS.map(([heading]) => heading));
  const recorders: Measurement[] = [];
  const floors: Measurement[] = [];
  for (let runs = quick ? 1 : RUNS; runs > 0; runs--) {
    if (floor) floors.push(await tryFloor(floor));
    recorders.push(await tryRecorder(calls, seconds));
  }
  // A quick run does not look for more.
  const most = quick ? recorders.find(keptUp) : await search(tryRecorder);

  const usPerPacket = median(recorders.map((one) => one.usPerPacket));
  const floorUsPerPacket = floor ? median(floors.map((one) => one.usPerPacket)) : null;
  const processes = recorderProcesses(2 * (most?.calls ?? 0), openFilesLimit);
  if (isLowerBound)
    console.log('the sender was late: other programs had its core, so the receiver may well reach more');
  if (processes > 1)
    console.log(`${processes} recorder processes shared the core: one may open ${openFilesLimit} files only`);
  console.log(
    JSON.stringify({
      bench: 'media',
      receiver,
      callsPerCore: most?.calls ?? 0,
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
const cleanUp = (): void => {
  killReceivers();
  rmSync(tools.directory, { recursive: true, force: true });
};
process.once('SIGINT', () => {
  cleanUp();
  process.exit(130);
});
try {
  await run(tools);
} finally {
  cleanUp();
}
