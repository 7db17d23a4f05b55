/**
 * DynamoDB global tables for an emulator that has none: replicas of the index table are made, and each region's
 * stream is carried to the others. As in AWS: asynchronous, the last writer wins, and what came by replication is not
 * replicated again.
 */

import { isDeepStrictEqual } from 'node:util';
import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import {
  CreateTableCommand,
  type CreateTableCommandInput,
  DeleteItemCommand,
  DescribeTableCommand,
  DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  ResourceNotFoundException,
  type TableDescription,
} from '@aws-sdk/client-dynamodb';
import {
  DescribeStreamCommand,
  DynamoDBStreamsClient,
  GetRecordsCommand,
  GetShardIteratorCommand,
  type _Record as StreamRecord,
} from '@aws-sdk/client-dynamodb-streams';
import { pause } from '../dns-server/pause.ts';

const POLL_MS = 200;

export interface GlobalTable {
  stop(): Promise<void>;
}

export interface GlobalTableOptions {
  endpoint: string;
  credentials: { accessKeyId: string; secretAccessKey: string };
  tableName: string;
  /** The region whose stack made the table first. */
  regions: string[];
  onError: (error: unknown) => void;
}

type Item = Record<string, AttributeValue>;

/** Makes the missing replicas and starts to carry changes between the regions. */
export async function startGlobalTable(options: GlobalTableOptions): Promise<GlobalTable> {
  const { tableName, regions } = options;
  const tables = new Map(
    regions.map((region) => [region, new DynamoDBClient({ ...options, region })] as const),
  );
  const [home, ...others] = regions as [string, ...string[]];
  const original = await describe(client(home), tableName);
  if (!original) throw new Error(`there is no table ${tableName} in ${home}`);
  for (const region of others)
    if (!(await describe(client(region), tableName))) await client(region).send(replicaOf(original));

  const stopping = new AbortController();
  const pumps = regions.map((region) =>
    pump(options, region, stopping.signal, async (record) => {
      const targets = regions.filter((other) => other !== region).map(client);
      await Promise.all(targets.map((target) => apply(target, tableName, record)));
    }),
  );
  return {
    async stop() {
      stopping.abort();
      await Promise.all(pumps);
    },
  };

  function client(region: string): DynamoDBClient {
    return tables.get(region) as DynamoDBClient;
  }
}

async function describe(client: DynamoDBClient, tableName: string): Promise<TableDescription | undefined> {
  try {
    return (await client.send(new DescribeTableCommand({ TableName: tableName }))).Table;
  } catch (error) {
    if (error instanceof ResourceNotFoundException) return undefined;
    throw error;
  }
}

const replicaOf = (table: TableDescription): CreateTableCommand =>
  new CreateTableCommand({
    TableName: table.TableName,
    KeySchema: table.KeySchema,
    AttributeDefinitions: table.AttributeDefinitions,
    GlobalSecondaryIndexes: table.GlobalSecondaryIndexes?.map(({ IndexName, KeySchema, Projection }) => ({
      IndexName,
      KeySchema,
      Projection,
    })),
    BillingMode: 'PAY_PER_REQUEST',
    StreamSpecification: { StreamEnabled: true, StreamViewType: 'NEW_AND_OLD_IMAGES' },
  } as CreateTableCommandInput);

/**
 * Writes a change to a replica. Where the replica already is as the change wants it, nothing is written: a write
 * would appear in its stream and go round for ever.
 */
async function apply(target: DynamoDBClient, tableName: string, { dynamodb }: StreamRecord): Promise<void> {
  const key = dynamodb?.Keys as Item;
  const wanted = dynamodb?.NewImage as Item | undefined;
  const { Item: present } = await target.send(
    new GetItemCommand({ TableName: tableName, Key: key, ConsistentRead: true }),
  );
  if (isDeepStrictEqual(present, wanted)) return;
  if (wanted) await target.send(new PutItemCommand({ TableName: tableName, Item: wanted }));
  else await target.send(new DeleteItemCommand({ TableName: tableName, Key: key }));
}

/** Reads a region's stream until told to stop; a failure is reported, and the same records are tried again. */
async function pump(
  options: GlobalTableOptions,
  region: string,
  signal: AbortSignal,
  carry: (record: StreamRecord) => Promise<void>,
): Promise<void> {
  const streams = new DynamoDBStreamsClient({ ...options, region });
  const tables = new DynamoDBClient({ ...options, region });
  /** Sequence number of the last record carried, per shard. */
  const carried = new Map<string, string>();
  while (!signal.aborted) {
    try {
      const table = await describe(tables, options.tableName);
      const arn = table?.LatestStreamArn;
      const { StreamDescription } = await streams.send(new DescribeStreamCommand({ StreamArn: arn }));
      for (const { ShardId } of StreamDescription?.Shards ?? []) {
        const after = carried.get(ShardId as string);
        const { ShardIterator } = await streams.send(
          new GetShardIteratorCommand({
            StreamArn: arn,
            ShardId,
            ShardIteratorType: after ? 'AFTER_SEQUENCE_NUMBER' : 'TRIM_HORIZON',
            SequenceNumber: after,
          }),
        );
        const { Records = [] } = await streams.send(new GetRecordsCommand({ ShardIterator }));
        for (const record of Records) {
          await carry(record);
          carried.set(ShardId as string, record.dynamodb?.SequenceNumber as string);
        }
      }
    } catch (error) {
      if (!signal.aborted) options.onError(error);
    }
    await pause(POLL_MS, signal);
  }
}
