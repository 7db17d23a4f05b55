/** A first creation that fails leaves nothing in the way of the next try: the storage stack's template, in the emulator. */
import {
  CloudFormationClient,
  CreateStackCommand,
  DeleteStackCommand,
  DescribeStackEventsCommand,
  waitUntilStackCreateComplete,
  waitUntilStackDeleteComplete,
} from '@aws-sdk/client-cloudformation';
import { HeadBucketCommand } from '@aws-sdk/client-s3';
import { accessLogsBucketName, recordingsBucketName } from '../../../core/names.ts';
import { EMULATOR_START_TIMEOUT_MS, startTestEmulator, type TestEmulator } from '../../helpers/emulator.ts';
import { type Synthesized, synthesizeExample, theResource } from '../synth.ts';

const REGION = 'us-east-1';
const StackName = 'siprec-storage';

let emulator: TestEmulator;
let synthesized: Synthesized;
let cloudFormation: CloudFormationClient;
beforeAll(async () => {
  synthesized = synthesizeExample();
  emulator = await startTestEmulator();
  const { endpoint, credentials } = emulator;
  cloudFormation = new CloudFormationClient({ endpoint, credentials, region: REGION });
}, EMULATOR_START_TIMEOUT_MS);
afterAll(async () => {
  cloudFormation?.destroy();
  synthesized?.remove();
  await emulator?.stop();
});

const waiting = () => ({ client: cloudFormation, maxWaitTime: 60, minDelay: 1, maxDelay: 1 });

/** Without what the CDK adds for its own deploys. @param more resources that are not in it */
function storageTemplate(more: Record<string, unknown> = {}): string {
  const template = synthesized.regions[REGION]?.template('storage').toJSON() ?? {};
  const { Parameters, Rules, ...rest } = template;
  return JSON.stringify({ ...rest, Resources: { ...template.Resources, ...more } });
}

const statusesOf = async (type: string): Promise<string[]> => {
  const { StackEvents = [] } = await cloudFormation.send(new DescribeStackEventsCommand({ StackName }));
  return StackEvents.filter(({ ResourceType }) => ResourceType === type).map(
    ({ LogicalResourceId, ResourceStatus }) => `${LogicalResourceId} ${ResourceStatus}`,
  );
};

it('keeps no names of what it had made, so that the same stack can be made again', async () => {
  const s3 = emulator.s3(REGION);
  const buckets = [accessLogsBucketName, recordingsBucketName].map((name) =>
    name(synthesized.deployment, REGION),
  );
  const template = synthesized.regions[REGION]?.template('storage');
  if (!template) throw new Error(`no region ${REGION}`);
  const [recordings] = theResource(template, 'AWS::S3::Bucket', 'recordings');
  // The last to be made, and it cannot be: the name is taken by then.
  const twin = {
    Type: 'AWS::S3::Bucket',
    DependsOn: [recordings],
    Properties: { BucketName: buckets[0] },
  };
  await cloudFormation.send(new CreateStackCommand({ StackName, TemplateBody: storageTemplate({ twin }) }));
  await expect(waitUntilStackCreateComplete(waiting(), { StackName })).rejects.toThrow(/ROLLBACK_COMPLETE/);
  expect(await statusesOf('AWS::S3::Bucket')).toEqual(
    expect.arrayContaining([`${recordings} CREATE_COMPLETE`, 'twin CREATE_FAILED']),
  );
  for (const Bucket of buckets)
    await expect(s3.send(new HeadBucketCommand({ Bucket }))).rejects.toMatchObject({ name: 'NotFound' });

  await cloudFormation.send(new DeleteStackCommand({ StackName }));
  await waitUntilStackDeleteComplete(waiting(), { StackName });
  await cloudFormation.send(new CreateStackCommand({ StackName, TemplateBody: storageTemplate() }));
  await waitUntilStackCreateComplete(waiting(), { StackName });
  for (const Bucket of buckets) await s3.send(new HeadBucketCommand({ Bucket }));
}, 180_000);
