/** What assurance reads from the fleet table and the index, and the one kind of item that it writes. */
import type { Logger } from '@aws-lambda-powertools/logger';
import { GetCommand, PutCommand, paginateQuery, paginateScan } from '@aws-sdk/lib-dynamodb';
import { z } from 'zod';
import { FLEET_KEY, FLEET_TTL } from '../../core/fleet.ts';
import { BY_TIME_INDEX, entryPartitions } from '../../core/index-entries.ts';
import {
  LEDGER_EXPIRY_SECONDS,
  LEDGER_PREFIX,
  type LedgerEntry,
  ledgerEntrySchema,
} from '../../core/recording-ledger.ts';
import type { IndexTable } from '../shared/aws-clients.ts';
import type { AssuredHour, Span } from './balance.ts';
import { ASSURED_PREFIX } from './constants.ts';

const assuredHourSchema = z.object({
  seen: z.int().min(0),
  settled: z.array(z.object({ at: z.iso.datetime(), count: z.int().min(0) })),
});

const assuredId = (slot: string, hour: string): string => `${ASSURED_PREFIX}${slot}#${hour}`;

/** Items by which an operator says that so many recordings of a slot's hour are lost for good, and that this is known. */
const ACCEPTED_PREFIX = 'ACCEPTED#';
const acceptedSchema = z.object({ count: z.int().min(0) });

export const acceptedId = (slot: string, hour: string): string => `${ACCEPTED_PREFIX}${slot}#${hour}`;

/**
 * The ledger from an hour on. An item that is none is logged and left out: one recorder of another version must not blind
 * assurance for all.
 * @throws the SDK's errors
 */
export async function readLedger(
  { table, tableName }: IndexTable,
  fromHour: string,
  logger: Logger,
): Promise<LedgerEntry[]> {
  const pages = paginateScan(
    { client: table },
    {
      TableName: tableName,
      ConsistentRead: true,
      FilterExpression: 'begins_with(#id, :ledger)',
      ExpressionAttributeNames: { '#id': FLEET_KEY },
      ExpressionAttributeValues: { ':ledger': LEDGER_PREFIX },
    },
  );
  const entries: LedgerEntry[] = [];
  for await (const { Items = [] } of pages)
    for (const item of Items) {
      const { data, error } = ledgerEntrySchema.safeParse(item);
      if (!data) logger.error('ledger item not readable', { id: item[FLEET_KEY], why: error.message });
      else if (data.hour >= fromHour) entries.push(data);
    }
  return entries;
}

/** @throws the SDK's errors, or ZodError */
export async function readAssured(
  { table, tableName }: IndexTable,
  slot: string,
  hour: string,
): Promise<AssuredHour | undefined> {
  const item = await readItem({ table, tableName }, assuredId(slot, hour));
  return item && assuredHourSchema.parse(item);
}

/** @throws the SDK's errors, or ZodError */
export async function readAccepted(fleet: IndexTable, slot: string, hour: string): Promise<number> {
  const item = await readItem(fleet, acceptedId(slot, hour));
  return item ? acceptedSchema.parse(item).count : 0;
}

async function readItem(
  { table, tableName }: IndexTable,
  id: string,
): Promise<Record<string, unknown> | undefined> {
  const { Item } = await table.send(
    new GetCommand({ TableName: tableName, Key: { [FLEET_KEY]: id }, ConsistentRead: true }),
  );
  return Item;
}

/** @throws the SDK's errors */
export async function writeAssured(
  { table, tableName }: IndexTable,
  slot: string,
  hour: string,
  assured: AssuredHour,
  now: Date,
): Promise<void> {
  const expiresAt = Math.floor(now.getTime() / 1000) + LEDGER_EXPIRY_SECONDS;
  const Item = { [FLEET_KEY]: assuredId(slot, hour), ...assured, [FLEET_TTL]: expiresAt };
  await table.send(new PutCommand({ TableName: tableName, Item }));
}

/**
 * How many recordings of a slot, begun in these times, the index has.
 * @throws the SDK's errors
 */
export async function countIndexed(
  { table, tableName }: IndexTable,
  slot: string,
  spans: readonly Span[],
): Promise<number> {
  let count = 0;
  for (const partition of entryPartitions('slot', slot))
    for (const { fromMs, toMs } of spans) {
      const pages = paginateQuery(
        { client: table },
        {
          TableName: tableName,
          IndexName: BY_TIME_INDEX,
          Select: 'COUNT',
          KeyConditionExpression: 'timePk = :partition AND timeSk BETWEEN :from AND :to',
          // Sort keys are `<startedAt>#<recordingId>`: this has what begins at `from`, and not what begins at `to`.
          ExpressionAttributeValues: {
            ':partition': partition,
            ':from': `${new Date(fromMs).toISOString()}#`,
            ':to': `${new Date(toMs).toISOString()}#`,
          },
        },
      );
      for await (const { Count = 0 } of pages) count += Count;
    }
  return count;
}
