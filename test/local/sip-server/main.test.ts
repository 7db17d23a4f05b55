import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../../local/sip-server/main.ts', import.meta.url));
const ANY_PORT = ['--contact', 'sip:127.0.0.1:0;transport=udp,tcp', '--port', '0'];

const children: ChildProcess[] = [];
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }
});

function start(...args: string[]) {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
  children.push(child);
  return child;
}

/** Runs to the end. */
async function run(...args: string[]): Promise<{ code: number; stderr: string }> {
  const child = start(...args);
  let stderr = '';
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const [code] = await once(child, 'close');
  return { code, stderr };
}

const ready = async (child: ReturnType<typeof start>) =>
  JSON.parse((await once(createInterface(child.stdout), 'line'))[0]);

describe('the command line of the development SIP server', () => {
  it('says where it listens, that it is no production tool, and stops at once on SIGTERM', async () => {
    const child = start(...ANY_PORT);
    const [warning] = await once(createInterface(child.stderr), 'line');
    expect(warning).toMatch('never for production');
    expect(await ready(child)).toEqual({
      ready: true,
      sip: { address: '127.0.0.1', port: expect.any(Number) },
      admin: { address: '127.0.0.1', port: expect.any(Number) },
    });
    child.kill('SIGTERM');
    expect(await once(child, 'exit')).toEqual([0, null]);
  });

  it('names a taken port and the remedy', async () => {
    const { sip, admin } = await ready(start(...ANY_PORT));
    const contact = `sip:127.0.0.1:${sip.port}`;
    expect(await run('--contact', contact, '--port', '0')).toEqual({
      code: 1,
      stderr: `sip-server: SIP address ${contact} is taken: stop what listens there, or choose another with --contact\n`,
    });
    expect(await run('--contact', 'sip:127.0.0.1:0', '--port', `${admin.port}`)).toEqual({
      code: 1,
      stderr: `sip-server: admin port 127.0.0.1:${admin.port} is taken: stop what listens there, or choose another with --port\n`,
    });
  });

  it('ends with its parent when asked to', async () => {
    const child = start(...ANY_PORT, '--exit-with-parent');
    await ready(child);
    const exited = once(child, 'exit');
    child.stdin.end();
    expect(await exited).toEqual([0, null]);
  });

  it('refuses options that it does not know', async () => {
    expect(await run('--homer', 'x')).toMatchObject({ code: 1, stderr: expect.stringMatching("'--homer'") });
  });
});
