/** Every program that reads a deployment file says the same of one that is not there; `cdk synth`: test/infra/app.test.ts. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '../..');

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'siprec-ha-file-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const run = (program: string, args: string[]): Promise<{ code: unknown; told: string }> =>
  new Promise((resolve) => {
    execFile(process.execPath, [join(ROOT, program), ...args], { cwd: directory }, (error, _, stderr) =>
      resolve({ code: error?.code ?? 0, told: stderr }),
    );
  });

const PROGRAMS: [program: string, args: (file: string) => string[], how: string, code: number][] = [
  ['local/cost/cli.ts', (file) => [file, '--calls', '1'], 'as the first argument', 1],
  ['local/cli.ts', (file) => ['--deployment', file, '--exit'], 'with --deployment', 1],
  [
    'functions/sweep-recordings/backfill-cli.ts',
    (file) => ['--deployment', file, '--from', 'us-east-1', '--to', 'us-west-2'],
    'with --deployment',
    2,
  ],
];

describe.each(PROGRAMS)('%s', (program, args, how, exitCode) => {
  it.each([
    ['nowhere.yaml', 'there is no such file'],
    [tmpdir(), 'is a directory'],
  ])('says of %s: %s, and what to do', async (file, what) => {
    const { code, told } = await run(program, args(file));
    expect(told).toContain(
      `${file} has 1 problem:\n  (file): nothing: ${what}: name another ${how}, such as deployments/example.yaml`,
    );
    expect(told).not.toMatch(/^\s+at .+[:(]\d+/m);
    expect(code).toBe(exitCode);
  });
});
