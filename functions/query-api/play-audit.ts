/** Every play is audited before its address is given: a play that cannot be audited does not happen. */
import type { Caller } from '../../core/access.ts';
import type { IndexedRecording } from '../../core/index-items.ts';
import { auditEntry, writeAudit } from '../shared/audit.ts';
import type { FateDependencies } from './fate-access.ts';

/** The audit could not be written; nothing is played. */
export class NotAuditedError extends Error {
  constructor(recordingId: string, cause: unknown) {
    super(`recording ${recordingId} cannot be played: the audit cannot be written`, { cause });
    this.name = 'NotAuditedError';
  }
}

/** @param copyRegion of the copy that is played @throws NotAuditedError */
export async function auditPlay(
  { index, region, logger, now }: FateDependencies,
  caller: Caller,
  { recordingId, tenant }: IndexedRecording,
  copyRegion: string,
): Promise<void> {
  try {
    const entry = auditEntry(
      {
        action: 'play',
        outcome: 'done',
        by: caller.id,
        tenant,
        recordingId,
        region,
        detail: `copy in ${copyRegion}`,
      },
      now(),
    );
    await writeAudit(index, logger, entry);
  } catch (error) {
    throw new NotAuditedError(recordingId, error);
  }
}
