/** Every drill, with few calls and short times: `npm run drill` is for the real ones. */
import { execFile, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { EMULATOR_START_TIMEOUT_MS, startTestEmulator, type TestEmulator } from '../helpers/emulator.ts';
import { type DrillOptions, runDrill } from './drill.ts';
import { DRILLS } from './drills.ts';

const CLI = fileURLToPath(new URL('./cli.ts', import.meta.url));
const OPTIONS: DrillOptions = { calls: 4, talkMs: 1_000, seed: 4, log: () => {} };
const DRILL_TIMEOUT_MS = 120_000;

const here = [...DRILLS.values()].filter(({ mounts }) => !mounts);
const mounting = [...DRILLS.values()].filter(({ mounts }) => mounts);
/** Whether this machine lets anybody mount; containers often do not. */
const mayMount = spawnSync('unshare', ['--map-root-user', '--mount', 'true']).status === 0;

let emulator: TestEmulator;
beforeAll(async () => {
  emulator = await startTestEmulator();
}, EMULATOR_START_TIMEOUT_MS);
afterAll(() => emulator?.stop());

describe('drill', () => {
  it.each(here.map((drill) => [drill.name, drill] as const))(
    '%s',
    async (name, drill) => {
      const report = await runDrill(drill, emulator, OPTIONS, new AbortController().signal);
      const { result, failures } = report;
      expect(failures).toEqual([]);
      expect(result).toMatchObject({ drill: name, passed: true, manifests: result.calls });
      expect(result.calls).toBeGreaterThanOrEqual(OPTIONS.calls);
    },
    DRILL_TIMEOUT_MS,
  );
});

/** The command, to its end. */
const drill = (...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> =>
  new Promise((resolve) =>
    execFile(process.execPath, [CLI, ...args], (error, stdout, stderr) =>
      resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
    ),
  );

describe('npm run drill', () => {
  (mayMount ? it : it.skip).each(mounting.map(({ name }) => name))(
    '%s',
    async (name) => {
      const { code, stdout } = await drill(name, '--calls', '4', '--seconds', '1');
      const result = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '');
      expect({ code, result, stdout }).toMatchObject({ code: 0, result: { drill: name, passed: true } });
    },
    DRILL_TIMEOUT_MS,
  );

  it('tells what drills there are', async () => {
    const { code, stdout } = await drill('--help');
    expect(code).toBe(0);
    for (const name of DRILLS.keys()) expect(stdout).toContain(`  ${name} `);
  });

  it.each([
    [['kill-everything'], 'there is no drill kill-everything'],
    [[], 'which drill?'],
    [['sigstop', 's3-slow'], 'one drill at a time, not also s3-slow'],
    [['sigstop', '--calls', 'many'], '--calls many: expected a whole number'],
    [['sigstop', '--cals', '3'], "Unknown option '--cals'"],
  ])('refuses %j, and lists the drills', async (args, reason) => {
    const { code, stdout, stderr } = await drill(...args);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(reason);
    for (const name of DRILLS.keys()) expect(stderr).toContain(name);
  });
});
