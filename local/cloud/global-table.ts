/**
 * The index as the global table that its stack declares: the emulator's CloudFormation makes the first region's table
 * only, but its DynamoDB knows replicas.
 */
import { DescribeTableCommand, DynamoDBClient, UpdateTableCommand } from '@aws-sdk/client-dynamodb';

export interface GlobalTableOptions {
  endpoint: string;
  credentials: { accessKeyId: string; secretAccessKey: string };
  tableName: string;
  /** The region whose stack made the table first. */
  regions: string[];
}

/**
 * Makes the replicas that are missing, with all that the table holds; from then on, a write in any region is in all.
 * @throws the SDK's errors; ResourceNotFoundException if the first region has no such table
 */
export async function replicateTable({
  endpoint,
  credentials,
  tableName,
  regions,
}: GlobalTableOptions): Promise<void> {
  const [home, ...others] = regions;
  const client = new DynamoDBClient({ endpoint, credentials, region: home });
  try {
    const { Table } = await client.send(new DescribeTableCommand({ TableName: tableName }));
    const present = Table?.Replicas?.map(({ RegionName }) => RegionName) ?? [];
    for (const RegionName of others.filter((region) => !present.includes(region)))
      await client.send(
        new UpdateTableCommand({ TableName: tableName, ReplicaUpdates: [{ Create: { RegionName } }] }),
      );
  } finally {
    client.destroy();
  }
}
