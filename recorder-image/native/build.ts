/**
 * Compiles the native receiver, where there is a C compiler and Linux: `npm run build:native`. One call of `cc`, and no
 * other tool. Without it the recorder receives with Node's own sockets, which costs twice the CPU.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, renameSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const SOURCE = join(import.meta.dirname, 'receive.c');
/** Where a recorder that runs from its sources looks for it. */
export const DEVELOPMENT_ADDON = join(import.meta.dirname, '../../dist/native/receive.node');

/** Absent if the addon is there. */
export type NotBuilt = string | undefined;

/**
 * @param outFile is replaced in one step, so that a recorder never loads half of one
 * @returns why there is none
 */
export function buildNativeReceiver(outFile: string): NotBuilt {
  if (process.platform !== 'linux') return `the native receiver needs Linux, and this is ${process.platform}`;
  const headers = dirname(createRequire(import.meta.url).resolve('node-api-headers/package.json'));
  const compiled = `${outFile}.${process.pid}`;
  mkdirSync(dirname(outFile), { recursive: true });
  const flags = ['-O2', '-shared', '-fPIC', '-Wall', '-Wextra', `-I${join(headers, 'include')}`];
  const { status, error, stderr } = spawnSync('cc', [...flags, '-o', compiled, SOURCE], { encoding: 'utf8' });
  if (error) return `there is no C compiler: ${error.message}`;
  if (status !== 0) return `the native receiver does not compile: ${stderr}`;
  renameSync(compiled, outFile);
  return undefined;
}

/** As `buildNativeReceiver` for development, if what is there is older than its source. */
export function refreshDevelopmentAddon(): NotBuilt {
  const builtAt = statSync(DEVELOPMENT_ADDON, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  return builtAt > statSync(SOURCE).mtimeMs ? undefined : buildNativeReceiver(DEVELOPMENT_ADDON);
}

if (import.meta.main) {
  const outFile = process.argv[2] ?? DEVELOPMENT_ADDON;
  const notBuilt = buildNativeReceiver(outFile);
  console.log(notBuilt ?? `native receiver: ${outFile}`);
}
