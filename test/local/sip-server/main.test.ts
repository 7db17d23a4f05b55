import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { connect } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { type Certificates, makeCertificates } from '../sip/certificates.ts';

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

let certificates: Certificates;
beforeAll(() => {
  certificates = makeCertificates();
});
afterAll(() => certificates.remove());

function start(...args: string[]) {
  return startWith({}, ...args);
}

function startWith(environment: NodeJS.ProcessEnv, ...args: string[]) {
  const env = { ...process.env, ...environment };
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['pipe', 'pipe', 'pipe'], env });
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

  it('speaks TLS beside UDP and TCP, and with the variable of drachtio-server asks for certificates', async () => {
    const { server, client, authority } = certificates;
    const child = startWith(
      { DRACHTIO_TLS_VERIFY_CLIENT_CERT: '1' },
      ...[...ANY_PORT, '--contact', 'sips:127.0.0.1:0;transport=tls'],
      ...['--cert-file', server.certificateFile, '--key-file', server.keyFile],
      ...['--chain-file', authority.certificateFile],
    );
    const { sip } = await ready(child);
    expect(sip).toEqual({ address: '127.0.0.1', port: expect.any(Number), tlsPort: expect.any(Number) });
    const ca = authority.certificate;
    const reachable = connect({
      host: '127.0.0.1',
      port: sip.tlsPort,
      ca,
      cert: client.certificate,
      key: client.key,
    });
    reachable.write('\r\n\r\n');
    expect(String((await once(reachable, 'data'))[0])).toBe('\r\n');
    reachable.destroy();
    const anonymous = connect({ host: '127.0.0.1', port: sip.tlsPort, ca });
    await expect(once(anonymous.resume(), 'end')).rejects.toMatchObject({
      code: 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
    });
  });

  it.each([
    [['--contact', 'sips:127.0.0.1:0'], '--contact with TLS needs --cert-file and --key-file'],
    [['--contact', 'sip:127.0.0.1:0', '--contact', 'sip:127.0.0.1:0'], '--contact: one for UDP and TCP'],
    [['--contact', 'sip:127.0.0.1:0;transport=sctp'], 'transport must be udp, tcp, udp,tcp or tls'],
    [['--contact', 'sips:127.0.0.1:0', '--cert-file', '/nowhere', '--key-file', '/nowhere'], 'ENOENT'],
  ])('refuses %j', async (args, reason) => {
    expect(await run(...args)).toMatchObject({ code: 1, stderr: expect.stringMatching(reason) });
  });

  it('refuses options that it does not know', async () => {
    expect(await run('--homer', 'x')).toMatchObject({ code: 1, stderr: expect.stringMatching("'--homer'") });
  });
});
