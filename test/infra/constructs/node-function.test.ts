import { execFile } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { SLOTS } from '../../../functions/assure-recordings/constants.ts';
import { API_AUTH, RECORDINGS_BUCKET, SLOTS_BY_ZONE } from '../../../functions/query-api/constants.ts';
import {
  COPY_QUEUE,
  FLEET_TABLE,
  INDEX_TABLE,
  MANIFEST_EVENTS,
  METRICS_NAMESPACE_VARIABLE,
  RECORDING_BUCKETS,
  RECORDING_PLACES,
  REPLICATION_PAIRS,
  REPLICATION_RULES,
  RETENTION,
} from '../../../functions/shared/environment.ts';
import { STEERED_NAMES, ZONE } from '../../../functions/steer-traffic/constants.ts';
import { type Resource, resourcesOf, STACKS, type Synthesized, synthesizeExample } from '../synth.ts';

const run = promisify(execFile);
const MAX_BUNDLE_BYTES = 2 * 1024 * 1024;
/** What each function's construct must set, with a value that it takes. */
const VARIABLES: Record<string, Record<string, string>> = {
  'index-recording': {
    [INDEX_TABLE]: 'index',
    [COPY_QUEUE]: 'https://sqs.example.com/copy-jobs',
    [REPLICATION_RULES]: '[{"to":"us-west-2","mode":"onCompletion"}]',
  },
  'query-api': {
    [INDEX_TABLE]: 'index',
    [RECORDING_BUCKETS]: '{"us-east-1":"recordings"}',
    [RETENTION]: '{"days":30}',
    [FLEET_TABLE]: 'fleet',
    [RECORDINGS_BUCKET]: 'recordings',
    [REPLICATION_PAIRS]: '[]',
    [SLOTS_BY_ZONE]: '{"us-east-1a":["use1-1"]}',
    [API_AUTH]: '{"auth":"iam"}',
  },
  'expire-recordings': {
    [INDEX_TABLE]: 'index',
    [RECORDING_BUCKETS]: '{"us-east-1":"recordings"}',
    [RETENTION]: '{"days":30}',
  },
  'replicate-recording': {
    [INDEX_TABLE]: 'index',
    [COPY_QUEUE]: 'https://sqs.example.com/copy-jobs',
    [RECORDING_PLACES]: '{"us-east-1":{"bucket":"recordings","kmsKeyId":"key"}}',
    [REPLICATION_RULES]: '[{"to":"us-west-2","mode":"onCompletion"}]',
  },
  'sweep-recordings': {
    [INDEX_TABLE]: 'index',
    [COPY_QUEUE]: 'https://sqs.example.com/copy-jobs',
    [RECORDING_PLACES]: '{"us-east-1":{"bucket":"recordings","kmsKeyId":"key"}}',
    [REPLICATION_RULES]: '[{"to":"us-west-2","mode":"onCompletion"}]',
    [MANIFEST_EVENTS]: 'https://sqs.example.com/manifest-events',
  },
  'assure-recordings': { [FLEET_TABLE]: 'fleet', [INDEX_TABLE]: 'index', [SLOTS]: '["use1-1"]' },
  'steer-traffic': {
    [FLEET_TABLE]: 'fleet',
    [ZONE]: 'rec.example.com',
    [STEERED_NAMES]: '{"_sip._udp.siprec.rec.example.com":["use1-1"]}',
  },
};
const FUNCTIONS = Object.keys(VARIABLES);

let synthesized: Synthesized;
beforeAll(() => {
  synthesized = synthesizeExample();
});
afterAll(() => synthesized.remove());

/** All functions of all stacks, by the name of their folder. */
function functions(): [name: string, Resource][] {
  return Object.values(synthesized.regions).flatMap(({ template }) =>
    STACKS.flatMap((stack) =>
      Object.values(resourcesOf(template(stack), 'AWS::Lambda::Function')).flatMap(
        (resource): [string, Resource][] => {
          const name = resource.Properties.Description?.replace('siprec-ha ', '');
          return name === undefined ? [] : [[name, resource]]; // CDK's own, at work only while a stack is deployed
        },
      ),
    ),
  );
}

/** The bundle of a function; the assets of both regions are the same. */
function bundleOf(name: string): string {
  const keys = functions().flatMap(([of, { Properties }]) =>
    of === name ? [Properties.Code.S3Key as string] : [],
  );
  expect(keys).toHaveLength(2);
  expect(new Set(keys).size).toBe(1);
  return join(synthesized.outdir, `asset.${keys[0]?.replace('.zip', '')}`, 'index.mjs');
}

/**
 * Imports a bundle as Lambda does, in a process of its own with only this environment. An error is told by its message alone:
 * Node would print the line of the bundle too, which is larger than a pipe.
 */
const load = (bundle: string, env: Record<string, string>) =>
  run(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `try { console.log(typeof (await import('${pathToFileURL(bundle)}')).handler); }
       catch (error) { console.error(error.message); process.exitCode = 1; }`,
    ],
    { env },
  );

describe('every function', () => {
  it('is one of those that have a folder, in both regions', () => {
    expect(
      functions()
        .map(([name]) => name)
        .sort(),
    ).toEqual([...FUNCTIONS, ...FUNCTIONS].sort());
  });

  it('runs on Node 24 and Graviton, traced, with what its handler reads', () => {
    for (const [name, { Properties }] of functions()) {
      expect(Properties).toMatchObject({
        Runtime: 'nodejs24.x',
        Architectures: ['arm64'],
        Handler: 'index.handler',
        TracingConfig: { Mode: 'Active' },
      });
      const { [METRICS_NAMESPACE_VARIABLE]: namespace, ...others } = Properties.Environment.Variables;
      expect(Object.keys(others)).toEqual(Object.keys(VARIABLES[name] ?? {}));
      expect(namespace).toBe('SiprecHa/siprec');
      expect(Properties.FunctionName).toBe(`siprec-${name}`);
    }
  });

  it('keeps its log for three months', () => {
    for (const { template } of Object.values(synthesized.regions))
      for (const stack of ['index', 'replication', 'retention', 'api', 'steering', 'assurance'] as const) {
        const logs = resourcesOf(template(stack), 'AWS::Logs::LogGroup');
        for (const { Properties } of Object.values(resourcesOf(template(stack), 'AWS::Lambda::Function')))
          expect(logs[Properties.LoggingConfig.LogGroup.Ref]?.Properties.RetentionInDays).toBe(90);
      }
  });

  it.each(FUNCTIONS)('%s is a small bundle that loads by itself', async (name) => {
    const bundle = bundleOf(name);
    expect(existsSync(bundle)).toBe(true);
    expect(statSync(bundle).size).toBeLessThan(MAX_BUNDLE_BYTES);
    const { stdout } = await load(bundle, { ...VARIABLES[name], AWS_REGION: 'us-east-1' });
    expect(stdout.trim()).toBe('function');
  });

  const each = Object.entries(VARIABLES).flatMap(([name, all]) =>
    Object.keys(all).map((variable): [string, string] => [name, variable]),
  );
  it.each(each)('%s says that its construct forgot %s', async (name, variable) => {
    const { [variable]: _, ...others } = VARIABLES[name] ?? {};
    await expect(load(bundleOf(name), { ...others, AWS_REGION: 'us-east-1' })).rejects.toMatchObject({
      stderr: expect.stringContaining(`environment variable ${variable} is not set`),
    });
  });
});
