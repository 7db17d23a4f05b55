import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const CLI = fileURLToPath(new URL('../../../local/simulation/cli.ts', import.meta.url));

let out: string;
beforeAll(async () => {
  out = await mkdtemp(join(tmpdir(), 'simulation-'));
});
afterAll(() => rm(out, { recursive: true, force: true }));

/** Runs to the end. */
const run = (...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> =>
  new Promise((resolve) =>
    execFile(process.execPath, [CLI, '--out', out, ...args], (error, stdout, stderr) =>
      resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
    ),
  );

const SMALL = ['--calls', '1400', '--scenario', 'steady,half-size-slot'];

it('prints a table, writes a chart, and ends with one line of JSON that is the same for the same seed', async () => {
  const [first, again] = [await run(...SMALL), await run(...SMALL, '--threads', '1')];
  expect(first.code).toBe(0);
  const lines = first.stdout.trimEnd().split('\n');
  expect(lines[0]).toMatch(/^scenario +policy +calls/);
  expect(
    lines.filter((line) => /^(steady|half-size-slot) +(static|static-with-health|ours) /.test(line)),
  ).toHaveLength(6);
  const result = JSON.parse(lines.at(-1) ?? '');
  expect(result).toMatchObject({ simulation: 'steering', seed: 1, slots: 4, calls: 1_400, passed: true });
  expect(result.scenarios).toHaveLength(6);
  expect(result.scenarios[2]).toMatchObject({ scenario: 'steady', policy: 'ours', seed: 1, lostCalls: 0 });
  expect(again.stdout.trimEnd().split('\n').at(-1)).toBe(lines.at(-1));
  expect(first.stdout).toContain(`chart: ${join(out, 'steering.svg')}`);
  expect(await readFile(join(out, 'steering.svg'), 'utf8')).toMatch(/^<svg [\s\S]*<\/svg>\n$/);
});

it('runs several seeds', async () => {
  const { stdout } = await run(
    '--calls',
    '700',
    '--scenario',
    'steady',
    '--policy',
    'ours',
    '--seed',
    '5',
    '--seeds',
    '3',
  );
  const { scenarios } = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '');
  expect(scenarios.map(({ seed }: { seed: number }) => seed)).toEqual([5, 6, 7]);
});

it('fails when a target is missed, and says which', async () => {
  // Slots of so few calls are out of balance by chance.
  const { code, stdout } = await run('--calls', '70', '--scenario', 'steady', '--policy', 'ours');
  expect(code).toBe(1);
  expect(stdout).toContain('MISSED: steady, seed 1: highest over mean utilisation at most 1.10');
  expect(JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '').passed).toBe(false);
});

it.each([
  [['--slots', '6'], '--slots 6 --calls 7000: 6 slots: the example has groups of 4, give a multiple'],
  [['--calls', '500000'], '--slots 4 --calls 500000: 714286 calls at the first priority on 4 slots'],
  [['--seed', 'x'], '--seed x: expected a whole number from 1 to 2147483647'],
  [['--seeds', '0'], '--seeds 0: expected a whole number from 1 to 1000'],
  [['--scenario', 'rain'], 'scenario rain: expected steady, morning-ramp,'],
  [['--policy', 'ours,yours'], 'policy yours: expected static, static-with-health, ours,'],
  [['--fast'], "Unknown option '--fast'"],
])('refuses %j', async (args, message) => {
  const { code, stdout, stderr } = await run(...args);
  expect(code).toBe(2);
  expect(stderr).toContain(message);
  expect(stderr).toContain('Usage: npm run simulate:steering');
  expect(stdout).toBe('');
});

it('says how it is used', async () => {
  const { code, stdout } = await run('--help');
  expect(code).toBe(0);
  expect(stdout).toContain('Usage: npm run simulate:steering');
  expect(stdout).toContain('morning-ramp');
});
