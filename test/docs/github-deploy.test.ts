/** The example of a pipeline, which nobody runs here: what can be known of it without GitHub. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { parseDeployment } from '../../core/deployment.ts';
import { SEVERITIES } from '../../infra/monitoring/alarm.ts';

const ROOT = join(import.meta.dirname, '../..');
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

interface Step {
  run?: string;
  uses?: string;
  with?: Record<string, unknown>;
}
interface Job {
  needs?: string | string[];
  environment?: string;
  steps: Step[];
}
const { env, jobs } = parse(read('deployments/ci/github-deploy.yml')) as {
  env: Record<string, string>;
  jobs: Record<string, Job>;
};
const { synthesise, ...regions } = jobs;
const example = parseDeployment(read('deployments/example.yaml'), 'deployments/example.yaml');
const fromEnv = (name: string): string => `\${{ env.${name} }}`;
const scripts = Object.values(jobs).flatMap(({ steps }) => steps.flatMap(({ run }) => run ?? []));

describe('deployments/ci/github-deploy.yml', () => {
  it('deploys the regions of the example, one after the other, each in its environment', () => {
    expect(Object.keys(regions)).toEqual(example.regions.map(({ name }) => name));
    const jobsBefore = ['synthesise', ...Object.keys(regions)];
    for (const [index, [region, { needs, environment }]] of Object.entries(regions).entries()) {
      expect([needs].flat()).toContain(jobsBefore[index]);
      expect(environment).toBe(region);
    }
  });

  it('runs npm scripts that there are', () => {
    const named = scripts.flatMap((run) => /npm run ([\w:-]+)/.exec(run)?.[1] ?? []);
    expect(named.length).toBeGreaterThan(0);
    expect(Object.keys(JSON.parse(read('package.json')).scripts)).toEqual(expect.arrayContaining(named));
  });

  it('has scripts that a shell can read', () => {
    for (const run of scripts) execFileSync('bash', ['-n', '-c', run.replaceAll(/\$\{\{.*?\}\}/g, 'x')]);
  });

  it('watches alarms of this deployment alone, by severities that there are', () => {
    expect(env.NAME).toBe(example.name);
    const watching = scripts.filter((run) => run.includes('describe-alarms'));
    expect(new Set(watching).size).toBe(1);
    expect(watching[0]).toContain('--alarm-name-prefix "$NAME-"');
    const asked = [...(watching[0] ?? '').matchAll(/\$\(alarms (\w+)\)/g)].map(([, severity]) => severity);
    expect(asked).toEqual([...SEVERITIES]);
  });

  it('gives what a pull request runs no role that deploys', () => {
    const rolesOf = ({ steps }: Job) => steps.flatMap((step) => step.with?.['role-to-assume'] ?? []);
    expect(rolesOf(synthesise as Job)).toEqual([fromEnv('DIFF_ROLE')]);
    for (const job of Object.values(regions)) expect(rolesOf(job)).toEqual([fromEnv('DEPLOY_ROLE')]);
  });
});
