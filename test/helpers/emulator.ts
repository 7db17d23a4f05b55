/** The AWS emulator for tests: one per test file, on a free port, with its state in a temporary folder. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateTableCommand, DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { SQSClient } from '@aws-sdk/client-sqs';
import { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import { FLEET_KEY } from '../../core/fleet.ts';
import { BY_TENANT_INDEX, BY_TIME_INDEX } from '../../core/index-entries.ts';
import { manifestKey } from '../../core/keys.ts';
import type { Manifest } from '../../core/manifest.ts';
import { installEmulator, startEmulator } from '../../local/cloud/emulator.ts';
import { HOST } from '../../local/cloud/ports.ts';

export const ACCOUNT = '000000000000';

/** The emulator checks the signatures of presigned addresses, by the secret that it has when none is set. */
const CREDENTIALS = { accessKeyId: ACCOUNT, secretAccessKey: 'test' };

const INSTALLATION = join(import.meta.dirname, '../../.local/emulator');

/** For `beforeAll`: the first start on a machine downloads the emulator. */
export const EMULATOR_START_TIMEOUT_MS = 6 * 60_000;

export interface TestEmulator {
  pid: number;
  endpoint: string;
  credentials: { accessKeyId: string; secretAccessKey: string };
  /** Clients; `stop` closes them. */
  s3: (region: string) => S3Client;
  dynamo: (region: string) => DynamoDBClient;
  /** As the functions use it. */
  documents: (region: string) => DynamoDBDocumentClient;
  sqs: (region: string) => SQSClient;
  stop: () => Promise<void>;
}

/** Starts it; `stop` removes all that it kept. */
export async function startTestEmulator(): Promise<TestEmulator> {
  const directory = mkdtempSync(join(tmpdir(), 'siprec-ha-emulator-'));
  const python = await installEmulator(INSTALLATION);
  const port = await freePort();
  const child = await startEmulator(python, directory, port, join(directory, 'emulator.log'));
  const endpoint = `http://${HOST}:${port}`;
  const open: { destroy: () => void }[] = [];
  const keep = <T extends { destroy: () => void }>(client: T): T => {
    open.push(client);
    return client;
  };
  const dynamo = (region: string) => keep(new DynamoDBClient({ endpoint, credentials: CREDENTIALS, region }));
  return {
    pid: child.pid,
    endpoint,
    credentials: CREDENTIALS,
    s3: (region) => keep(new S3Client({ endpoint, credentials: CREDENTIALS, region, forcePathStyle: true })),
    dynamo,
    documents: (region) =>
      DynamoDBDocumentClient.from(dynamo(region), { marshallOptions: { removeUndefinedValues: true } }),
    sqs: (region) => keep(new SQSClient({ endpoint, credentials: CREDENTIALS, region })),
    stop: async () => {
      for (const client of open) client.destroy();
      await child.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, HOST);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** A table with the keys of the index, as the index stack makes it; its template test holds both together. */
export async function createIndexTable(client: DynamoDBClient, tableName: string): Promise<void> {
  const keys = (partition: string, sort: string) => [
    { AttributeName: partition, KeyType: 'HASH' as const },
    { AttributeName: sort, KeyType: 'RANGE' as const },
  ];
  await client.send(
    new CreateTableCommand({
      TableName: tableName,
      BillingMode: 'PAY_PER_REQUEST',
      AttributeDefinitions: ['pk', 'sk', 'timePk', 'timeSk', 'tenantPk'].map((name) => ({
        AttributeName: name,
        AttributeType: 'S' as const,
      })),
      KeySchema: keys('pk', 'sk'),
      GlobalSecondaryIndexes: [
        [BY_TIME_INDEX, 'timePk'] as const,
        [BY_TENANT_INDEX, 'tenantPk'] as const,
      ].map(([IndexName, partition]) => ({
        IndexName,
        KeySchema: keys(partition, 'timeSk'),
        Projection: { ProjectionType: 'ALL' as const },
      })),
      StreamSpecification: { StreamEnabled: true, StreamViewType: 'NEW_AND_OLD_IMAGES' },
    }),
  );
}

/** A table with the key of a fleet table, as the steering stack makes it. */
export async function createFleetTable(client: DynamoDBClient, tableName: string): Promise<void> {
  await client.send(
    new CreateTableCommand({
      TableName: tableName,
      BillingMode: 'PAY_PER_REQUEST',
      AttributeDefinitions: [{ AttributeName: FLEET_KEY, AttributeType: 'S' }],
      KeySchema: [{ AttributeName: FLEET_KEY, KeyType: 'HASH' }],
    }),
  );
}

/** Puts a manifest where its recorder would. Returns its key. */
export async function putManifest(s3: S3Client, bucket: string, manifest: Manifest): Promise<string> {
  const { homeRegion, recordingId, startedAt } = manifest;
  const key = manifestKey({ homeRegion, recordingId, startedAt: new Date(startedAt) });
  await s3.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: JSON.stringify(manifest) }));
  return key;
}
