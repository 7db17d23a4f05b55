/** Several writes of the index that happen together or not at all. */
import { TransactionCanceledException } from '@aws-sdk/client-dynamodb';
import { TransactWriteCommand } from '@aws-sdk/lib-dynamodb';
import type { Write } from './audit.ts';
import type { IndexTable } from './aws-clients.ts';

/**
 * @returns the places of the writes whose conditions did not hold; none if all has been written
 * @throws the SDK's errors, also when another transaction was in the way: try again
 */
export async function writeTogether({ table }: IndexTable, writes: Write[]): Promise<number[]> {
  try {
    await table.send(new TransactWriteCommand({ TransactItems: writes }));
    return [];
  } catch (error) {
    if (!(error instanceof TransactionCanceledException)) throw error;
    const refused = (error.CancellationReasons ?? []).flatMap(({ Code }, place) =>
      Code === 'ConditionalCheckFailed' ? place : [],
    );
    if (refused.length === 0) throw error;
    return refused;
  }
}
