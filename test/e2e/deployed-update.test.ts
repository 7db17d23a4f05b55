/**
 * What a changed deployment file does to stacks that are deployed, and what is left of them when they are destroyed: with the real CDK
 * CLI, in the emulator. `test/infra/stages/update.test.ts` does the same on the templates of all stacks.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { CloudFormationClient, ListStackResourcesCommand } from '@aws-sdk/client-cloudformation';
import { DescribeTableCommand } from '@aws-sdk/client-dynamodb';
import { GetFunctionConfigurationCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { HeadBucketCommand, HeadObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { GetQueueUrlCommand, ReceiveMessageCommand, SendMessageCommand } from '@aws-sdk/client-sqs';
import { GetParameterCommand, PutParameterCommand, SSMClient } from '@aws-sdk/client-ssm';
import { GetCommand, PutCommand } from '@aws-sdk/lib-dynamodb';
import { type Deployment, parseDeployment } from '../../core/deployment.ts';
import { fleetTableName, regionSwitchName } from '../../core/fleet.ts';
import {
  accessLogsBucketName,
  deadLetterQueueName,
  functionName,
  indexTableName,
  queueName,
  recordingsBucketName,
} from '../../core/names.ts';
import { SLOTS_BY_ZONE } from '../../functions/query-api/constants.ts';
import { RETENTION } from '../../functions/shared/environment.ts';
import { deployStacks, destroyStacks } from '../../local/cloud/deploy.ts';
import type { TestEmulator } from '../helpers/emulator.ts';
import { CLOUD_START_TIMEOUT_MS } from './cloud.ts';
import { type DeployedStacks, deployForTest } from './deployed.ts';

const DEPLOY_TIMEOUT_MS = 4 * 60_000;
const [EAST, WEST] = ['us-east-1', 'us-west-2'] as const;
const REGIONS = [EAST, WEST];
/** One way only at first. */
const BACK = '  - { from: us-west-2, to: us-east-1, mode: onCompletion }\n';
const STACKS = ['storage', 'index', 'steering'];
const HOLDING = /^AWS::(S3::Bucket|DynamoDB::\w*Table|KMS::Key|SQS::Queue|SSM::Parameter)$/;

let stacks: DeployedStacks;
let emulator: TestEmulator;
let deployment: Deployment;
const clients: { destroy: () => void }[] = [];

beforeAll(async () => {
  stacks = await deployForTest((text) => text.replace(BACK, ''));
  ({ emulator, deployment } = stacks);
}, CLOUD_START_TIMEOUT_MS);
afterAll(async () => {
  for (const client of clients) client.destroy();
  await stacks?.stop();
});

const options = (region: string) => ({
  endpoint: emulator.endpoint,
  credentials: emulator.credentials,
  region,
});
function opened<T extends { destroy: () => void }>(client: T): T {
  clients.push(client);
  return client;
}

/** Ids that AWS or the emulator gave to what holds something, of both regions. */
async function holding(): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const region of REGIONS) {
    const client = opened(new CloudFormationClient(options(region)));
    for (const stack of STACKS) {
      const { StackResourceSummaries = [] } = await client.send(
        new ListStackResourcesCommand({ StackName: `${deployment.name}-${stack}` }),
      );
      for (const { ResourceType = '', LogicalResourceId, PhysicalResourceId = '' } of StackResourceSummaries)
        if (HOLDING.test(ResourceType)) found[`${region} ${stack} ${LogicalResourceId}`] = PhysicalResourceId;
    }
  }
  return found;
}

const queueUrl = async (region: string, QueueName: string): Promise<string> =>
  (await emulator.sqs(region).send(new GetQueueUrlCommand({ QueueName }))).QueueUrl as string;

const object = (region: string) => ({
  Bucket: recordingsBucketName(deployment, region),
  Key: `rec/${region}/kept`,
});
const item = { pk: 'REC#kept', sk: 'META' };

describe('a changed deployment file', () => {
  it(
    'adds a slot, a target and a retention, and replaces nothing that holds anything',
    async () => {
      const ssm = opened(new SSMClient(options(WEST)));
      const Name = regionSwitchName(deployment);
      const dead = await queueUrl(EAST, deadLetterQueueName(deployment, 'manifest-events'));
      for (const region of REGIONS)
        await emulator.s3(region).send(new PutObjectCommand({ ...object(region), Body: 'kept' }));
      await emulator
        .documents(EAST)
        .send(new PutCommand({ TableName: indexTableName(deployment), Item: item }));
      await emulator.sqs(EAST).send(new SendMessageCommand({ QueueUrl: dead, MessageBody: 'kept' }));
      await ssm.send(new PutParameterCommand({ Name, Value: 'closed', Overwrite: true }));
      const before = await holding();
      expect(Object.keys(before).length).toBeGreaterThanOrEqual(16);

      const { deploymentFile } = stacks.target;
      const text = readFileSync(deploymentFile, 'utf8')
        .replace(
          '      - { name: use1-2',
          '      - { name: use1-9, zone: us-east-1c, callCapacity: 100 }\n      - { name: use1-2',
        )
        .replace('mode: onCompletion }\n', `mode: onCompletion, filters: { minDurationMs: 1000 } }\n${BACK}`)
        .replace('days: 30', 'days: 60');
      writeFileSync(deploymentFile, text);
      const changed = parseDeployment(text, deploymentFile);
      await deployStacks({ ...stacks.target, deployment: changed });

      // The change has arrived,
      const lambda = opened(new LambdaClient(options(EAST)));
      const variables = async (folder: string) =>
        (
          await lambda.send(
            new GetFunctionConfigurationCommand({ FunctionName: functionName(deployment, folder) }),
          )
        ).Environment?.Variables ?? {};
      expect(JSON.parse((await variables('query-api'))[SLOTS_BY_ZONE] as string)).toMatchObject({
        'us-east-1c': ['use1-9'],
      });
      expect(JSON.parse((await variables('expire-recordings'))[RETENTION] as string)).toEqual({ days: 60 });
      expect(await queueUrl(WEST, queueName(deployment, 'copy-jobs'))).toContain('copy-jobs');
      // and what was there is there, under its old id.
      expect(await holding()).toMatchObject(before);
      for (const region of REGIONS) await emulator.s3(region).send(new HeadObjectCommand(object(region)));
      const { Item } = await emulator
        .documents(EAST)
        .send(new GetCommand({ TableName: indexTableName(deployment), Key: item }));
      expect(Item).toEqual(item);
      const { Messages } = await emulator.sqs(EAST).send(new ReceiveMessageCommand({ QueueUrl: dead }));
      expect(Messages?.map(({ Body }) => Body)).toEqual(['kept']);
      // An operator has closed the region: a deploy does not open it.
      expect((await ssm.send(new GetParameterCommand({ Name }))).Parameter?.Value).toBe('closed');
    },
    DEPLOY_TIMEOUT_MS,
  );
});

describe('stacks that are destroyed', () => {
  it(
    'leave recordings, access logs and the index, and nothing that runs',
    async () => {
      await destroyStacks(stacks.target);
      for (const region of REGIONS) {
        await emulator.s3(region).send(new HeadObjectCommand(object(region)));
        await emulator
          .s3(region)
          .send(new HeadBucketCommand({ Bucket: accessLogsBucketName(deployment, region) }));
        const lambda = opened(new LambdaClient(options(region)));
        await expect(
          lambda.send(
            new GetFunctionConfigurationCommand({ FunctionName: functionName(deployment, 'query-api') }),
          ),
        ).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
        await expect(
          emulator.dynamo(region).send(new DescribeTableCommand({ TableName: fleetTableName(deployment) })),
        ).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
      }
      const { Item } = await emulator
        .documents(EAST)
        .send(new GetCommand({ TableName: indexTableName(deployment), Key: item }));
      expect(Item).toEqual(item);
    },
    DEPLOY_TIMEOUT_MS,
  );
});
