import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type ChildOptions, nodeProgram, runChild, startChild } from '../../../local/cloud/child.ts';
import { LocalCloudError } from '../../../local/cloud/errors.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'siprec-ha-child-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** A child that runs a line of JavaScript. */
const program = (script: string) => ({
  name: 'the child',
  command: [process.execPath, '-e', script] as [string, ...string[]],
  env: process.env,
  logFile: join(directory, 'logs', 'child.log'),
});

const child = (script: string, more: Partial<ChildOptions<string>> = {}): ChildOptions<string> => ({
  ...program(script),
  ready: (line) => /^ready (.*)/.exec(line)?.[1],
  readyTimeoutMs: 10_000,
  ...more,
});

const log = () => readFileSync(join(directory, 'logs', 'child.log'), 'utf8');

/** Zombies, which nobody has reaped yet, have no command line any more. */
const isAlive = (pid: number): boolean => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8') !== '';
  } catch {
    return false;
  }
};

const STAY = 'setInterval(() => {}, 1000);';

describe('startChild', () => {
  it('resolves when the child says that it is ready, and keeps all it says in the log', async () => {
    const started = await startChild(
      child(
        `process.on('SIGTERM', () => { console.log('last'); process.exit(3) });
        console.error('first'); console.log('ready 42'); ${STAY}`,
      ),
    );
    expect(started).toMatchObject({ name: 'the child', info: '42', pid: expect.any(Number) });
    await started.stop();
    expect(await started.exited).toEqual({ code: 3, signal: null });
    for (const line of ['first', 'ready 42', 'last']) expect(log()).toContain(`${line}\n`);
  });

  it('rejects when the child ends before, with its exit code, its last words and the log', async () => {
    const starting = startChild(
      child("for (let i = 1; i <= 12; i++) console.error('line ' + i); process.exitCode = 7"),
    );
    await expect(starting).rejects.toThrow(LocalCloudError);
    await expect(starting).rejects.toThrow(
      /^the child ended with exit code 7; it said last:\n {4}line 5\n(?: {4}line \d+\n){6} {4}line 12\n {2}all it said: .*child\.log$/,
    );
  });

  it('rejects when the child is not ready in time, and ends it', async () => {
    const starting = startChild(child(`console.log(process.pid); ${STAY}`, { readyTimeoutMs: 500 }));
    await expect(starting).rejects.toThrow(/^the child was not ready within 0.5 s: see .*child\.log$/);
    expect(isAlive(Number(log()))).toBe(false);
  });

  it('rejects when there is no such program', async () => {
    const starting = startChild(child('', { command: ['/nowhere/program'] }));
    await expect(starting).rejects.toThrow(LocalCloudError);
    await expect(starting).rejects.toThrow(/^the child cannot be started: \/nowhere\/program: .*ENOENT/);
  });

  it('rejects with the reason of its signal, and ends the child', async () => {
    const abort = new AbortController();
    const starting = startChild(
      child(`console.log(process.pid); ${STAY}`, {
        signal: abort.signal,
        ready: () => void abort.abort(new Error('not wanted any more')),
      }),
    );
    await expect(starting).rejects.toThrow('not wanted any more');
    expect(isAlive(Number(log()))).toBe(false);
    await expect(startChild(child('', { signal: abort.signal }))).rejects.toThrow('not wanted any more');
  });

  it('says how a running child was ended by somebody else, without its last words', async () => {
    const started = await startChild(child(`console.log('ready 1'); ${STAY}`));
    process.kill(started.pid, 'SIGKILL');
    expect(started.describeExit(await started.exited)).toMatch(
      /^the child ended with SIGKILL\n {2}all it said: .*child\.log$/,
    );
  });
});

describe('stop', () => {
  it('kills a child that does not end', async () => {
    const started = await startChild(
      child(`process.on('SIGTERM', () => console.log('no')); console.log('ready 1'); ${STAY}`, {
        stopGraceMs: 300,
      }),
    );
    await started.stop();
    expect(await started.exited).toEqual({ code: null, signal: 'SIGKILL' });
    expect(log()).toContain('no\n');
  });

  it('is harmless twice, and after the end', async () => {
    const started = await startChild(child(`console.log('ready 1'); ${STAY}`));
    await Promise.all([started.stop(), started.stop()]);
    await started.stop();
    expect(await started.exited).toEqual({ code: null, signal: 'SIGTERM' });
  });

  it('ends what the child started, though the child is killed', async () => {
    const started = await startChild(
      child(
        `const { pid } = require('node:child_process').spawn(process.execPath, ['-e', ${JSON.stringify(STAY)}], { stdio: 'inherit' });
        console.log('ready ' + pid); ${STAY}`,
      ),
    );
    process.kill(started.pid, 'SIGKILL');
    await started.exited; // only after its pipes are closed by the grandchild, too
    expect(isAlive(Number(started.info))).toBe(false);
  });
});

describe('a Node child', () => {
  it('ends when its parent is gone', async () => {
    // The parent here is a program that starts a child as we do, and is killed.
    const parent = await startChild(
      child('', {
        command: [
          process.execPath,
          '-e',
          `const [file, ...args] = ${JSON.stringify(nodeProgram(join(directory, 'child.mjs')))};
          require('node:fs').writeFileSync(${JSON.stringify(join(directory, 'child.mjs'))}, ${JSON.stringify(STAY)});
          const { pid } = require('node:child_process').spawn(file, args, { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
          console.log('ready ' + pid); ${STAY}`,
        ],
      }),
    );
    const orphan = Number(parent.info);
    expect(isAlive(orphan)).toBe(true);
    process.kill(parent.pid, 'SIGKILL');
    await parent.exited;
    const deadline = Date.now() + 10_000;
    while (isAlive(orphan) && Date.now() < deadline) await delay(20);
    expect(isAlive(orphan)).toBe(false);
  }, 15_000);
});

describe('runChild', () => {
  const run = (script: string, more: Partial<Parameters<typeof runChild>[0]> = {}) =>
    runChild({ ...program(script), timeoutMs: 10_000, ...more });

  it('returns how it ended and all it said', async () => {
    expect(await run("console.log('a\\nb'); process.exitCode = 2")).toEqual({
      code: 2,
      signal: null,
      lines: ['a', 'b'],
    });
    expect(log()).toBe('a\nb\n');
  });

  it('ends what takes too long', async () => {
    await expect(run(STAY, { timeoutMs: 300 })).rejects.toThrow(
      /^the child took more than 0.3 s: see .*child\.log$/,
    );
  });

  it('rejects when there is no such program', async () => {
    await expect(run('', { command: ['/nowhere/program'] })).rejects.toThrow(
      /cannot be started: \/nowhere\/program/,
    );
  });

  it('ends with its signal', async () => {
    const stop = new AbortController();
    const running = run(`console.log(process.pid); ${STAY}`, { signal: stop.signal });
    const deadline = Date.now() + 5_000;
    while (log() === '' && Date.now() < deadline) await delay(20);
    stop.abort(new Error('not wanted any more'));
    await expect(running).rejects.toThrow('not wanted any more');
    expect(isAlive(Number(log()))).toBe(false);
  });
});

it('leaves no file open and no listener behind', async () => {
  const openLogs = () => readdirSync('/proc/self/fd').length;
  const { signal } = new AbortController();
  const once = async () => {
    await (await startChild(child(`console.log('ready 1'); ${STAY}`, { signal }))).stop();
    await startChild(child('', { command: ['/nowhere/program'], signal })).catch(() => {});
    await runChild({ ...program(''), timeoutMs: 10_000, signal });
  };
  await once();
  const before = openLogs();
  for (let i = 0; i < 5; i++) await once();
  expect(openLogs()).toBeLessThanOrEqual(before);
}, 20_000);
