import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CDK_ACKNOWLEDGEMENTS } from '../../infra/acknowledged-findings.ts';

const ROOT = join(import.meta.dirname, '../..');
const CDK = join(ROOT, 'node_modules/aws-cdk/bin/cdk');
const TIMEOUT_MS = 120_000; // two seconds where nothing else runs

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'siprec-ha-cdk-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/**
 * The CDK's command line, as someone has it who never saw AWS: no credentials, no profile, no home. As `npm run synth`: all stacks are
 * named, for the CDK tells nothing of those that are not, and warnings are errors.
 */
function synth(...args: string[]): Promise<{ code: unknown; output: string }> {
  const bare = Object.entries(process.env).filter(([name]) => !/^(AWS_|CDK_)/.test(name));
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [
        CDK,
        'synth',
        '**',
        '-q',
        '--strict',
        '--output',
        join(directory, 'out'),
        '--no-notices',
        '--no-color',
        ...args,
      ],
      {
        cwd: ROOT,
        timeout: TIMEOUT_MS,
        env: {
          ...Object.fromEntries(bare),
          HOME: directory,
          PATH: `${join(ROOT, 'node_modules/.bin')}:${process.env.PATH}`,
          AWS_EC2_METADATA_DISABLED: 'true',
          CDK_DISABLE_CLI_TELEMETRY: 'true',
        },
      },
      (error, stdout, stderr) => resolve({ code: error ? error.code : 0, output: stdout + stderr }),
    );
  });
}

const STACK_TRACE = /^\s+at .+[:(]\d+/m;

describe('cdk synth', () => {
  it(
    'needs neither credentials nor network for the example, and warns of nothing',
    async () => {
      const started = performance.now();
      const { code, output } = await synth();
      expect({ code, output: code === 0 ? '' : output }).toEqual({ code: 0, output: '' });
      console.info(`cdk synth of the example took ${((performance.now() - started) / 1000).toFixed(1)} s`);
      const { artifacts } = JSON.parse(readFileSync(join(directory, 'out/manifest.json'), 'utf8'));
      expect(Object.keys(artifacts)).toEqual(
        expect.arrayContaining(['assembly-us-east-1', 'assembly-us-west-2']),
      );
      // The CDK's own validation has run, and has found what is acknowledged, and nothing else.
      const { pluginReports } = JSON.parse(
        readFileSync(join(directory, 'out/validation-report.json'), 'utf8'),
      );
      const report = pluginReports.find(
        ({ pluginName }: { pluginName: string }) => pluginName === 'CloudFormation Validate',
      );
      const rules = (violations: { ruleName: string }[]) => [
        ...new Set(violations.map(({ ruleName }) => ruleName)),
      ];
      expect(rules(report.violations)).toEqual([]);
      expect(rules(report.suppressedViolations).map((rule) => `CloudFormation-Validate::${rule}`)).toEqual(
        CDK_ACKNOWLEDGEMENTS.map(({ rule }) => rule),
      );
    },
    TIMEOUT_MS,
  );

  it(
    'takes the deployment file that is named',
    async () => {
      const { code } = await synth('-c', 'deployment=deployments/local.yaml');
      expect(code).toBe(0);
      const stage = JSON.parse(readFileSync(join(directory, 'out/assembly-us-west-2/manifest.json'), 'utf8'));
      expect(JSON.stringify(stage)).toContain('aws://000000000000/us-west-2');
    },
    TIMEOUT_MS,
  );

  it(
    'lists every problem of a broken deployment file, without a stack trace',
    async () => {
      const file = join(directory, 'broken.yaml');
      const text = readFileSync(join(ROOT, 'deployments/example.yaml'), 'utf8');
      writeFileSync(file, text.replace('us-east-1c', 'us-west-2c').replace('days: 2555', 'days: 0'));
      const { code, output } = await synth('-c', `deployment=${file}`);
      expect(code).not.toBe(0);
      expect(output).toContain('has 2 problems:');
      expect(output).toContain(
        'regions[0].slots[2].zone: "us-west-2c": write an availability zone of us-east-1, such as us-east-1a',
      );
      expect(output).toContain('retention.days: 0: write a whole number of days from 1 to 36500');
      expect(output).not.toMatch(STACK_TRACE);
      expect(existsSync(join(directory, 'out/manifest.json'))).toBe(false);
    },
    TIMEOUT_MS,
  );

  it(
    'says which deployment file is missing, and how to name one',
    async () => {
      const { code, output } = await synth('-c', 'deployment=deployments/nowhere.yaml');
      expect(code).not.toBe(0);
      expect(output).toContain(
        'deployments/nowhere.yaml has 1 problem:\n  (file): nothing: there is no such file: name another with -c deployment=<path>',
      );
      expect(output).not.toMatch(STACK_TRACE);
    },
    TIMEOUT_MS,
  );
});
