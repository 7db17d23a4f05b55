/** Items of a table by their keys, many at once. */
import { setTimeout as pause } from 'node:timers/promises';
import { BatchGetCommand } from '@aws-sdk/lib-dynamodb';
import type { TableKey } from '../../core/index-items.ts';
import type { IndexTable } from './aws-clients.ts';

/** DynamoDB gives no more items at once. */
const BATCH = 100;
const MAX_TRIES = 8;

/** DynamoDB left keys of a batch unanswered too often. */
export class IndexTooSlowError extends Error {
  constructor(tableName: string, keys: number) {
    super(
      `${tableName} left ${keys} items unanswered ${MAX_TRIES} times: it is throttled, a later try goes on`,
    );
    this.name = 'IndexTooSlowError';
  }
}

/** Of an item, within its table. */
export const nameOf = ({ pk, sk }: TableKey): string => `${pk} ${sk}`;

export interface ReadOptions {
  /** The keys among them; all when absent. Names may be reserved ones. */
  attributes?: readonly string[];
  /** Also what was written just now in this region. */
  consistent?: boolean;
}

/** Those of the items that there are, in no order. @throws IndexTooSlowError, or the SDK's errors */
export async function readItems(
  index: IndexTable,
  keys: readonly TableKey[],
  options: ReadOptions = {},
): Promise<TableKey[]> {
  const items: TableKey[] = [];
  for (let at = 0; at < keys.length; at += BATCH)
    items.push(...(await readBatch(index, keys.slice(at, at + BATCH), options)));
  return items;
}

async function readBatch(
  { table, tableName }: IndexTable,
  keys: TableKey[],
  { attributes, consistent = false }: ReadOptions,
): Promise<TableKey[]> {
  const found: TableKey[] = [];
  let open = keys;
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    if (tries > 0) await pause(50 * 2 ** tries);
    const { Responses, UnprocessedKeys } = await table.send(
      new BatchGetCommand({
        RequestItems: {
          [tableName]: {
            Keys: open,
            ConsistentRead: consistent,
            // By other names: DynamoDB keeps hundreds of words for itself.
            ...(attributes && {
              ProjectionExpression: attributes.map((_, index) => `#${index}`).join(),
              ExpressionAttributeNames: Object.fromEntries(
                attributes.map((name, index) => [`#${index}`, name]),
              ),
            }),
          },
        },
      }),
    );
    found.push(...((Responses?.[tableName] ?? []) as TableKey[]));
    open = (UnprocessedKeys?.[tableName]?.Keys ?? []) as TableKey[];
    if (open.length === 0) return found;
  }
  throw new IndexTooSlowError(tableName, open.length);
}
