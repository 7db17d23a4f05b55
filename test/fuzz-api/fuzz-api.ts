/** Runs Schemathesis against the deployed API, from its own OpenAPI document, as a caller of one tenant. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { installPython } from '../../local/cloud/python-environment.ts';
import { INSTALLATION as EMULATOR_INSTALLATION } from '../e2e/npm-start-child.ts';
import { type Leak, startSigningProxy } from './signing-proxy.ts';
import { type FuzzStage, marksOf, TENANTS, type Tenant } from './stage.ts';

const INSTALLATION = join(EMULATOR_INSTALLATION, '../schemathesis');
/** Beyond the time that the run is given: it ends by itself. */
const GRACE_MS = 120_000;

/** Python 3.11 parses source with one recursion depth for all threads, and Hypothesis parses: two workers end in a SystemError. */
const WORKERS = 1;

/** `ignored_auth` cannot be told behind a proxy that signs; a query that fits the schema may still end before it begins. */
const CHECKS = [
  'not_a_server_error',
  'status_code_conformance',
  'content_type_conformance',
  'response_headers_conformance',
  'response_schema_conformance',
  'negative_data_rejection',
  'unsupported_method',
  'allow_header_conformance',
];

export interface FuzzRun {
  tenant: Tenant;
  /** Whether Schemathesis found nothing. */
  passed: boolean;
  /** All that it said. */
  output: string;
  leaks: Leak[];
  /** Answers, by status. */
  statuses: Record<string, number>;
}

export interface FuzzOptions {
  seconds: number;
  seed: number;
}

export async function fuzzAs(
  { api, manifests }: FuzzStage,
  tenant: Tenant,
  { seconds, seed }: FuzzOptions,
): Promise<FuzzRun> {
  const python = await installPython(INSTALLATION, {
    requirements: join(import.meta.dirname, 'requirements.txt'),
    what: 'Schemathesis',
  });
  const other = TENANTS.find((one) => one !== tenant) as Tenant;
  const proxy = await startSigningProxy(api(tenant), marksOf(other, manifests[other]));
  const directory = mkdtempSync(join(tmpdir(), 'siprec-ha-fuzz-api-'));
  try {
    const seeds = join(directory, 'seeds.json');
    writeFileSync(seeds, JSON.stringify(seedsOf(manifests)));
    const { passed, output } = await run(
      python,
      [
        ...['-m', 'schemathesis.cli', 'run', `${proxy.url}/openapi.json`, '--url', proxy.url],
        ...['--checks', CHECKS.join(','), '--max-time', String(seconds), '--seed', String(seed)],
        ...['--suppress-health-check', 'all', '--generation-database', 'none', '--workers', String(WORKERS)],
        ...['--continue-on-failure', '--no-color', '--warnings', 'off', '--request-timeout', '30'],
      ],
      { SCHEMATHESIS_HOOKS: join(import.meta.dirname, 'hooks.py'), FUZZ_API_SEEDS: seeds },
      seconds * 1000 + GRACE_MS,
      directory,
    );
    return { tenant, passed, output, leaks: proxy.leaks, statuses: Object.fromEntries(proxy.statuses) };
  } finally {
    await proxy.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Of both tenants: what is another's must be asked for too. */
function seedsOf(manifests: FuzzStage['manifests']): object {
  const all = Object.values(manifests).flat();
  return {
    recordings: all.map(({ recordingId }) => recordingId),
    calls: all.flatMap(({ call }) => call.correlationIds),
    query: {
      from: ['2026-01-01T00:00:00Z'],
      to: ['2099-01-01T00:00:00Z'],
      tenant: [...TENANTS],
      number: ['+12145550101', '12145550102'],
      user: ['alice@example.com'],
      group: ['sales'],
      slot: ['use1-1'],
      text: ['ali', 'Alice'],
    },
  };
}

function run(
  python: string,
  args: string[],
  env: Record<string, string>,
  timeout: number,
  cwd: string,
): Promise<{ passed: boolean; output: string }> {
  return new Promise((resolve) => {
    execFile(
      python,
      args,
      {
        cwd,
        timeout,
        maxBuffer: 64 * 1024 * 1024,
        env: { PATH: process.env.PATH, HOME: cwd, PYTHONDONTWRITEBYTECODE: '1', NO_PROXY: '*', ...env },
      },
      (error, stdout, stderr) => resolve({ passed: !error, output: stdout + stderr }),
    );
  });
}
