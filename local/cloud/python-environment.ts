/** Python programs that the local cloud and tests use, in virtual environments of their own. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { LocalCloudError } from './errors.ts';

const run = promisify(execFile);

const INSTALL_TIMEOUT_MS = 5 * 60_000;

export interface PythonPackages {
  /** File of pinned packages with their hashes. */
  requirements: string;
  /** In words. */
  what: string;
  /** What else somebody may do who has no network; a sentence. */
  otherwise?: string;
}

/**
 * Makes sure that packages are installed in a virtual environment under `directory`. Safe for several processes at once: each installs aside,
 * and the first to finish gives its installation the name that all look for.
 * @returns the Python to run them with
 * @throws LocalCloudError if Python, venv, pip or the network is missing
 */
export async function installPython(directory: string, packages: PythonPackages): Promise<string> {
  const wanted = createHash('sha256').update(readFileSync(packages.requirements)).digest('hex').slice(0, 12);
  const environment = join(directory, `venv-${wanted}`);
  const python = join(environment, 'bin', 'python');
  if (existsSync(python)) return python;

  await checkPython(packages.what);
  mkdirSync(directory, { recursive: true });
  const aside = mkdtempSync(join(directory, 'installing-'));
  try {
    await install(aside, packages);
    // Python itself can be gone after an upgrade of the machine: what is left of it must make room.
    if (!existsSync(python)) rmSync(environment, { recursive: true, force: true });
    renameSync(aside, environment);
  } catch (error) {
    rmSync(aside, { recursive: true, force: true });
    if (!existsSync(python)) throw error; // otherwise another process was faster
  }
  return python;
}

async function install(
  environment: string,
  { requirements, what, otherwise }: PythonPackages,
): Promise<void> {
  await run('python3', ['-m', 'venv', environment]).catch((cause) => {
    throw new LocalCloudError(
      `Python cannot make a virtual environment: ${lastLine(cause)}\n` +
        'Install its venv and pip (Debian and Ubuntu: apt-get install python3-venv python3-pip).',
      { cause },
    );
  });
  await run(
    join(environment, 'bin', 'python'),
    ['-m', 'pip', 'install', '--quiet', '--require-hashes', '--only-binary', ':all:', '-r', requirements],
    { timeout: INSTALL_TIMEOUT_MS },
  ).catch((cause) => {
    throw new LocalCloudError(
      `pip cannot install ${what}: ${lastLine(cause)}\n` +
        "The first start downloads it from PyPI: check the network (or pip's proxy and index settings), then start again." +
        (otherwise ? `\n${otherwise}` : ''),
      { cause },
    );
  });
}

async function checkPython(what: string): Promise<void> {
  const { stdout } = await run('python3', ['-c', 'import sys; print("%d.%d" % sys.version_info[:2])']).catch(
    (cause) => {
      throw new LocalCloudError(
        `python3 is needed for ${what} and is not there.\n` +
          'Install Python 3.10 or newer (Debian and Ubuntu: apt-get install python3 python3-venv python3-pip).',
        { cause },
      );
    },
  );
  const [major = 0, minor = 0] = stdout.trim().split('.').map(Number);
  if (major < 3 || (major === 3 && minor < 10))
    throw new LocalCloudError(`python3 is ${stdout.trim()}; ${what} needs Python 3.10 or newer.`);
}

function lastLine(error: { stderr?: string; message?: string }): string {
  const lines = (error.stderr || error.message || '').trim().split('\n');
  return lines.findLast((line) => /error/i.test(line)) ?? lines.at(-1) ?? '';
}
