/**
 * A DynamoDB that keeps its tables sorted on disk: dynalite, over LevelDB. MiniStack holds every item in memory, at some
 * 12 kB each, and sorts a whole partition for each query.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import { nodeProgram, startChild } from '../../local/cloud/child.ts';
import { HOST } from '../../local/cloud/ports.ts';
import { freePort } from '../helpers/emulator.ts';

const PROGRAM = createRequire(import.meta.url).resolve('dynalite/cli.js');
const READY_TIMEOUT_MS = 30_000;

export interface OrderedDynamo {
  client: DynamoDBClient;
  /** As the functions use it. */
  documents: DynamoDBDocumentClient;
  stop: () => Promise<void>;
}

/** Starts it on a free port, with its tables in a temporary folder; `stop` removes all. */
export async function startOrderedDynamo(region: string): Promise<OrderedDynamo> {
  const directory = mkdtempSync(join(tmpdir(), 'siprec-ha-dynamo-'));
  const port = await freePort();
  const args = [
    '--host',
    HOST,
    '--port',
    String(port),
    '--path',
    join(directory, 'tables'),
    '--createTableMs',
    '0',
  ];
  const child = await startChild({
    name: 'dynalite',
    command: nodeProgram(PROGRAM, args),
    env: { PATH: process.env.PATH, AWS_REGION: region },
    logFile: join(directory, 'dynalite.log'),
    ready: (line) => (line.startsWith('Dynalite listening') ? true : undefined),
    readyTimeoutMs: READY_TIMEOUT_MS,
  });
  const client = new DynamoDBClient({
    endpoint: `http://${HOST}:${port}`,
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
    region,
  });
  return {
    client,
    documents: DynamoDBDocumentClient.from(client, { marshallOptions: { removeUndefinedValues: true } }),
    async stop() {
      client.destroy();
      await child.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
