/**
 * Child processes of the local cloud: started with a log file, ready when they say so, and never left behind.
 *
 * Each child's standard input is a pipe from us. Ours end when it closes (`exit-with-parent.ts`, `run_emulator.py`), so
 * that even a `kill -9` of the parent leaves nothing running.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, mkdirSync } from 'node:fs';
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

export interface ChildOptions<Ready> {
  /** As it is named in messages. */
  name: string;
  command: [string, ...string[]];
  env: NodeJS.ProcessEnv;
  logFile: string;
  /** Looks at a line of output; anything but undefined means that the child is ready. */
  ready: (line: string) => Ready | undefined;
  readyTimeoutMs: number;
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
  /** In words: what it exited with, the last lines that it wrote, and where the rest is. */
  describeExit(exit: ChildExit): string;
  /** Ends it: SIGTERM, and SIGKILL where that does not help. Harmless when it is gone already. */
  stop(): Promise<void>;
}

/**
 * Starts a program and waits until it is ready.
 * @throws LocalCloudError if it cannot be started, exits before, or is not ready in time
 */
export async function startChild<Ready>(options: ChildOptions<Ready>): Promise<Child<Ready>> {
  const { name, command, env, logFile, ready, readyTimeoutMs } = options;
  mkdirSync(dirname(logFile), { recursive: true });
  const log = createWriteStream(logFile, { flags: 'w' });
  const [file, ...args] = command;
  // A process group of its own: Ctrl-C at the terminal is for the parent, which stops its children in order.
  const child = spawn(file, args, { env, stdio: ['pipe', 'pipe', 'pipe'], detached: true });
  child.stdin.on('error', () => {}); // a dead child's pipe; its exit says it all
  const exited = exitOf(child);

  const last: string[] = [];
  const describeExit = ({ code, signal }: ChildExit): string =>
    `${name} ended with ${signal ?? `exit code ${code}`}` +
    (last.length > 0 ? `; it said last:\n${last.map((line) => `    ${line}`).join('\n')}` : '') +
    `\n  all it said: ${logFile}`;
  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGTERM');
    const kill = setTimeout(() => child.kill('SIGKILL'), STOP_GRACE_MS);
    await exited;
    clearTimeout(kill);
  };

  const becameReady = new Promise<Ready>((resolve) => {
    for (const stream of [child.stdout, child.stderr])
      createInterface({ input: stream }).on('line', (line) => {
        log.write(`${line}\n`);
        if (last.push(line) > LAST_LINES) last.shift();
        const info = ready(line);
        if (info !== undefined) resolve(info);
      });
  });
  void exited.then(() => log.end());

  let timer: NodeJS.Timeout | undefined;
  const failed = new Promise<never>((_, reject) => {
    child.once('error', (cause) =>
      reject(new LocalCloudError(`${name} cannot be started: ${file}: ${cause.message}`, { cause })),
    );
    void exited.then((exit) => reject(new LocalCloudError(describeExit(exit))));
    timer = setTimeout(
      () =>
        reject(
          new LocalCloudError(`${name} was not ready within ${readyTimeoutMs / 1000} s: see ${logFile}`),
        ),
      readyTimeoutMs,
    );
  });
  try {
    const info = await Promise.race([becameReady, failed]);
    return { name, pid: child.pid as number, info, exited, describeExit, stop };
  } catch (error) {
    if (child.pid !== undefined) await stop();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

async function exitOf(child: ChildProcess): Promise<ChildExit> {
  // `close` rather than `exit`: the last lines have been read by then.
  const [code, signal] = (await once(child, 'close').catch(() => [null, null])) as [
    number | null,
    NodeJS.Signals | null,
  ];
  return { code, signal };
}
