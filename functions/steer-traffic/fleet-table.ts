/** What steering reads from the fleet table, and the one item that it writes there. */
import type { Logger } from '@aws-lambda-powertools/logger';
import { type DynamoDBDocumentClient, GetCommand, PutCommand } from '@aws-sdk/lib-dynamodb';
import {
  FLEET_KEY,
  loadReportSchema,
  REPORT_STALE_SECONDS,
  STEERING_ITEM_ID,
  type Steering,
  slotItemId,
  steeringSchema,
} from '../../core/fleet.ts';
import type { SlotLoad } from '../../core/srv-policy.ts';

export interface FleetTable {
  table: DynamoDBDocumentClient;
  tableName: string;
}

export type SlotReport = NonNullable<SlotLoad['report']>;

/**
 * The last report of each slot that has one. An item that is not a report of that slot counts as none, and is logged: one
 * recorder of another version must not stop the steering of all.
 * @throws the SDK's errors
 */
export async function readReports(
  fleet: FleetTable,
  slots: readonly string[],
  nowMs: number,
  logger: Logger,
): Promise<Map<string, SlotReport>> {
  const items = await Promise.all(slots.map((slot) => readItem(fleet, slotItemId(slot))));
  const reports = new Map<string, SlotReport>();
  for (const [index, slot] of slots.entries()) {
    const item = items[index];
    if (!item) continue;
    const result = readReport(item, slot, nowMs);
    if (typeof result === 'string') logger.warn('load report not readable', { slot, why: result });
    else reports.set(slot, result);
  }
  return reports;
}

/** The report in an item, or what is wrong with it. */
function readReport(item: unknown, slot: string, nowMs: number): SlotReport | string {
  const { data, error } = loadReportSchema.safeParse(item);
  if (!data) return error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ');
  if (data.slot !== slot) return `it is of the slot ${data.slot}`;
  const reportedAtMs = Date.parse(data.reportedAt);
  // Otherwise the report of a host whose clock is ahead would be fresh for as long as it is ahead, dead or alive.
  if (reportedAtMs > nowMs + REPORT_STALE_SECONDS * 1000) return `its time ${data.reportedAt} is to come`;
  const { state, activeRecordings, callCapacity } = data;
  return { state, activeRecordings, callCapacity, reportedAtMs };
}

/**
 * What the last run left.
 * @throws the SDK's errors
 */
export async function readSteering(fleet: FleetTable, logger: Logger): Promise<Steering> {
  const item = await readItem(fleet, STEERING_ITEM_ID);
  if (!item) return { changedAt: {} };
  const { data, error } = steeringSchema.safeParse(item);
  if (data) return data;
  logger.warn('steering item not readable: as if there had been no change yet', { why: error.message });
  return { changedAt: {} };
}

/** @throws the SDK's errors */
export async function writeSteering({ table, tableName }: FleetTable, steering: Steering): Promise<void> {
  await table.send(
    new PutCommand({ TableName: tableName, Item: { [FLEET_KEY]: STEERING_ITEM_ID, ...steering } }),
  );
}

async function readItem({ table, tableName }: FleetTable, id: string): Promise<unknown> {
  const { Item } = await table.send(
    new GetCommand({ TableName: tableName, Key: { [FLEET_KEY]: id }, ConsistentRead: true }),
  );
  return Item;
}
