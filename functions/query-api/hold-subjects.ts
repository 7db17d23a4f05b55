/** On what a recording may be held: on itself, and on its call by any of the ids that lead to one another. */
import type { HoldSubject } from '../../core/fate-items.ts';
import type { IndexedRecording } from '../../core/index-items.ts';
import type { IndexTable } from '../shared/aws-clients.ts';
import { findCall } from './calls.ts';

export async function holdSubjectsOf(
  index: IndexTable,
  { recordingId, tenant, callId, correlationIds }: IndexedRecording,
): Promise<HoldSubject[]> {
  const call = await findCall(index, callId, [tenant]);
  const ids = new Set([callId, ...correlationIds, ...(call?.correlationIds ?? [])]);
  return [
    { kind: 'recording', recordingId },
    ...[...ids].map((id) => ({ kind: 'call' as const, tenant, callId: id })),
  ];
}
