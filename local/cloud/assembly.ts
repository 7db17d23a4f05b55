/**
 * What the CDK app makes of a deployment file, kept: a start of the local cloud synthesises only what has changed since. It is
 * found by all that it is made of, so that it cannot be out of date.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');
const KEPT = join(ROOT, 'node_modules/.cache/siprec-ha');
const SOURCES = ['infra', 'functions', 'core', 'recorder-image'];
/** The lock stands for what comes from elsewhere. */
const FILES = ['cdk.json', 'package-lock.json'];

/**
 * The directory of a deployment file's cloud assembly. Safe for several processes at once: each synthesises aside.
 * @param synthesise puts the assembly into a directory; called only if there is none
 */
export async function keptAssembly(
  deploymentFile: string,
  synthesise: (output: string) => Promise<void>,
): Promise<string> {
  const kept = join(KEPT, `assembly-${digestOf(deploymentFile)}`);
  if (existsSync(kept)) return kept;
  mkdirSync(KEPT, { recursive: true });
  const aside = mkdtempSync(join(KEPT, 'synthesising-'));
  try {
    await synthesise(aside);
    renameSync(aside, kept);
  } catch (error) {
    rmSync(aside, { recursive: true, force: true });
    if (!existsSync(kept)) throw error; // otherwise another process was faster
  }
  return kept;
}

function digestOf(deploymentFile: string): string {
  const hash = createHash('sha256').update(readFileSync(deploymentFile));
  const add = (path: string) => hash.update(`\0${path}\0`).update(readFileSync(path));
  for (const folder of SOURCES)
    for (const entry of readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true }))
      if (entry.isFile()) add(join(entry.parentPath, entry.name));
  for (const file of FILES) add(join(ROOT, file));
  return hash.digest('hex').slice(0, 32);
}
