/** How the objects of a copy are kept from deletion, where buckets have Object Lock: until their retention, and by holds. */
import type { HoldSubject } from '../../core/fate-items.ts';
import type { Manifest } from '../../core/manifest.ts';
import { objectLockOf, type Retention } from '../../core/retention.ts';
import type { IndexTable } from '../shared/aws-clients.ts';
import { readActiveHolds } from '../shared/fates.ts';
import type { ObjectProtection } from './copy-object.ts';

/**
 * The protection of a copy that is made now. Of a hold on the call it knows those by the recording's own ids; by other ids,
 * and set later, expire-recordings brings it.
 */
export async function protectionOf(
  index: IndexTable,
  retention: Retention,
  { recordingId, tenant, startedAt, call }: Manifest,
  now: Date,
): Promise<ObjectProtection> {
  const ids = new Set([call.callId, ...call.correlationIds]);
  const subjects: HoldSubject[] = [
    { kind: 'recording', recordingId },
    ...[...ids].map((callId) => ({ kind: 'call' as const, tenant, callId })),
  ];
  return {
    ...objectLockOf(retention, { tenant, startedAt }, now),
    legalHold: (await readActiveHolds(index, subjects)).length > 0,
  };
}
