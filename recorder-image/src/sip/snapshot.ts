/**
 * The snapshot request (RFC 7866 section 9.2, RFC 7865 section 7): asks an SRC for all of its metadata when what it
 * sent cannot be understood by itself.
 */
import { readMetadata } from '../siprec/metadata.ts';
import { applyMetadata } from '../siprec/metadata-state.ts';
import type { RecordingMetadata } from '../siprec/model.ts';
import type { MetadataWarningCode } from '../siprec/warnings.ts';
import type { BodyPart } from './mime.ts';

/** What a document leaves open that a complete one would tell. */
const INCOMPLETE: readonly MetadataWarningCode[] = [
  'partial-without-complete',
  'metadata-unreadable',
  'metadata-cut',
];

/** Of an UPDATE; the media type is the registered one (RFC 9806). */
export const SNAPSHOT_REQUEST = {
  headers: {
    Require: 'siprec',
    'Content-Type': 'application/rs-metadata+xml',
    'Content-Disposition': 'recording-session',
  },
  body:
    '<?xml version="1.0" encoding="UTF-8"?>\r\n' +
    "<requestsnapshot xmlns='urn:ietf:params:xml:ns:recording:1'/>\r\n",
} as const;

/** Follows the metadata of one session, to know when all of it is to be asked for. */
export class SnapshotNeed {
  #state: RecordingMetadata | undefined;
  #due = false;
  #asked = false;

  /** A metadata document has come. */
  arrived({ content, parameters }: BodyPart): void {
    this.#state = applyMetadata(this.#state, readMetadata(content, parameters.get('charset')));
    this.#due = this.#state.warnings.some(({ code }) => INCOMPLETE.includes(code));
    if (!this.#due && this.#state.dataMode === 'complete') this.#asked = false;
  }

  /**
   * Whether to ask now. Once, until a complete document that can be read has come: an SRC that answers with another bad
   * one would be asked for ever.
   */
  take(): boolean {
    const ask = this.#due && !this.#asked;
    this.#asked ||= ask;
    return ask;
  }
}
