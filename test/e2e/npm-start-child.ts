/** `npm start` as a child process: what it says, how it ends, and what it leaves behind. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { eventually } from './eventually.ts';

export const ROOT = join(import.meta.dirname, '../..');
/** Shared by all runs: a second download would be a waste. */
export const INSTALLATION = join(ROOT, '.local/emulator');

export interface CliRun {
  pid: number;
  /** All that it said so far, errors included. */
  said(): string;
  /**
   * Waits until it has said something.
   * @throws if it ends before
   */
  until(pattern: RegExp): Promise<RegExpExecArray>;
  kill(signal: NodeJS.Signals): void;
  exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

/** Starts the program of `npm start`; `state` marks all its processes, so that none can hide. */
export function startCli(state: string, args: string[], env: NodeJS.ProcessEnv = {}): CliRun {
  const child = spawn(
    process.execPath,
    [join(ROOT, 'local/cli.ts'), '--state', state, '--install', INSTALLATION, ...args],
    { cwd: ROOT, env: { ...process.env, STATE_OF_TEST: state, ...env }, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let said = '';
  const hear = (text: Buffer) => {
    said += text;
    child.emit('said');
  };
  child.stdout.on('data', hear);
  child.stderr.on('data', hear);
  let ended = false;
  const exited = once(child, 'close').then(([code, signal]) => {
    ended = true;
    child.emit('said');
    return { code, signal };
  });
  return {
    pid: child.pid as number,
    said: () => said,
    async until(pattern) {
      for (;;) {
        const match = pattern.exec(said);
        if (match) return match;
        if (ended) throw new Error(`it ended without saying ${pattern}; it said:\n${said}`);
        await once(child, 'said');
      }
    },
    kill: (signal) => void child.kill(signal),
    exited,
  };
}

/** Runs it to its end. */
export async function runCli(
  state: string,
  args: string[],
  env: NodeJS.ProcessEnv = {},
): Promise<{ code: number | null; said: string }> {
  const run = startCli(state, args, env);
  const { code } = await run.exited;
  return { code, said: run.said() };
}

export interface ProcessInfo {
  pid: number;
  command: string;
  environment: Map<string, string>;
}

/** Processes that belong to a state directory, by their environment or command line (Linux: /proc). */
export function processesOf(state: string): ProcessInfo[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
        const environ = readFileSync(`/proc/${pid}/environ`, 'utf8');
        if (!command.includes(state) && !environ.includes(state)) return [];
        const variables = environ.split('\0').map((entry) => entry.split(/=(.*)/s, 2) as [string, string]);
        return [{ pid: Number(pid), command, environment: new Map(variables) }];
      } catch {
        return []; // gone meanwhile, or somebody else's
      }
    });
}

/** Waits until every process of a state directory is gone: those whose parent was killed need a moment. */
export const untilNoProcessIsLeft = (state: string): Promise<true> =>
  eventually(`the end of all processes of ${state}`, () =>
    processesOf(state).length === 0 ? true : undefined,
  );

/** Ports of loopback addresses in what it said, of those that still have a listener. */
export async function portsStillTaken(said: string): Promise<number[]> {
  const ports = new Set([...said.matchAll(/127\.0\.0\.1:(\d+)/g)].map(([, port]) => Number(port)));
  const taken: number[] = [];
  for (const port of ports) {
    const server = createServer();
    try {
      server.listen({ port, host: '127.0.0.1', exclusive: true });
      await once(server, 'listening');
    } catch {
      taken.push(port);
    } finally {
      server.close();
    }
  }
  return taken;
}
