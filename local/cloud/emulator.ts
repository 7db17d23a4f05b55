/**
 * The AWS emulator: MiniStack from PyPI, in a virtual environment.
 *
 * Its state survives a restart, so that the second start deploys nothing and finds the recordings of the first.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Child, startChild } from './child.ts';
import { LocalCloudError } from './errors.ts';
import { HOST } from './ports.ts';

const run = promisify(execFile);

const REQUIREMENTS = join(import.meta.dirname, 'requirements.txt');
const LAUNCHER = join(import.meta.dirname, 'run_emulator.py');
const INSTALL_TIMEOUT_MS = 5 * 60_000;
const READY_TIMEOUT_MS = 60_000;

/** Emulated credentials: MiniStack takes a 12-digit access key for the account. */
export const credentialsOf = (account: string) => ({ accessKeyId: account, secretAccessKey: 'local' });

/**
 * Makes sure that MiniStack is installed under `directory`. Safe for several processes at once: each installs aside,
 * and the first to finish gives its installation the name that all look for.
 * @returns the Python to run it with
 * @throws LocalCloudError if Python, venv, pip or the network is missing
 */
export async function installEmulator(directory: string): Promise<string> {
  const wanted = createHash('sha256').update(readFileSync(REQUIREMENTS)).digest('hex').slice(0, 12);
  const environment = join(directory, `venv-${wanted}`);
  const python = join(environment, 'bin', 'python');
  if (existsSync(python)) return python;

  await checkPython();
  mkdirSync(directory, { recursive: true });
  const aside = mkdtempSync(join(directory, 'installing-'));
  try {
    await install(aside);
    // Python itself can be gone after an upgrade of the machine: what is left of it must make room.
    if (!existsSync(python)) rmSync(environment, { recursive: true, force: true });
    renameSync(aside, environment);
  } catch (error) {
    rmSync(aside, { recursive: true, force: true });
    if (!existsSync(python)) throw error; // otherwise another process was faster
  }
  return python;
}

async function install(environment: string): Promise<void> {
  await run('python3', ['-m', 'venv', environment]).catch((cause) => {
    throw new LocalCloudError(
      `Python cannot make a virtual environment: ${lastLine(cause)}\n` +
        'Install its venv and pip (Debian and Ubuntu: apt-get install python3-venv python3-pip).',
      { cause },
    );
  });
  await run(
    join(environment, 'bin', 'python'),
    ['-m', 'pip', 'install', '--quiet', '--require-hashes', '--only-binary', ':all:', '-r', REQUIREMENTS],
    { timeout: INSTALL_TIMEOUT_MS },
  ).catch((cause) => {
    throw new LocalCloudError(
      `pip cannot install the AWS emulator: ${lastLine(cause)}\n` +
        "The first start downloads it from PyPI: check the network (or pip's proxy and index settings), then start again.\n" +
        'Or run an emulator of your own and name it with AWS_ENDPOINT_URL=http://127.0.0.1:<port>.',
      { cause },
    );
  });
}

async function checkPython(): Promise<void> {
  const { stdout } = await run('python3', ['-c', 'import sys; print("%d.%d" % sys.version_info[:2])']).catch(
    (cause) => {
      throw new LocalCloudError(
        'python3 is needed for the AWS emulator and is not there.\n' +
          'Install Python 3.10 or newer (Debian and Ubuntu: apt-get install python3 python3-venv python3-pip).',
        { cause },
      );
    },
  );
  const [major = 0, minor = 0] = stdout.trim().split('.').map(Number);
  if (major < 3 || (major === 3 && minor < 10))
    throw new LocalCloudError(`python3 is ${stdout.trim()}; the AWS emulator needs Python 3.10 or newer.`);
}

/** The state that the emulator keeps names its own address, so that it can only be used on the same port again. */
const portFile = (directory: string) => join(directory, 'port');

/** The port that kept state belongs to; undefined when there is none. */
export function portOfState(directory: string): number | undefined {
  return existsSync(portFile(directory)) ? Number(readFileSync(portFile(directory), 'utf8')) : undefined;
}

/** Forgets all that the emulator kept; what was installed stays. */
export function forgetState(directory: string): void {
  for (const kept of ['state', 's3', 'port']) rmSync(join(directory, kept), { recursive: true, force: true });
}

/** Starts the emulator on a port, with its state under `directory`. */
export function startEmulator(
  python: string,
  directory: string,
  port: number,
  logFile: string,
  signal?: AbortSignal,
): Promise<Child<true>> {
  const temporary = join(directory, 'tmp');
  mkdirSync(temporary, { recursive: true });
  writeFileSync(portFile(directory), String(port));
  // Its Lambda workers are CommonJS files below here; without this, Node takes our package's `"type": "module"` for them.
  writeFileSync(join(directory, 'package.json'), '{ "type": "commonjs" }\n');
  return startChild({
    name: 'the AWS emulator',
    command: [python, LAUNCHER],
    logFile,
    signal,
    env: {
      // Its Lambda workers run `node`: ours first, whatever the machine has.
      PATH: `${join(import.meta.dirname, '../../node_modules/.bin')}:${process.env.PATH}`,
      HOME: process.env.HOME,
      TMPDIR: temporary,
      PYTHONUNBUFFERED: '1',
      BIND_HOST: HOST, // its default is all interfaces
      GATEWAY_PORT: String(port),
      IOT_MTLS_ENABLED: '0', // two listeners on all interfaces that nobody needs
      SFTP_ENABLED: '0',
      DOCKER_HOST: `unix://${temporary}/no-docker`, // it removes containers that it takes for its own
      LAMBDA_EXECUTOR: 'local',
      PERSIST_STATE: '1',
      STATE_DIR: join(directory, 'state'),
      S3_PERSIST: '1',
      S3_DATA_DIR: join(directory, 's3'),
    },
    ready: (line) => (line.includes('Running on http') ? true : undefined),
    readyTimeoutMs: READY_TIMEOUT_MS,
  });
}

function lastLine(error: { stderr?: string; message?: string }): string {
  const lines = (error.stderr || error.message || '').trim().split('\n');
  return lines.findLast((line) => /error/i.test(line)) ?? lines.at(-1) ?? '';
}
