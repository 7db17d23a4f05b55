/**
 * The AWS emulator: MiniStack from PyPI, in a virtual environment.
 *
 * Its state survives a restart, so that the second start deploys nothing and finds the recordings of the first.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Child, startChild } from './child.ts';
import { HOST } from './ports.ts';
import { installPython } from './python-environment.ts';

const LAUNCHER = join(import.meta.dirname, 'run_emulator.py');
const READY_TIMEOUT_MS = 60_000;

/** Emulated credentials: MiniStack takes a 12-digit access key for the account. */
export const credentialsOf = (account: string) => ({ accessKeyId: account, secretAccessKey: 'local' });

/**
 * Makes sure that MiniStack is installed under `directory`.
 * @returns the Python to run it with
 * @throws LocalCloudError if Python, venv, pip or the network is missing
 */
export const installEmulator = (directory: string): Promise<string> =>
  installPython(directory, {
    requirements: join(import.meta.dirname, 'requirements.txt'),
    what: 'the AWS emulator',
    otherwise: 'Or run an emulator of your own and name it with AWS_ENDPOINT_URL=http://127.0.0.1:<port>.',
  });

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
