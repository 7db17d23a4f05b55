import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const BENCH = fileURLToPath(new URL('./calls.ts', import.meta.url));

/** Runs to the end. */
const run = (...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> =>
  new Promise((resolve) =>
    execFile(process.execPath, [BENCH, ...args], (error, stdout, stderr) =>
      resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
    ),
  );

describe('npm run bench:calls', () => {
  it('prints a table, and at the end one line of JSON', async () => {
    const { code, stdout, stderr } = await run('--rates', '5,10', '--seconds', '1');
    const lines = stdout.trimEnd().split('\n');
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(lines[0]?.trim().split(/ {2,}/)).toEqual([
      'milliseconds',
      'calls/s',
      'calls',
      'failed',
      'p50',
      'p95',
      'p99',
    ]);
    const milliseconds = expect.any(Number);
    const figures = {
      inviteP50: milliseconds,
      inviteP95: milliseconds,
      inviteP99: milliseconds,
      manifestP95: milliseconds,
    };
    const result = JSON.parse(lines.at(-1) ?? '');
    expect(result).toEqual({
      bench: 'calls',
      rates: [
        { perSecond: 5, failed: 0, ...figures },
        { perSecond: 10, failed: 0, ...figures },
      ],
    });
    for (const { inviteP50, inviteP95, inviteP99, manifestP95 } of result.rates) {
      expect(inviteP50).toBeGreaterThan(0);
      expect(inviteP95).toBeGreaterThanOrEqual(inviteP50);
      expect(inviteP99).toBeGreaterThanOrEqual(inviteP95);
      expect(manifestP95).toBeGreaterThan(0);
    }
  }, 120_000);

  it('refuses what is no rate', async () => {
    const { code, stdout, stderr } = await run('--rates', '10,fast');
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toContain('rates and seconds must be whole numbers from 1 to 1000');
  });
});
