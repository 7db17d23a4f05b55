import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type DnsServer, startDnsServer } from '../../../local/dns-server/server.ts';
import { exampleZone, healthy, slotAddress } from '../dns-server/example-zone.ts';
import { startRecorder, type TestRecorder } from './test-recorder.ts';

const CLI = fileURLToPath(new URL('../../../local/broadworks/cli.ts', import.meta.url));

function run(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, ['--no-warnings', CLI, ...args], (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr });
    });
  });
}

let recorder: TestRecorder;
let dns: DnsServer;
beforeAll(async () => {
  recorder = await startRecorder('record');
  const zone = exampleZone(
    {
      name: '_sip._udp.siprec.rec.example.com',
      type: 'SRV',
      ttlSeconds: 30,
      values: [{ priority: 10, weight: 1, port: recorder.port, target: 's1.rec.example.com' }],
    },
    slotAddress('s1', '127.0.0.1'),
  );
  dns = await startDnsServer({
    address: '127.0.0.1',
    port: 0,
    zone: () => zone,
    health: healthy,
    onError: (error) => {
      throw error;
    },
  });
});
afterAll(async () => {
  await dns.close();
  await recorder.close();
});

it('places calls and shows who took them', async () => {
  const { code, stdout } = await run(
    ...[
      '--domain',
      'siprec.rec.example.com',
      '--dns',
      `127.0.0.1:${dns.port}`,
      '--calls',
      '2',
      '--duration',
      '0.1',
    ],
  );
  expect(code).toBe(0);
  const [title, ...rows] = stdout.trim().split('\n');
  expect(title).toMatch(/^call +recorder +tried +recorded user +other +direction +media s +outcome$/);
  expect(rows).toHaveLength(2);
  for (const row of rows)
    expect(row).toMatch(/s1\.rec\.example\.com \(127\.0\.0\.1:\d+\) +1 +\+1\d+ +\+1\d+ .* 0\.10 +recorded$/);
});

it('exits 1 when a call is not recorded', async () => {
  const { code, stdout } = await run(
    ...['--domain', 'other.rec.example.com', '--dns', `127.0.0.1:${dns.port}`, '--duration', '0.1'],
  );
  expect(code).toBe(1);
  expect(stdout).toContain('failed: no SIP server for other.rec.example.com');
});

it.each([
  [[], '--domain is missing'],
  [['--domain', 'x.example.com'], '--dns : expected ADDRESS:PORT'],
  [['--domain', 'x.example.com', '--dns', 'localhost:53'], '--dns localhost:53: expected ADDRESS:PORT'],
  [
    ['--domain', 'x.example.com', '--dns', '127.0.0.1:53', '--calls', 'two'],
    '--calls two: expected a whole number',
  ],
  [
    ['--domain', 'x.example.com', '--dns', '127.0.0.1:53', '--codec', 'opus'],
    '--codec opus: expected pcmu or pcma',
  ],
  [['--frequency', '5'], "Unknown option '--frequency'"],
])('explains wrong usage: %j', async (args, message) => {
  const { code, stderr } = await run(...args);
  expect(code).toBe(2);
  expect(stderr).toContain(message);
  expect(stderr).toContain('Usage: node local/broadworks/cli.ts');
});
