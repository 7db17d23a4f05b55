/** Everything that one partition of a table holds. */
import { paginateQuery, type QueryCommandInput } from '@aws-sdk/lib-dynamodb';
import type { IndexTable } from './aws-clients.ts';

export interface PartitionOptions {
  /** Only items whose sort key begins so. */
  prefix?: string;
  /** Attributes; all when absent. None may have a reserved name. */
  attributes?: readonly string[];
  /** Also what was written just now in this region. */
  consistent?: boolean;
}

/** All items of a partition, in the order of their sort keys, over as many pages as it takes. @throws the SDK's errors */
export async function readPartition(
  { table, tableName }: IndexTable,
  pk: string,
  { prefix, attributes, consistent = false }: PartitionOptions = {},
): Promise<Record<string, unknown>[]> {
  const query: QueryCommandInput = {
    TableName: tableName,
    KeyConditionExpression: prefix === undefined ? 'pk = :pk' : 'pk = :pk AND begins_with(sk, :prefix)',
    ExpressionAttributeValues: { ':pk': pk, ...(prefix !== undefined && { ':prefix': prefix }) },
    ConsistentRead: consistent,
    ...(attributes && { ProjectionExpression: attributes.join(', ') }),
  };
  const items: Record<string, unknown>[] = [];
  for await (const { Items = [] } of paginateQuery({ client: table }, query)) items.push(...Items);
  return items;
}
