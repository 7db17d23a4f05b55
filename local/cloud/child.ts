/**
 * Child processes of the local cloud: started with a log file, ready when they say so, and never left behind.
 *
 * Each child's standard input is a pipe from us. Ours end when it closes (`exit-with-parent.ts`, `run_emulator.py`), so
 * that even a `kill -9` of the parent leaves nothing running.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { LocalCloudError } from './errors.ts';

const STOP_GRACE_MS = 10_000;
const LAST_LINES = 8;

/** Command line for a TypeScript program of ours that ends with its parent. */
export const nodeProgram = (script: string, args: string[] = []): [string, ...string[]] => [
  process.execPath,
  '--disable-warning=DEP0169', // url.parse inside dependencies
  '--import',
  new URL('./exit-with-parent.ts', import.meta.url).href,
  script,
  ...args,
];

export interface ProgramOptions {
  /** As it is named in messages. */
  name: string;
  command: [string, ...string[]];
  env: NodeJS.ProcessEnv;
  cwd?: string;
  logFile: string;
  /** Goes on with what an earlier run wrote. */
  appendLog?: boolean;
  /** Ends the start (`startChild`), or the run (`runChild`). */
  signal?: AbortSignal;
}

export interface ChildOptions<Ready> extends ProgramOptions {
  /** Looks at a line of output; anything but undefined means that the child is ready. */
  ready: (line: string) => Ready | undefined;
  readyTimeoutMs: number;
  /** Between SIGTERM and SIGKILL; default 10 s. */
  stopGraceMs?: number;
}

export interface ChildExit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface Child<Ready> {
  readonly name: string;
  readonly pid: number;
  readonly info: Ready;
  /** Resolves when the process is gone, for whatever reason. */
  readonly exited: Promise<ChildExit>;
  /** In words: what it exited with, the last lines that it wrote if it ended by itself, and where all is. */
  describeExit(exit: ChildExit): string;
  /** Ends it: SIGTERM, and SIGKILL where that does not help. Harmless when it is gone already. */
  stop(): Promise<void>;
  /** `kill -9`, also if it is frozen. Harmless when it is gone already. */
  kill(): void;
}

/**
 * Starts a program and waits until it is ready.
 * @throws LocalCloudError if it cannot be started, exits before, or is not ready in time; the signal's reason
 */
export async function startChild<Ready>(options: ChildOptions<Ready>): Promise<Child<Ready>> {
  const { name, logFile, signal, ready, readyTimeoutMs, stopGraceMs } = options;
  const failed = Promise.withResolvers<never>();
  const becameReady = Promise.withResolvers<Ready>();
  const program = launch(options, (line) => {
    const info = ready(line);
    if (info !== undefined) becameReady.resolve(info);
  });
  void program.exited.then((exit) => failed.reject(new LocalCloudError(program.describeExit(exit))));
  program.cannotStart.catch(failed.reject);
  const timer = setTimeout(
    () =>
      failed.reject(
        new LocalCloudError(`${name} was not ready within ${readyTimeoutMs / 1000} s: see ${logFile}`),
      ),
    readyTimeoutMs,
  );
  const abort = () => failed.reject(signal?.reason);
  signal?.addEventListener('abort', abort);
  const stop = () => program.stop(stopGraceMs);
  try {
    const info = await Promise.race([becameReady.promise, failed.promise]);
    const { exited, describeExit } = program;
    return { name, pid: program.pid as number, info, exited, describeExit, stop, kill: program.kill };
  } catch (error) {
    await stop();
    throw error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
  }
}

/**
 * Runs a program to its end.
 * @returns how it ended, and every line that it wrote
 * @throws LocalCloudError if it cannot be started, or does not end in time; the signal's reason
 */
export async function runChild(
  options: ProgramOptions & { timeoutMs: number },
): Promise<ChildExit & { lines: string[] }> {
  const { name, logFile, signal, timeoutMs } = options;
  const lines: string[] = [];
  const program = launch(options, (line) => lines.push(line));
  const failed = Promise.withResolvers<never>();
  program.cannotStart.catch(failed.reject);
  const timer = setTimeout(
    () => failed.reject(new LocalCloudError(`${name} took more than ${timeoutMs / 1000} s: see ${logFile}`)),
    timeoutMs,
  );
  const abort = () => failed.reject(signal?.reason);
  signal?.addEventListener('abort', abort);
  try {
    return { ...(await Promise.race([program.exited, failed.promise])), lines };
  } catch (error) {
    await program.stop();
    throw error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
  }
}

interface Program {
  pid: number | undefined;
  exited: Promise<ChildExit>;
  /** Rejects with a LocalCloudError if the system refuses to start it. */
  cannotStart: Promise<never>;
  describeExit(exit: ChildExit): string;
  stop(graceMs?: number): Promise<void>;
  kill(): void;
}

function launch(
  { name, command, env, cwd, logFile, appendLog = false, signal }: ProgramOptions,
  onLine: (line: string) => void,
): Program {
  signal?.throwIfAborted();
  mkdirSync(dirname(logFile), { recursive: true });
  const log = openSync(logFile, appendLog ? 'a' : 'w');
  const [file, ...args] = command;
  // A process group of its own: Ctrl-C at the terminal is for the parent, which stops its children in order.
  const child = spawn(file, args, { env, cwd, stdio: ['pipe', 'pipe', 'pipe'], detached: true });
  child.stdin.on('error', () => {}); // a dead child's pipe; its exit says it all
  const cannotStart = Promise.withResolvers<never>();
  cannotStart.promise.catch(() => {}); // `exited` resolves too
  child.once('error', (cause) =>
    cannotStart.reject(
      new LocalCloudError(`${name} cannot be started: ${file}: ${cause.message}`, { cause }),
    ),
  );
  // Whatever it started itself dies with it (the emulator's Lambda workers), and frees the pipes that we read.
  child.once('exit', () => killGroup(child.pid as number));

  const last: string[] = [];
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream }).on('line', (line) => {
      writeSync(log, `${line}\n`);
      if (last.push(line) > LAST_LINES) last.shift();
      onLine(line);
    });
  const exited = exitOf(child).finally(() => closeSync(log));
  return {
    pid: child.pid,
    exited,
    cannotStart: cannotStart.promise,
    describeExit(exit) {
      // What a program wrote before somebody killed it says nothing about its end.
      const words = exit.signal === null && last.length > 0;
      return [
        `${name} ended with ${exitWords(exit)}${words ? '; it said last:' : ''}`,
        ...(words ? last.map((line) => `    ${line}`) : []),
        `  all it said: ${logFile}`,
      ].join('\n');
    },
    async stop(graceMs = STOP_GRACE_MS) {
      if (child.pid === undefined) return;
      child.kill('SIGTERM');
      const kill = setTimeout(() => child.kill('SIGKILL'), graceMs);
      await exited;
      clearTimeout(kill);
    },
    kill: () => void child.kill('SIGKILL'),
  };
}

/** `SIGKILL`, or `exit code 1`. */
export const exitWords = ({ code, signal }: ChildExit): string => signal ?? `exit code ${code}`;

function killGroup(leader: number): void {
  try {
    process.kill(-leader, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error; // nobody is left in it
  }
}

async function exitOf(child: ChildProcess): Promise<ChildExit> {
  // `close` rather than `exit`: the last lines have been read by then. A program that never started closes, too.
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve) =>
    child.once('close', (...exit) => resolve(exit)),
  );
  return { code, signal };
}
