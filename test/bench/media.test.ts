import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const BENCH = fileURLToPath(new URL('./media.ts', import.meta.url));

/** Runs to the end. */
const run = (...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> =>
  new Promise((resolve) =>
    execFile(process.execPath, [BENCH, ...args], (error, stdout, stderr) =>
      resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
    ),
  );

describe('npm run bench:media', () => {
  it('prints a table, and at the end one line of JSON', async () => {
    const { code, stdout } = await run('--quick', '--seconds', '1', '--calls', '10', '--receiver', 'dgram');
    const lines = stdout.trimEnd().split('\n');
    expect(code).toBe(0);
    const heading = lines.find((line) => line.trim().startsWith('receiver'));
    expect(heading?.trim().split(/ {2,}/)).toEqual([
      'receiver',
      'calls',
      'packets/s',
      'us/packet',
      'core %',
      'lost',
      'dropped',
      'drained ms',
      'KB/call',
      'kept up',
    ]);
    const row = lines.find((line) => line.trim().startsWith('dgram'));
    expect(row?.trim().split(/ +/).slice(0, 3)).toEqual(['dgram', '10', '1000']);
    const result = JSON.parse(lines.at(-1) ?? '');
    expect(result).toMatchObject({ bench: 'media', receiver: 'dgram', lossPercent: 0 });
    expect(Object.keys(result)).toEqual(
      expect.arrayContaining(['callsPerCore', 'usPerPacket', 'floorUsPerPacket', 'ratio', 'bytesPerCall']),
    );
    expect(result.usPerPacket).toBeGreaterThan(0);
  });

  it.each([
    [['--receiver', 'tcp'], 'bench: --receiver must be one of auto, native, dgram: tcp'],
    [['--seconds', 'many'], 'bench: --seconds must be a whole number: many'],
    [['--calls', '0'], 'bench: --calls must be a whole number: 0'],
  ])('refuses %j', async (args, message) => {
    const { code, stderr } = await run(...args);
    expect(code).not.toBe(0);
    expect(stderr).toContain(message);
  });
});
