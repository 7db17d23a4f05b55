/** The AWS CLI itself, from PyPI, for tests of scripts that call it. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { installPython } from '../../local/cloud/python-environment.ts';

const INSTALLATION = join(import.meta.dirname, '../../.local/aws-cli');
const REQUIREMENTS = join(import.meta.dirname, 'aws-cli-requirements.txt');

/**
 * Puts a program `aws` into a directory, for the PATH of a test. It writes what it is asked into a file first, a line each.
 * @param log the file
 */
export async function installAwsCli(directory: string, log: string): Promise<void> {
  const python = await installPython(INSTALLATION, { requirements: REQUIREMENTS, what: 'the AWS CLI' });
  mkdirSync(directory, { recursive: true });
  writeProgram(directory, 'aws', `echo "$*" >>'${log}'\nexec '${python}' -m awscli "$@"`);
}

/** Puts a program for the shell into a directory. */
export const writeProgram = (directory: string, name: string, script: string): void =>
  writeFileSync(join(directory, name), `#!/bin/bash\n${script}\n`, { mode: 0o755 });
