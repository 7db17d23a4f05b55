import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const BENCH = fileURLToPath(new URL('./query.ts', import.meta.url));

/** Runs to the end. */
const run = (...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> =>
  new Promise((resolve) =>
    execFile(process.execPath, [BENCH, ...args], (error, stdout, stderr) =>
      resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
    ),
  );

describe('npm run bench:query', () => {
  it('prints a table, and at the end one line of JSON', async () => {
    const { code, stdout, stderr } = await run('--items', '2000', '--limit', '10', '--pages', '6');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const result = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '');
    expect(result).toMatchObject({ bench: 'query', limit: 10, withinReach: true });
    expect(result.items).toBeGreaterThanOrEqual(2000);
    expect(result.kinds.map(({ kind }: { kind: string }) => kind)).toEqual([
      'time',
      'tenant',
      'number',
      'user',
      'name',
      'group',
      'slot',
      'status',
      'tenant and direction',
      'time and minDurationMs (1 in 10)',
      'call',
    ]);
    const [time] = result.kinds;
    expect(time).toMatchObject({ pages: 6, found: 10 });
    // The whole table costs no more than a tenth of it.
    expect(time.readMost).toBeLessThanOrEqual(1.5 * 10 + 4);
    expect(time.readMostAtTenth).toBeLessThanOrEqual(1.5 * 10 + 4);
    expect(time.readMost).toBeGreaterThanOrEqual(11);
  });

  it.each([
    [['--items', '10'], '--items 10: write a whole number from 1000 to 20000000'],
    [['--limit', 'x'], '--limit x: write a whole number from 1 to 200'],
    [['--what'], "Unknown option '--what'"],
  ])('refuses %j', async (args, message) => {
    const { code, stderr } = await run(...args);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(message) });
  });
});
