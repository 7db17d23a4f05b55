/**
 * What the metadata of a recording session says, whatever the dialect it came in.
 * The words are those of RFC 7865; ids are the SRC's own and mean something only within its documents.
 */
import type { BroadWorksData, Direction } from '../../../core/manifest.ts';
import type { Dialect } from './dialects.ts';
import type { MetadataWarning } from './warnings.ts';

/** A group of communication sessions, for example those of one call centre call (RFC 7865 section 6.2). */
export interface MetadataGroup {
  id: string;
}

/** A communication session (RFC 7865 section 6.3). Times are RFC 3339 in UTC with milliseconds. */
export interface MetadataSession {
  id: string;
  groupId?: string;
  /** `sipSessionID`: Session-ID values (RFC 7989) of the recorded dialogs, as sent. */
  sipSessionIds: string[];
  startedAt?: string;
  stoppedAt?: string;
}

export interface MetadataParticipant {
  id: string;
  /** As sent. */
  aors: string[];
  names: string[];
  /** The telephone number of the first aor that holds one. */
  number?: string;
  /**
   * Streams that carry this participant's voice. None = does not contribute (hold, RFC 7865 section 6.8.1);
   * absent = the document does not say.
   */
  sendsStreamIds?: string[];
  receivesStreamIds?: string[];
  /** Times of joining and leaving, in order; a participant may come back (RFC 7865 section 6.6). */
  joins: string[];
  leaves: string[];
}

export interface MetadataStream {
  id: string;
  /** Of the m-line that carries it (RFC 4574). */
  label?: string;
  /** BroadWorks: all parties in one stream, or each side in its own. */
  mode?: 'mixed' | 'separate';
}

export interface RecordingMetadata {
  dialect: Dialect;
  /** `complete` replaces all that was known before, `partial` changes what it names (RFC 7865 section 5.1.2). */
  dataMode: 'complete' | 'partial';
  recordingId?: string;
  groups: MetadataGroup[];
  /** Place of this recording session in its group, where one call makes several (NetSapiens). */
  groupSequence?: number;
  sessions: MetadataSession[];
  participants: MetadataParticipant[];
  streams: MetadataStream[];
  /** Ids of the call beyond those of groups and sessions: Avaya UCID, Genesys UUID, NetSapiens group, Cisco refci. */
  correlationIds: string[];
  broadWorks?: BroadWorksData;
  direction: Direction;
  warnings: MetadataWarning[];
}

/** Whether the last that is told of a participant is the leaving; at one instant, by the number of joins and leaves. */
export function hasLeft({ joins, leaves }: MetadataParticipant): boolean {
  const joined = joins.at(-1) ?? '';
  const left = leaves.at(-1) ?? '';
  return left !== '' && (left > joined || (left === joined && leaves.length >= joins.length));
}

/** A document that says nothing. */
export const emptyMetadata = (dialect: Dialect, warnings: MetadataWarning[]): RecordingMetadata => ({
  dialect,
  dataMode: 'complete',
  groups: [],
  sessions: [],
  participants: [],
  streams: [],
  correlationIds: [],
  direction: 'unknown',
  warnings,
});
