/**
 * The audit: who did what with which recording, when, and what came of it. One item of the index table for each, never changed
 * and never removed; the recording's own items may be gone long before.
 *
 * | pk               | sk                |
 * |------------------|-------------------|
 * | `AUDIT#<tenant>` | `<time>#<id>`     |
 */
import { z } from 'zod';
import { keyPart } from './index-entries.ts';
import type { TableKey } from './index-items.ts';

export const AUDIT_ACTIONS = [
  'play',
  'hold',
  'release',
  'requestDeletion',
  /** A request ends without a deletion: there is a hold. */
  'stopDeletion',
  'beginDeletion',
  'finishDeletion',
] as const;

export const auditEntrySchema = z.object({
  auditId: z.string(),
  at: z.string(),
  action: z.enum(AUDIT_ACTIONS),
  outcome: z.enum(['done', 'refused']),
  /** The caller's id; `retention` where the policy of the deployment file acts. */
  by: z.string(),
  tenant: z.string(),
  recordingId: z.string().optional(),
  callId: z.string().optional(),
  holdId: z.string().optional(),
  /** Region in which it was done. */
  region: z.string(),
  /** Why, in the words of who did it, or why it was refused. */
  detail: z.string(),
});
export type AuditEntry = z.infer<typeof auditEntrySchema>;

export const AUDIT_PREFIX = 'AUDIT#';

export const auditPartition = (tenant: string): string => AUDIT_PREFIX + keyPart(tenant);

export const auditItem = (entry: AuditEntry): AuditEntry & TableKey => ({
  pk: auditPartition(entry.tenant),
  sk: `${entry.at}#${entry.auditId}`,
  ...entry,
});
