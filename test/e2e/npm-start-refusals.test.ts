/** What cannot start says why, says what to do, and leaves nothing behind. */
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { processesOf, ROOT, runCli } from './npm-start-child.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'siprec-ha-refusals-'));
});

afterEach(() => {
  const left = processesOf(directory);
  rmSync(directory, { recursive: true, force: true });
  expect(left).toEqual([]);
});

/** A refusal: its message alone, no stack trace. */
async function refusal(args: string[], env: NodeJS.ProcessEnv = {}) {
  const { code, said } = await runCli(join(directory, 'state'), ['--exit', ...args], env);
  expect(said).not.toMatch(/^\s+at /m);
  return { code, said };
}

describe('npm start refuses', () => {
  it('an unknown option, with the usage', async () => {
    const { code, said } = await refusal(['--cals', '2']);
    expect(said).toMatch(/Unknown option '--cals'/);
    expect(said).toMatch(/^Usage: npm start/m);
    expect(code).toBe(2);
  });

  it.each([
    [['--calls', 'two'], '--calls two: write a whole number from 0 to 1000'],
    [['--calls', '1e2'], '--calls 1e2: write a whole number from 0 to 1000'],
    [['--duration', '0'], '--duration 0: write a whole number from 1 to 3600'],
    [['--transport', 'tls'], '--transport tls: write one of udp, tcp'],
  ])('%p', async (args, message) => {
    const { code, said } = await refusal(args);
    expect(said).toContain(message);
    expect(said).toMatch(/^Usage: npm start/m);
    expect(code).toBe(2);
  });

  it('a port that another program has, by its number and use', async () => {
    const server = createServer();
    server.listen(5053, '127.0.0.1');
    // Somebody else's listener there is as good as ours.
    const ours = await once(server, 'listening').then(
      () => true,
      () => false,
    );
    const { code, said } = await refusal([]);
    if (ours) {
      server.close();
      await once(server, 'close');
    }
    expect(said).toContain('these ports are taken by another program');
    expect(said).toContain('127.0.0.1:5053 (DNS)');
    expect(said).toContain('--free-ports --state');
    expect(code).toBe(1);
  });

  it('a broken deployment file, with all its problems', async () => {
    const file = join(directory, 'broken.yaml');
    writeFileSync(file, 'name: broken\naccount: 12\nregions: []\n');
    const { code, said } = await refusal(['--deployment', file]);
    expect(said).toContain(file);
    for (const path of ['account', 'regions', 'sources', 'retention']) expect(said).toContain(path);
    expect(code).toBe(1);
  });

  it.each([
    'auth: { oidc: { issuer: "https://id.example.com", audience: a, tenantClaim: t, roleClaim: r } }',
    'callers: [{ principal: "arn:aws:iam::000000000000:user/alice", tenants: all, roles: [listen] }]',
  ])('a deployment file that does not let it use its own API: %s', async (api) => {
    const file = join(directory, 'locked.yaml');
    const text = readFileSync(join(ROOT, 'deployments/local.yaml'), 'utf8');
    writeFileSync(file, text.replace(/^ {2}auth: iam$/m, `  ${api}`));
    const { code, said } = await refusal(['--deployment', file]);
    expect(said).toContain('own caller, arn:aws:iam::000000000000:root, use the API: leave its `api` out');
    expect(code).toBe(1);
  });

  it('a deployment file that is not there', async () => {
    const { code, said } = await refusal(['--deployment', join(directory, 'none.yaml')]);
    expect(said).toMatch(
      /none\.yaml has 1 problem:\s+\(file\): .*no such file: name another with --deployment/,
    );
    expect(code).toBe(1);
  });

  it('a state directory that cannot be made', async () => {
    const file = join(directory, 'file');
    writeFileSync(file, '');
    const { code, said } = await runCli(join(file, 'state'), ['--exit', '--free-ports']);
    expect(said).toMatch(/the state directory cannot be made: ENOTDIR.*\nName another with --state/);
    expect(code).toBe(1);
  });

  it('a DRACHTIO_SERVER that is no program', async () => {
    const { code, said } = await refusal(['--free-ports'], { DRACHTIO_SERVER: '/nowhere/drachtio' });
    expect(said).toContain('DRACHTIO_SERVER=/nowhere/drachtio is no program');
    expect(said).toContain('unset it');
    expect(code).toBe(1);
  });

  const installation = () => ['--free-ports', '--install', join(directory, 'install')];

  /** The machine's only python3 is a script that answers as told. */
  function pythonIs(script: string): { PATH: string } {
    writeFileSync(join(directory, 'python3'), `#!/bin/sh\n${script}\n`);
    chmodSync(join(directory, 'python3'), 0o755);
    return { PATH: directory };
  }

  it('a machine without Python', async () => {
    const { code, said } = await refusal(installation(), { PATH: directory });
    expect(said).toMatch(/python3 is needed .*\n.*apt-get install python3 python3-venv python3-pip/);
    expect(code).toBe(1);
  });

  it('a Python that is too old', async () => {
    const { code, said } = await refusal(installation(), pythonIs('echo 3.9'));
    expect(said).toContain('python3 is 3.9; the AWS emulator needs Python 3.10 or newer');
    expect(code).toBe(1);
  });

  it('a Python without venv or pip, and leaves nothing half installed', async () => {
    const python = pythonIs('[ "$1" = -c ] && echo 3.11 && exit; echo "Error: no ensurepip" >&2; exit 1');
    const { code, said } = await refusal(installation(), python);
    expect(said).toMatch(
      /Python cannot make a virtual environment: .*no ensurepip\n.*apt-get install python3-venv/,
    );
    expect(readdirSync(join(directory, 'install'))).toEqual([]);
    expect(code).toBe(1);
  });

  it('a first start without network', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    server.close();
    await once(server, 'close');
    const { code, said } = await refusal(installation(), {
      PIP_INDEX_URL: `http://127.0.0.1:${port}/simple`,
      PIP_CONFIG_FILE: '/dev/null',
      PIP_EXTRA_INDEX_URL: '',
      PIP_FIND_LINKS: '',
      PIP_NO_CACHE_DIR: '1',
      PIP_RETRIES: '0',
    });
    expect(said).toContain('pip cannot install the AWS emulator');
    expect(said).toContain('check the network');
    expect(said).toContain('AWS_ENDPOINT_URL');
    expect(code).toBe(1);
  }, 120_000);
});
