/** A fleet table, made as the region's stack makes it, and what a slot has put there. */
import { CreateTableCommand, type DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocumentClient, GetCommand } from '@aws-sdk/lib-dynamodb';
import { FLEET_KEY, type LoadReport, loadReportSchema, slotItemId } from '../../../core/fleet.ts';

export async function createFleetTable(client: DynamoDBClient, table: string): Promise<void> {
  await client.send(
    new CreateTableCommand({
      TableName: table,
      BillingMode: 'PAY_PER_REQUEST',
      AttributeDefinitions: [{ AttributeName: FLEET_KEY, AttributeType: 'S' }],
      KeySchema: [{ AttributeName: FLEET_KEY, KeyType: 'HASH' }],
    }),
  );
}

/** The report of a slot that stands in the table, read by its schema; undefined if there is none. */
export async function reportOf(
  client: DynamoDBClient,
  table: string,
  slot: string,
): Promise<LoadReport | undefined> {
  const { Item } = await DynamoDBDocumentClient.from(client).send(
    new GetCommand({ TableName: table, Key: { [FLEET_KEY]: slotItemId(slot) }, ConsistentRead: true }),
  );
  return Item && loadReportSchema.parse(Item);
}
