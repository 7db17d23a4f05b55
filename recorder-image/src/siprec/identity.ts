/** What a metadata document contributes to the identity of its call. */
import type { CallFacts } from '../../../core/call-identity.ts';
import type { RecordingMetadata } from './model.ts';

export const callFactsOf = ({
  broadWorks,
  correlationIds,
  groups,
  groupSequence,
  sessions,
}: RecordingMetadata): Omit<CallFacts, 'sipCallId' | 'correlationHeader'> => ({
  ...(broadWorks && { broadWorks }),
  correlationIds,
  groupIds: groups.map(({ id }) => id),
  ...(groupSequence !== undefined && { groupSequence }),
  sessionIds: sessions.map(({ id }) => id),
  sipSessionIds: sessions.flatMap(({ sipSessionIds }) => sipSessionIds),
});
