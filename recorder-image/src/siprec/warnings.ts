/**
 * Every warning that recording metadata can give: what it means, and what became of the recording.
 *
 * Codes are stable: operators look them up, and alarms may count them. No warning ever stops a recording.
 */

export const METADATA_WARNINGS = {
  // The document as a whole
  'no-metadata':
    'The INVITE had no metadata (RFC 7245 section 3.3.2). The parties are read from its SIP headers.',
  'metadata-unreadable': 'The metadata is not XML. What was known before it still holds.',
  'metadata-not-well-formed': 'The XML breaks the rules of XML 1.0. What could be read of it is used.',
  'metadata-cut':
    'The document ends before its root element does: look for lost UDP fragments or a wrong Content-Length. ' +
    'It is taken as partial, because whom it does not name may be in the lost part.',
  'metadata-too-large': 'The document is over the limit of size. The rest is not read.',
  'metadata-too-deep': 'Elements below the limit of depth are not read.',
  'metadata-too-many-elements':
    'The document has more elements than are read. The rest is not read; it is taken as partial.',
  'metadata-without-content': 'The document describes nothing. What was known before it still holds.',
  'unknown-charset': 'The named character set is not known. The document is read as UTF-8.',
  'undecodable-text': 'Some bytes are no text in the named character set. They show as U+FFFD.',
  'unknown-dialect': 'Root element or namespace are of no known dialect. What looks familiar is used.',
  'unknown-data-mode': 'The datamode is neither complete nor partial. The document is taken as complete.',
  'partial-without-complete': 'The first document is a partial one: there is nothing that it could add to.',
  'unknown-elements': 'Elements that no table knows, by name. They are in the stored XML.',

  // Its elements
  'element-without-id': 'An element has no id, or an empty one. It is used, but nothing can refer to it.',
  'duplicate-id':
    'One id on several elements (an error by RFC 7865 section 6.10). Of one kind, only the first is used; ' +
    'of different kinds, all are, because references say which kind they mean.',
  'unknown-participant-id': 'An association names a participant that the document does not define.',
  'association-to-stream':
    'An association has the id of a stream where that of a participant belongs (seen from Cisco CUBE). It is given ' +
    'to the only participant without one, otherwise ignored.',
  'placeholder-participant':
    'A participant stands for the SRC itself until the real ones are known. It is left out.',
  'unreadable-time': 'A time is not RFC 3339 or a near form of it. It is left out.',
  'unknown-stream-mode': 'The mode of a BroadWorks stream is neither mixed nor separate. It is left out.',
  'recording-type-not-on':
    'The recordingType is not "on". Its meaning is not public; the recording is kept, and the value is in the manifest.',

  'too-many-people':
    'The documents name more people than a session can have. The rest is in the stored XML only.',

  // Metadata and SDP
  'label-mismatch':
    'The label of a stream is not in the SDP. The stream is mapped by position, if one is left.',
  'unknown-stream-id': 'A participant sends a stream that the document does not define.',
  'participant-by-position':
    'Which stream carries a participant is not said. It was chosen by position: check by ear.',
  'participant-without-stream':
    'No stream carries the voice of a participant, whom the metadata does not call silent either.',
  'stream-without-participant': 'A stream carries nobody that the metadata names.',
  'recorded-user-label-mismatch':
    'In dual mode the recorded user speaks in label 1, but the document says otherwise. The document is believed.',
} as const;

export type MetadataWarningCode = keyof typeof METADATA_WARNINGS;

/** A warning without its time, which the caller knows. `detail` is for people. */
export interface MetadataWarning {
  code: MetadataWarningCode;
  detail: string;
}
