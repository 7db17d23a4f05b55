/** Writes the audit, and reads it. */
import type { Logger } from '@aws-lambda-powertools/logger';
import { PutCommand, QueryCommand, type TransactWriteCommandInput } from '@aws-sdk/lib-dynamodb';
import { monotonicFactory } from 'ulid';
import { type AuditEntry, auditEntrySchema, auditItem, auditPartition } from '../../core/audit-items.ts';
import type { IndexTable } from './aws-clients.ts';

export type AuditFacts = Omit<AuditEntry, 'auditId' | 'at'>;
export type Write = NonNullable<TransactWriteCommandInput['TransactItems']>[number];
export type AuditLogger = Pick<Logger, 'info'>;

/** The message of its log lines. */
export const AUDIT_MESSAGE = 'audit';

/** Entries of one process and one millisecond stay in order. */
const nextId = monotonicFactory();

export const auditEntry = (facts: AuditFacts, now: Date): AuditEntry => ({
  auditId: nextId(now.getTime()),
  at: now.toISOString(),
  ...facts,
});

/** For a transaction: what is audited happens together with its entry, or not at all. */
export const auditWrite = ({ tableName }: IndexTable, entry: AuditEntry): Write => ({
  Put: {
    TableName: tableName,
    Item: auditItem(entry),
    ConditionExpression: 'attribute_not_exists(pk)',
  },
});

/** Writes an entry by itself, and its log line. @throws the SDK's errors: what is to be audited must not happen then */
export async function writeAudit(index: IndexTable, logger: AuditLogger, entry: AuditEntry): Promise<void> {
  await index.table.send(new PutCommand(auditWrite(index, entry).Put as never));
  logAudit(logger, entry);
}

export const logAudit = (logger: AuditLogger, entry: AuditEntry): void =>
  logger.info(AUDIT_MESSAGE, { audit: entry });

export interface AuditQuery {
  tenant: string;
  /** At or after. */
  from: Date;
  /** Before. */
  to: Date;
  limit: number;
  /** `last` of the page before. */
  after?: string;
}

/** A page of a tenant's audit, oldest first; `last` is there if it may go on. */
export async function listAudit(
  { table, tableName }: IndexTable,
  { tenant, from, to, limit, after }: AuditQuery,
): Promise<{ entries: AuditEntry[]; last?: string }> {
  const pk = auditPartition(tenant);
  const { Items = [], LastEvaluatedKey } = await table.send(
    new QueryCommand({
      TableName: tableName,
      // Sort keys are `<time>#<id>`: longer than a bare time, so `to` itself is outside.
      KeyConditionExpression: 'pk = :pk AND sk BETWEEN :from AND :to',
      ExpressionAttributeValues: { ':pk': pk, ':from': from.toISOString(), ':to': to.toISOString() },
      Limit: limit,
      ...(after && { ExclusiveStartKey: { pk, sk: after } }),
    }),
  );
  return {
    entries: Items.map((item) => auditEntrySchema.parse(item)),
    ...(LastEvaluatedKey && { last: String(LastEvaluatedKey.sk) }),
  };
}
