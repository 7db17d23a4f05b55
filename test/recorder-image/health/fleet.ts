/** What a slot has put into a fleet table. */
import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocumentClient, GetCommand } from '@aws-sdk/lib-dynamodb';
import { FLEET_KEY, type LoadReport, loadReportSchema, slotItemId } from '../../../core/fleet.ts';

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
