/** The two receivers that `media.ts` compares, as child processes on one core, behind one interface. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { ReceiverKind } from '../../recorder-image/src/media/capture.ts';
import type { MediaAnswer, MediaRequest, MediaResult, MediaSample } from './media-recorder.ts';

/** Receives on one core, and tells what it did. */
export interface BenchReceiver {
  /** RTP ports, one for each stream. */
  ports: number[];
  /** Resident memory before the first stream was open. */
  rssBytesBefore: number;
  sample(): Promise<MediaSample>;
  /** Ends it. @returns what has been stored */
  finish(): Promise<MediaResult>;
}

export interface BenchReceiverOptions {
  /** Where to store, empty. */
  directory: string;
  streams: number;
  /** Prefix that pins a command to the receiver's core. */
  pin: readonly string[];
}

/** Two sockets and a journal. What a Node process has open besides is a few dozen. */
const FILES_PER_STREAM = 3;
const OTHER_FILES = 200;
/** Of the recorder processes, beside each other; below and beyond what the system gives out is used alike. */
const FIRST_PORT = 10_000;
const LAST_PORT = 63_999;

/** Recorder processes that so many streams need, for the limit of open files; they share the core. */
export const recorderProcesses = (streams: number, openFilesLimit: number): number =>
  Math.ceil(streams / Math.floor((openFilesLimit - OTHER_FILES) / FILES_PER_STREAM));

/** The real thing. @param processes that share the core; more than one only where one may not open as many files */
export async function startRecorder(
  options: BenchReceiverOptions & { receiver: ReceiverKind; processes: number },
): Promise<BenchReceiver> {
  const { processes, streams } = options;
  const span = 2 * Math.floor((LAST_PORT + 1 - FIRST_PORT) / processes / 2);
  const parts = await Promise.all(
    Array.from({ length: processes }, (_, index) =>
      startRecorderProcess(
        { ...options, streams: Math.floor((streams + index) / processes) },
        FIRST_PORT + index * span,
        FIRST_PORT + (index + 1) * span - 1,
      ),
    ),
  );
  const sum = <Key extends string>(all: Record<Key, number>[], key: Key): number =>
    all.reduce((total, one) => total + one[key], 0);
  return {
    ports: parts.flatMap(({ ports }) => ports),
    rssBytesBefore: sum(parts, 'rssBytesBefore'),
    async sample() {
      const samples = await Promise.all(parts.map((part) => part.sample()));
      return {
        packets: sum(samples, 'packets'),
        cpuSeconds: sum(samples, 'cpuSeconds'),
        rssBytes: sum(samples, 'rssBytes'),
      };
    },
    async finish() {
      const results = await Promise.all(parts.map((part) => part.finish()));
      return { rtpPackets: sum(results, 'rtpPackets'), dropped: sum(results, 'dropped') };
    },
  };
}

async function startRecorderProcess(
  { receiver, directory, streams, pin }: BenchReceiverOptions & { receiver: ReceiverKind },
  minPort: number,
  maxPort: number,
): Promise<BenchReceiver> {
  const script = join(import.meta.dirname, 'media-recorder.ts');
  const child = start([
    ...[...pin, process.execPath, script],
    ...[receiver, directory, `${minPort}`, `${maxPort}`],
  ]);
  const death = died(child);
  const answer = async () => (await Promise.race([once(child, 'message'), death]))[0] as MediaAnswer;
  const ask = (request: MediaRequest) => {
    const answered = answer();
    child.send(request);
    return answered;
  };
  await answer(); // it is ready
  const { rssBytes } = (await ask({ sample: true })) as MediaSample;
  const { ports } = (await ask({ open: streams })) as { ports: number[] };
  return {
    ports,
    rssBytesBefore: rssBytes,
    sample: () => ask({ sample: true }) as Promise<MediaSample>,
    async finish() {
      const ended = once(child, 'exit');
      const result = (await ask({ finish: true })) as MediaResult;
      await ended;
      return result;
    },
  };
}

/** The floor. @param program compiled from `floor-receiver.c` */
export async function startFloor(
  { directory, streams, pin }: BenchReceiverOptions,
  program: string,
): Promise<BenchReceiver> {
  const child = start([...pin, program, directory, `${streams}`]);
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
  const death = died(child);
  const line = async () => (await Promise.race([lines.next(), death])) as IteratorResult<string>;
  const ports = ((await line()).value as string).split(' ').slice(1).map(Number);
  const sample = async (): Promise<MediaSample> => {
    child.stdin?.write('\n');
    const [, packets, , cpuSeconds, , rssKib] = ((await line()).value as string).split(' ').map(Number);
    return {
      packets: packets ?? 0,
      cpuSeconds: cpuSeconds ?? 0,
      rssBytes: 1024 * (rssKib ?? 0),
    };
  };
  return {
    ports,
    rssBytesBefore: 0,
    sample,
    async finish() {
      const { packets } = await sample();
      const ended = once(child, 'exit');
      child.stdin?.end();
      await ended;
      return { rtpPackets: packets, dropped: 0 };
    },
  };
}

const running = new Set<ChildProcess>();

function start([command = '', ...args]: string[]): ChildProcess {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit', 'ipc'] });
  running.add(child);
  child.once('exit', () => running.delete(child));
  return child;
}

/** Ends whatever a failure left running. */
export function killReceivers(): void {
  for (const child of running) child.kill('SIGKILL');
}

/** Rejects when the child ends; that it ends at last is no error. */
function died(child: ChildProcess): Promise<never> {
  const death = once(child, 'exit').then(([code, signal]) => {
    throw new Error(`${child.spawnfile} ended early (${signal ?? `exit code ${code}`})`);
  });
  death.catch(() => {}); // told to whoever waits for an answer
  return death;
}
