/**
 * A function's code as one ES module, made by esbuild, and kept: one synthesis needs it for every region, and tests synthesise
 * often. What is kept is found by everything that it is made of, so that it cannot be out of date.
 */
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { type BuildOptions, buildSync } from 'esbuild';

const ROOT = join(import.meta.dirname, '../..');
const KEPT = join(ROOT, 'node_modules/.cache/siprec-ha');
/** Of the repository, all that a function may be made of; the lock stands for what comes from elsewhere. */
const SOURCES = ['functions', 'core'];
const FILES = ['package-lock.json', 'infra/constructs/function-bundle.ts'];

const OPTIONS = {
  bundle: true,
  platform: 'node',
  target: 'node24',
  format: 'esm',
  minify: true,
  sourcemap: false,
  logLevel: 'warning',
  // Dependencies that are still CommonJS call `require` for Node's own modules.
  banner: { js: "import{createRequire}from'node:module';const require=createRequire(import.meta.url);" },
} satisfies BuildOptions;

/** Puts the bundle of `functions/<name>/handler.ts` into a file. The SDK is in it: the version tested is the version that runs. */
export function bundleFunction(name: string, outfile: string): void {
  const kept = join(KEPT, `${name}-${sourcesDigest()}.mjs`);
  if (!existsSync(kept)) {
    mkdirSync(KEPT, { recursive: true });
    // Under another name until it is whole: others may look for it meanwhile.
    const unfinished = `${kept}.${process.pid}`;
    buildSync({
      ...OPTIONS,
      entryPoints: [join(ROOT, 'functions', name, 'handler.ts')],
      outfile: unfinished,
    });
    renameSync(unfinished, kept);
  }
  copyFileSync(kept, outfile);
}

let digest: string | undefined;

/** Of all sources, once in a process. */
function sourcesDigest(): string {
  if (digest) return digest;
  const hash = createHash('sha256');
  for (const folder of SOURCES)
    for (const entry of readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true }))
      if (entry.isFile()) add(join(entry.parentPath, entry.name));
  for (const file of FILES) add(join(ROOT, file));
  function add(path: string): void {
    hash.update(`${path}\0`).update(readFileSync(path)).update('\0');
  }
  digest = hash.digest('hex').slice(0, 32);
  return digest;
}
