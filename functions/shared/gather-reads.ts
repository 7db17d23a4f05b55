/** Reads that are asked for side by side, as the messages of a batch do, go in one request. */
import { setImmediate as endOfTurn } from 'node:timers/promises';
import type { TableKey } from '../../core/index-items.ts';
import type { IndexTable } from './aws-clients.ts';
import { nameOf, type ReadOptions, readItems } from './read-items.ts';

/** Those of the items that there are, in no order. @throws IndexTooSlowError, or the SDK's errors: to all who asked */
export type ReadItems = (keys: readonly TableKey[]) => Promise<TableKey[]>;

export function gatherReads(index: IndexTable, options: ReadOptions = {}): ReadItems {
  let asked = new Map<string, TableKey>();
  let answer: Promise<Map<string, TableKey>> | undefined;
  const readAsked = async () => {
    await endOfTurn();
    const keys = [...asked.values()];
    asked = new Map();
    answer = undefined;
    return new Map((await readItems(index, keys, options)).map((item) => [nameOf(item), item]));
  };
  return async (keys) => {
    for (const key of keys) asked.set(nameOf(key), key);
    answer ??= readAsked();
    const items = await answer;
    return keys.flatMap((key) => items.get(nameOf(key)) ?? []);
  };
}
