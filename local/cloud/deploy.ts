/** Deploys the real stacks into the emulator with the real CDK CLI. */
import { join } from 'node:path';
import { CloudFormationClient, DescribeStacksCommand } from '@aws-sdk/client-cloudformation';
import { HeadBucketCommand, S3Client } from '@aws-sdk/client-s3';
import type { Deployment } from '../../core/deployment.ts';
import { keptAssembly } from './assembly.ts';
import { nodeProgram, runChild } from './child.ts';
import { credentialsOf } from './emulator.ts';
import { LocalCloudError } from './errors.ts';

const ROOT = join(import.meta.dirname, '../..');
const CDK = join(ROOT, 'node_modules/aws-cdk/bin/cdk');
const TIMEOUT_MS = 4 * 60_000;
/** Stacks that are not deployed. */
const NOT_HERE = ['dns', 'edge', 'monitoring', 'network', 'recorders'];
const DEPLOYED = `*/!(${NOT_HERE.join('|')})`;

export interface DeployTarget {
  deployment: Deployment;
  deploymentFile: string;
  /** The emulator's address, `http://127.0.0.1:4566`. */
  endpoint: string;
  /** For the logs. */
  directory: string;
  /** Ends the deployment. */
  signal: AbortSignal;
}

/** Environment in which the AWS SDK and the CLI talk to the emulator, whatever profile and proxy the user has. */
export const emulatorEnvironment = (
  endpoint: string,
  account: string,
  region: string,
): NodeJS.ProcessEnv => ({
  AWS_ENDPOINT_URL: endpoint,
  AWS_ACCESS_KEY_ID: credentialsOf(account).accessKeyId,
  AWS_SECRET_ACCESS_KEY: credentialsOf(account).secretAccessKey,
  AWS_REGION: region,
  AWS_CONFIG_FILE: '/dev/null',
  AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
  AWS_EC2_METADATA_DISABLED: 'true',
  // Undefined is as good as unset: a profile would come before the keys, and a token does not belong to them.
  AWS_PROFILE: undefined,
  AWS_SESSION_TOKEN: undefined,
  NO_PROXY: '*',
  no_proxy: '*',
});

/**
 * Bootstraps what is not bootstrapped and deploys every region's stacks but those that the emulator cannot host. Its CloudFormation
 * has no Elastic IPs and no health checks: `dns-records.ts` makes from the same plan what they would. It has no firewall for
 * APIs (WAF), and checks no certificates. Its EC2 runs nothing:
 * recorders are processes here (`slot.ts`), with neither a network nor hosts to be made for them. It refuses alarms on formulas,
 * and evaluates none.
 * @throws LocalCloudError with the CLI's own words
 */
export async function deployStacks(target: DeployTarget): Promise<void> {
  const { deployment } = target;
  const assembly = await assemblyOf(target);
  const bare: string[] = [];
  for (const { name } of deployment.regions) if (!(await isBootstrapped(target, name))) bare.push(name);
  if (bare.length > 0) {
    const environments = bare.map((region) => `aws://${deployment.account}/${region}`);
    await cdk(target, ['bootstrap', ...environments, '--app', assembly]);
  }
  await cdk(target, [
    'deploy',
    DEPLOYED,
    ...['--app', assembly, '--require-approval', 'never', '--concurrency', '4', '--progress', 'events'],
  ]);
}

/** Destroys what `deployStacks` has deployed; what the stacks retain stays. */
export const destroyStacks = async (target: DeployTarget): Promise<void> =>
  cdk(target, ['destroy', DEPLOYED, '--app', await assemblyOf(target), '--force']);

const assemblyOf = (target: DeployTarget): Promise<string> =>
  keptAssembly(target.deploymentFile, (output) =>
    cdk(target, [
      'synth',
      ...['--context', `deployment=${target.deploymentFile}`],
      ...['--quiet', '--output', output],
    ]),
  );

/** The id of a region's REST API, from the outputs of its stack. */
export async function deployedApiId({ deployment, endpoint }: DeployTarget, region: string): Promise<string> {
  const client = new CloudFormationClient({
    region,
    endpoint,
    credentials: credentialsOf(deployment.account),
  });
  const { Stacks } = await client.send(new DescribeStacksCommand({ StackName: `${deployment.name}-api` }));
  const id = Stacks?.[0]?.Outputs?.find(({ OutputKey }) => OutputKey === 'ApiId')?.OutputValue;
  if (!id) throw new LocalCloudError(`the stack ${deployment.name}-api in ${region} has no output ApiId`);
  return id;
}

/** The bootstrap stack's asset bucket stands for the whole stack: looking is ten times faster than bootstrapping. */
async function isBootstrapped({ deployment, endpoint }: DeployTarget, region: string): Promise<boolean> {
  const client = new S3Client({
    region,
    endpoint,
    forcePathStyle: true,
    credentials: credentialsOf(deployment.account),
  });
  try {
    await client.send(
      new HeadBucketCommand({ Bucket: `cdk-hnb659fds-assets-${deployment.account}-${region}` }),
    );
    return true;
  } catch (error) {
    if ((error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode === 404)
      return false;
    throw new LocalCloudError(
      `the AWS emulator at ${endpoint} does not answer: ${(error as Error).message}`,
      {
        cause: error,
      },
    );
  }
}

async function cdk(
  { deployment, endpoint, directory, signal }: DeployTarget,
  args: [string, ...string[]],
): Promise<void> {
  const name = `cdk ${args[0]}`;
  const logFile = join(directory, 'logs', `cdk-${args[0]}.log`);
  const common = ['--no-notices', '--no-version-reporting', '--ci', '--no-color'];
  const region = (deployment.regions[0] as { name: string }).name;
  const { code, lines } = await runChild({
    name,
    command: nodeProgram(CDK, [...args, ...common]),
    cwd: ROOT,
    logFile,
    signal,
    timeoutMs: TIMEOUT_MS,
    env: {
      ...process.env,
      ...emulatorEnvironment(endpoint, deployment.account, region),
      PATH: `${join(ROOT, 'node_modules/.bin')}:${process.env.PATH}`,
      CDK_DISABLE_CLI_TELEMETRY: 'true',
    },
  });
  if (code === 0) return;
  const telling = lines.filter((line) => /❌|error|fail/i.test(line));
  throw new LocalCloudError(
    [
      `${name} failed:`,
      ...(telling.length > 0 ? telling : lines).slice(-6),
      `  all it said: ${logFile}`,
    ].join('\n'),
  );
}
