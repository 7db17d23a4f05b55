/**
 * Bundles the recorder for its image: one ES module per thread, side by side, without `node_modules`; beside them the
 * native receiver, where it can be compiled.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import { buildNativeReceiver } from './native/build.ts';

const SOURCES = join(import.meta.dirname, 'src');
const outdir = process.argv[2] ?? join(import.meta.dirname, '../dist/recorder');

rmSync(outdir, { recursive: true, force: true });
buildSync({
  entryPoints: [
    join(SOURCES, 'main.ts'),
    join(SOURCES, 'media/capture-worker.ts'),
    join(SOURCES, 'media/assemble-worker.ts'),
  ],
  outdir,
  entryNames: '[name]', // the workers are looked for beside the main module
  outExtension: { '.js': '.mjs' },
  bundle: true,
  platform: 'node',
  target: 'node24',
  format: 'esm',
  sourcemap: true,
  logLevel: 'warning',
  // Dependencies that are still CommonJS call `require` for Node's own modules.
  banner: { js: "import{createRequire}from'node:module';const require=createRequire(import.meta.url);" },
});

const notBuilt = buildNativeReceiver(join(outdir, 'receive.node'));
if (notBuilt) console.warn(`media will be received by Node alone: ${notBuilt}`);
