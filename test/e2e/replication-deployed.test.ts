/** Replication as it is deployed: the stacks in the emulator, without recorders. What they would upload is stored by the test. */
import { InvokeCommand, LambdaClient, paginateListFunctions } from '@aws-sdk/client-lambda';
import { DeleteObjectCommand, ListObjectVersionsCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { PurgeQueueCommand } from '@aws-sdk/client-sqs';
import { DeleteCommand } from '@aws-sdk/lib-dynamodb';
import type { Deployment } from '../../core/deployment.ts';
import { copyKey, type RecordingCopy } from '../../core/index-items.ts';
import { indexTableName, recordingsBucketName } from '../../core/names.ts';
import { SERVICE_NAME as EXPIRE } from '../../functions/expire-recordings/constants.ts';
import { COPY_QUEUE, MANIFEST_EVENTS } from '../../functions/shared/environment.ts';
import { type ApiRequest, apiRequest } from '../../local/api-client.ts';
import { type DeployTarget, deployedApiId } from '../../local/cloud/deploy.ts';
import { replicateTable } from '../../local/cloud/global-table.ts';
import type { TestEmulator } from '../helpers/emulator.ts';
import { recordingIdAt } from '../helpers/manifest.ts';
import { bytesOf, type StoredRecording, sha256Hex, storeRecording } from '../helpers/stored-recording.ts';
import { CLOUD_START_TIMEOUT_MS } from './cloud.ts';
import { type DeployedStacks, deployForTest } from './deployed.ts';
import { eventually } from './eventually.ts';

const TIMEOUT_MS = 2 * 60_000;
const HOME = 'us-east-1';
const OTHER = 'us-west-2';
const HOUR_MS = 3_600_000;

let stacks: DeployedStacks;
let emulator: TestEmulator;
let deployment: Deployment;
let target: DeployTarget;
let lambda: LambdaClient;

beforeAll(async () => {
  stacks = await deployForTest();
  ({ emulator, deployment, target } = stacks);
  const { endpoint, credentials } = emulator;
  const tableName = indexTableName(deployment);
  await replicateTable({ endpoint, credentials, tableName, regions: [HOME, OTHER] });
  lambda = new LambdaClient({ endpoint, credentials, region: HOME });
}, CLOUD_START_TIMEOUT_MS);
afterAll(async () => {
  lambda?.destroy();
  await stacks?.stop();
});

const bucketIn = (region: string) => recordingsBucketName(deployment, region);

/** A recording that ended so long ago, uploaded now. */
const store = (region: string, index: number): Promise<StoredRecording> => {
  const startedAt = new Date(Date.now() - 3 * HOUR_MS - index).toISOString();
  return storeRecording(
    emulator.s3(region),
    bucketIn(region),
    { audio: bytesOf(50_000, index) },
    { startedAt, homeRegion: region, recordingId: recordingIdAt(startedAt) },
  );
};

const ask = (region: string, path: string): Promise<unknown> => request(region, { method: 'GET', path });

async function request(region: string, asked: ApiRequest): Promise<unknown> {
  const url = `${emulator.endpoint}/restapis/${await deployedApiId(target, region)}/v1/_user_request_`;
  return apiRequest({ url, region, credentials: emulator.credentials }, asked);
}

const replicaOf = async (
  region: string,
  { manifest }: StoredRecording,
): Promise<RecordingCopy | undefined> => {
  const { copies } = (await ask(region, `/recordings/${manifest.recordingId}`).catch(() => ({
    copies: [],
  }))) as { copies: RecordingCopy[] };
  return copies.find(({ role }) => role === 'replica');
};

const verifiedReplica = (region: string, recording: StoredRecording, after = '') =>
  eventually(`a verified copy of ${recording.key}`, async () => {
    const copy = await replicaOf(region, recording);
    return copy?.state === 'verified' && (copy.verifiedAt ?? '') > after ? copy : undefined;
  });

/** The function of the home region whose environment has this variable and is the sweep's. */
async function sweepFunction() {
  for await (const { Functions = [] } of paginateListFunctions({ client: lambda }, {}))
    for (const candidate of Functions)
      if (candidate.Environment?.Variables?.[MANIFEST_EVENTS]) return candidate;
  throw new Error('there is no sweep');
}

const sweep = async (): Promise<void> => invoke((await sweepFunction()).FunctionName);

/** The function of the home region that deletes. */
async function expire(): Promise<void> {
  for await (const { Functions = [] } of paginateListFunctions({ client: lambda }, {}))
    for (const { FunctionName, Description } of Functions)
      if (Description?.endsWith(EXPIRE)) return invoke(FunctionName);
  throw new Error(`there is no ${EXPIRE}`);
}

async function invoke(FunctionName: string | undefined): Promise<void> {
  const { FunctionError, Payload } = await lambda.send(new InvokeCommand({ FunctionName }));
  expect([FunctionError, Payload && Buffer.from(Payload).toString()]).toEqual([undefined, 'null']);
}

describe('the deployed replication', () => {
  let recordings: StoredRecording[];

  it(
    'copies what either region records to the other, and each plays its own copy when the home bucket has lost it',
    async () => {
      recordings = await Promise.all(Array.from({ length: 12 }, (_, index) => store(HOME, index)));
      const western = await store(OTHER, 100);
      for (const recording of recordings)
        expect(await verifiedReplica(OTHER, recording)).toMatchObject({
          region: OTHER,
          bucket: bucketIn(OTHER),
        });
      expect(await verifiedReplica(HOME, western)).toMatchObject({ region: HOME, bucket: bucketIn(HOME) });

      const [audio] = western.keys as [string];
      await emulator.s3(OTHER).send(new DeleteObjectCommand({ Bucket: bucketIn(OTHER), Key: audio }));
      for (const asked of [HOME, OTHER]) {
        const path = `/recordings/${western.manifest.recordingId}/audio`;
        const { url, region } = (await ask(asked, path)) as { url: string; region: string };
        expect(region).toBe(HOME);
        const bytes = Buffer.from(await (await fetch(url)).arrayBuffer());
        expect(sha256Hex(bytes)).toBe(western.manifest.files[0]?.sha256);
      }
    },
    TIMEOUT_MS,
  );

  it(
    'makes good by its sweep what was lost from the queue, and what was changed at the target',
    async () => {
      const [lost, changed] = recordings as [StoredRecording, StoredRecording];
      const Key = copyKey(lost.manifest.recordingId, OTHER);
      await emulator.documents(HOME).send(new DeleteCommand({ TableName: indexTableName(deployment), Key }));
      const { Environment } = await sweepFunction();
      await emulator
        .sqs(HOME)
        .send(new PurgeQueueCommand({ QueueUrl: Environment?.Variables?.[COPY_QUEUE] }));
      const [audio] = changed.keys as [string];
      const content = bytesOf(50_000, 1);
      content[25_000] = (content[25_000] ?? 0) ^ 1;
      await emulator
        .s3(OTHER)
        .send(new PutObjectCommand({ Bucket: bucketIn(OTHER), Key: audio, Body: content }));
      const { verifiedAt } = (await replicaOf(HOME, changed)) as RecordingCopy;

      await sweep(); // learns how few there are,
      await sweep(); // and checks all of them
      await verifiedReplica(OTHER, lost);
      await verifiedReplica(OTHER, changed, verifiedAt);
      const path = `/recordings/${changed.manifest.recordingId}/audio`;
      const { url, region } = (await ask(OTHER, path)) as { url: string; region: string };
      expect(region).toBe(OTHER);
      const bytes = Buffer.from(await (await fetch(url)).arrayBuffer());
      expect(sha256Hex(bytes)).toBe(changed.manifest.files[0]?.sha256);
    },
    TIMEOUT_MS,
  );

  it(
    'deletes in both regions what is past its retention, and nothing that is under hold',
    async () => {
      const storeOld = (region: string, callId: string, index: number) => {
        const ageMs = (deployment.retention.days + 1) * 24 * HOUR_MS + index;
        const startedAt = new Date(Date.now() - ageMs).toISOString();
        return storeRecording(
          emulator.s3(region),
          bucketIn(region),
          {},
          { startedAt, recordingId: recordingIdAt(startedAt), call: { callId, correlationIds: [callId] } },
        );
      };
      const [young] = recordings as [StoredRecording];
      const path = ({ manifest }: StoredRecording) => `/recordings/${manifest.recordingId}`;
      const { callId } = young.manifest.call;
      const body = { holdId: 'matter-1', reason: 'litigation' };
      await request(OTHER, { method: 'PUT', path: `/calls/${callId}/hold`, body });
      const deletion = request(HOME, { method: 'DELETE', path: path(young), query: { reason: 'asked for' } });
      await expect(deletion).rejects.toThrow(/answered 409.*under hold/);

      // Its copy is there before it: the function runs every minute by itself, and could come in between.
      const { manifest } = await storeOld(OTHER, 'another-call', 1);
      const expired = await storeRecording(emulator.s3(HOME), bucketIn(HOME), {}, manifest);
      const held = await storeOld(HOME, callId, 0);
      await verifiedReplica(OTHER, held);
      await eventually(`the end of ${expired.key}`, async () => {
        await expire();
        const versions = await Promise.all([HOME, OTHER].map((region) => versionsOf(region, expired)));
        return versions.flat().length === 0 || undefined;
      });
      for (const region of [HOME, OTHER]) {
        expect(await ask(region, path(held))).toMatchObject({ isHeld: true, holds: [body] });
        await expect(ask(region, path(expired))).rejects.toThrow(/answered 404/);
      }
      for (const region of [HOME, OTHER])
        expect(await versionsOf(region, held)).toHaveLength(held.keys.length);
    },
    TIMEOUT_MS,
  );
});

async function versionsOf(region: string, { key }: StoredRecording): Promise<unknown[]> {
  const { Versions = [], DeleteMarkers = [] } = await emulator.s3(region).send(
    new ListObjectVersionsCommand({
      Bucket: bucketIn(region),
      Prefix: key.replace('manifest.json', ''),
    }),
  );
  return [...Versions, ...DeleteMarkers];
}
