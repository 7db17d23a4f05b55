/** Every play is audited before its address is given: a play that cannot be audited does not happen. */
import type { Caller } from '../../core/access.ts';
import type { IndexedRecording } from '../../core/index-items.ts';
import { auditEntry, writeAudit } from '../shared/audit.ts';
import type { FateDependencies } from './fate-access.ts';
import { ProblemError } from './problems.ts';

/** @param copyRegion of the copy that is played @throws ProblemError 503 */
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
    logger.error('a play could not be audited', { recordingId, error: error as Error });
    throw new ProblemError(503, `recording ${recordingId} cannot be played: the audit cannot be written`, {
      'retry-after': '10',
    });
  }
}
