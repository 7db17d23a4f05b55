/** The drills of steering, with short calls and quick health checks: `npm run drill` is for the real ones. */
import { execFile, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const CLI = fileURLToPath(new URL('../cli.ts', import.meta.url));
const DRILL_TIMEOUT_MS = 240_000;

/** Whether this machine has nftables, and lets anybody use it in a network namespace; containers often do not. */
const mayDrop =
  spawnSync('unshare', ['--map-root-user', '--net', 'nft', 'list', 'tables'], { stdio: 'ignore' }).status ===
  0;

/** The command, to its end. */
const drill = (name: string): Promise<{ code: number; stdout: string }> =>
  new Promise((resolve) =>
    execFile(process.execPath, [CLI, name, '--seconds', '3', '--time-factor', '20'], (error, stdout) =>
      resolve({ code: Number(error?.code ?? 0), stdout }),
    ),
  );

async function passes(name: string): Promise<void> {
  const { code, stdout } = await drill(name);
  const result = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as Record<string, number>;
  expect({ code, result, stdout }).toMatchObject({ code: 0, result: { drill: name, passed: true, lost: 0 } });
  expect(result.newCalls).toBeGreaterThan(10);
  expect(result.recorded).toBe(result.newCalls);
}

it.each(['recorder-hung', 'route53-frozen', 'overload', 'region-closed', 'rolling-deploy'])(
  '%s',
  passes,
  DRILL_TIMEOUT_MS,
);

(mayDrop ? it : it.skip)('recorder-unreachable', () => passes('recorder-unreachable'), DRILL_TIMEOUT_MS);
