/** What holds, deletions and the audit have in common: whose recording it is, and what is told of a refusal. */
import type { Logger } from '@aws-lambda-powertools/logger';
import { GetCommand } from '@aws-sdk/lib-dynamodb';
import { z } from 'zod';
import { type Caller, seesTenant } from '../../core/access.ts';
import type { AuditEntry } from '../../core/audit-items.ts';
import { type IndexedRecording, indexedRecordingSchema, recordingKey } from '../../core/index-items.ts';
import type { Retention } from '../../core/retention.ts';
import { writeAudit } from '../shared/audit.ts';
import type { IndexTable } from '../shared/aws-clients.ts';

export interface FateDependencies {
  /** The replica of this region. */
  index: IndexTable;
  /** This function's region. */
  region: string;
  /** All regions of the deployment. */
  regions: string[];
  retention: Retention;
  logger: Pick<Logger, 'info' | 'error'>;
  now: () => Date;
}

/** A recording that the caller may know of, read strongly consistently; undefined if there is none. */
export async function findRecordingFor(
  { index: { table, tableName } }: FateDependencies,
  caller: Caller,
  recordingId: string,
): Promise<IndexedRecording | undefined> {
  if (!z.ulid().safeParse(recordingId).success) return undefined;
  const { Item } = await table.send(
    new GetCommand({ TableName: tableName, Key: recordingKey(recordingId), ConsistentRead: true }),
  );
  const recording = indexedRecordingSchema.optional().parse(Item);
  return recording && seesTenant(caller, recording.tenant) ? recording : undefined;
}

/** Something was asked for and refused. It has not happened, so that an audit that cannot be written changes nothing. */
export async function writeRefusal(
  { index, logger }: FateDependencies,
  entry: AuditEntry,
  refusal: Error,
): Promise<void> {
  const refused: AuditEntry = { ...entry, outcome: 'refused', detail: refusal.message };
  await writeAudit(index, logger, refused).catch((error) =>
    logger.error('a refusal could not be audited', { audit: refused, error }),
  );
}
