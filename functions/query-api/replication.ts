/** How replication stands: the reports of every region's sweep, as the index has them. */
import { GetCommand } from '@aws-sdk/lib-dynamodb';
import {
  type ReplicationPair,
  type ReplicationReport,
  replicationReportKey,
  replicationReportSchema,
} from '../../core/replication-report.ts';
import type { IndexTable } from '../shared/aws-clients.ts';

/** A pair without a report is one whose sweep has never run. */
export type ReplicationStanding = ReplicationPair & Partial<ReplicationReport>;

/**
 * One for each pair of the deployment (`REPLICATION_PAIRS`), in their order. It asks this region's replica of the index
 * and no other region, which may be gone: an old `at` then says so.
 * @throws the SDK's errors
 */
export const readReplication = (
  { table, tableName }: IndexTable,
  pairs: ReplicationPair[],
): Promise<ReplicationStanding[]> =>
  Promise.all(
    pairs.map(async (pair) => {
      const Key = replicationReportKey(pair);
      const { Item } = await table.send(new GetCommand({ TableName: tableName, Key }));
      return Item ? replicationReportSchema.parse(Item) : pair;
    }),
  );
