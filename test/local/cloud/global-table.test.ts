import { DescribeTableCommand } from '@aws-sdk/client-dynamodb';
import {
  DescribeStreamCommand,
  DynamoDBStreamsClient,
  GetRecordsCommand,
  GetShardIteratorCommand,
} from '@aws-sdk/client-dynamodb-streams';
import { DeleteCommand, PutCommand, ScanCommand } from '@aws-sdk/lib-dynamodb';
import { replicateTable } from '../../../local/cloud/global-table.ts';
import {
  createIndexTable,
  EMULATOR_START_TIMEOUT_MS,
  startTestEmulator,
  type TestEmulator,
} from '../../helpers/emulator.ts';

const REGIONS = ['us-east-1', 'us-west-2', 'eu-central-1'];
const [HOME, WEST] = REGIONS as [string, string];

let emulator: TestEmulator;

beforeAll(async () => {
  emulator = await startTestEmulator();
}, EMULATOR_START_TIMEOUT_MS);
afterAll(() => emulator.stop());

async function globalTable(tableName: string): Promise<void> {
  await createIndexTable(emulator.dynamo(HOME), tableName);
  await replicate(tableName);
}

const replicate = (tableName: string): Promise<void> =>
  replicateTable({
    endpoint: emulator.endpoint,
    credentials: emulator.credentials,
    tableName,
    regions: REGIONS,
  });

const put = (region: string, TableName: string, id: string, value: number) =>
  emulator
    .documents(region)
    .send(new PutCommand({ TableName, Item: { pk: id, sk: 'META', timePk: 'D', timeSk: id, value } }));

async function valuesIn(region: string, TableName: string): Promise<Record<string, number>> {
  const { Items = [] } = await emulator
    .documents(region)
    .send(new ScanCommand({ TableName, ConsistentRead: true }));
  return Object.fromEntries(Items.map(({ pk, value }) => [pk, value]));
}

const expectEverywhere = async (tableName: string, values: Record<string, number>): Promise<void> => {
  for (const region of REGIONS) expect(await valuesIn(region, tableName)).toEqual(values);
};

/** Number of changes that a region's stream tells of. */
async function changesIn(region: string, TableName: string): Promise<number> {
  const { endpoint, credentials } = emulator;
  const streams = new DynamoDBStreamsClient({ endpoint, credentials, region });
  const { Table } = await emulator.dynamo(region).send(new DescribeTableCommand({ TableName }));
  const StreamArn = Table?.LatestStreamArn;
  const { StreamDescription } = await streams.send(new DescribeStreamCommand({ StreamArn }));
  let changes = 0;
  for (const { ShardId } of StreamDescription?.Shards ?? []) {
    const { ShardIterator } = await streams.send(
      new GetShardIteratorCommand({ StreamArn, ShardId, ShardIteratorType: 'TRIM_HORIZON' }),
    );
    const { Records = [] } = await streams.send(new GetRecordsCommand({ ShardIterator }));
    changes += Records.length;
  }
  streams.destroy();
  return changes;
}

describe('replicateTable', () => {
  it('carries writes and deletes of any region to all', async () => {
    await globalTable('both-ways');
    await put(HOME, 'both-ways', 'a', 1);
    await put(WEST, 'both-ways', 'b', 2);
    await expectEverywhere('both-ways', { a: 1, b: 2 });
    await emulator
      .documents(WEST)
      .send(new DeleteCommand({ TableName: 'both-ways', Key: { pk: 'a', sk: 'META' } }));
    await expectEverywhere('both-ways', { b: 2 });
  });

  it('makes replicas with what the table already holds, and with its index', async () => {
    await createIndexTable(emulator.dynamo(HOME), 'filled');
    await put(HOME, 'filled', 'a', 1);
    await replicate('filled');
    await expectEverywhere('filled', { a: 1 });
    const [home, west] = await Promise.all(
      [HOME, WEST].map((region) =>
        emulator.dynamo(region).send(new DescribeTableCommand({ TableName: 'filled' })),
      ),
    );
    expect(west?.Table?.KeySchema).toEqual(home?.Table?.KeySchema);
    expect(west?.Table?.GlobalSecondaryIndexes?.[0]?.KeySchema).toEqual(
      home?.Table?.GlobalSecondaryIndexes?.[0]?.KeySchema,
    );
  });

  it('carries each change once, however fast they follow each other', async () => {
    await globalTable('fast');
    for (let value = 1; value <= 20; value += 1) await put(value % 2 ? HOME : WEST, 'fast', 'a', value);
    await expectEverywhere('fast', { a: 20 });
    for (const region of REGIONS) expect(await changesIn(region, 'fast')).toBe(20);
  });

  it('changes nothing when the replicas are there', async () => {
    await globalTable('twice');
    await put(WEST, 'twice', 'a', 1);
    await replicate('twice');
    await expectEverywhere('twice', { a: 1 });
    await put(HOME, 'twice', 'a', 2);
    await expectEverywhere('twice', { a: 2 });
  });

  it('says when there is no such table', async () => {
    await expect(replicate('no-table')).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
  });
});
