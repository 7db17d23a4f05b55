/**
 * What the metadata of a recording session says, whatever the dialect it came in.
 * The words are those of RFC 7865; ids are the SRC's own and mean something only within its documents.
 */
import type { BroadWorksData, Direction, Warning } from '../../../core/manifest.ts';
import type { Dialect } from './dialects.ts';

/** A warning without its time, which the caller knows. */
export type MetadataWarning = Omit<Warning, 'at'>;

/** A group of communication sessions, for example those of one call centre call (RFC 7865 section 6.2). */
export interface MetadataGroup {
  id: string;
}

/** A communication session (RFC 7865 section 6.3). Times are RFC 3339 in UTC with milliseconds. */
export interface MetadataSession {
  id: string;
  groupId?: string;
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
  /** Streams that carry this participant's voice. None = stopped contributing, or never did. */
  sendsStreamIds: string[];
  receivesStreamIds: string[];
  /** Earliest join, and latest departure if the participant has left for good. */
  joinedAt?: string;
  leftAt?: string;
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
  sessions: MetadataSession[];
  participants: MetadataParticipant[];
  streams: MetadataStream[];
  broadWorks?: BroadWorksData;
  direction: Direction;
  warnings: MetadataWarning[];
}
