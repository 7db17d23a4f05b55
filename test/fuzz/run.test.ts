import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const RUN = fileURLToPath(new URL('./run.ts', import.meta.url));

/** Runs to the end. */
const run = (...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> =>
  new Promise((resolve) =>
    execFile(process.execPath, [RUN, ...args], (error, stdout, stderr) =>
      resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
    ),
  );

describe('npm run fuzz', () => {
  it('prints a table, and at the end one line of JSON', async () => {
    const { code, stdout } = await run('--seed', '5', '--inputs', '60', '--reader', 'rtp');
    const lines = stdout.trimEnd().split('\n');
    expect([code, lines[0]]).toEqual([0, 'seed 5']);
    expect(lines[1]?.trim().split(/ {2,}/)).toEqual([
      'reader',
      'inputs',
      'refused',
      'seconds',
      'max ms',
      'heap +kB',
      'findings',
    ]);
    expect(lines[2]?.trim().split(/ +/).slice(0, 3)).toEqual(['rtp', '60', '0']);
    expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({
      seed: 5,
      readers: [{ reader: 'rtp', inputs: 60, findings: [] }],
    });
  }, 30_000);

  it.each([
    [['--reader', 'xml'], 'fuzz: --reader must be one of mime, sdp, metadata, rtp, sip, journal'],
    [['--inputs', 'many'], 'fuzz: --inputs must be a whole number: many'],
    [['--sed', '1'], "fuzz: Unknown option '--sed'"],
  ])(
    'refuses %j',
    async (args, reason) => {
      expect(await run(...args)).toMatchObject({
        code: 1,
        stdout: '',
        stderr: expect.stringMatching(reason),
      });
    },
    30_000,
  );
});
