/** What DNS itself can carry: names, and an SRV answer that fits one UDP datagram of any resolver. */

/** Characters of a name as it is written, without the closing dot: 255 bytes on the wire (RFC 1035 section 2.3.4). */
export const MAX_NAME_CHARACTERS = 253;
export const MAX_LABEL_CHARACTERS = 63;

/**
 * Bytes of an answer by UDP that every resolver takes (RFC 1035 section 4.2.1). A longer one is cut, and an SRC that does not
 * ask again by TCP sees nothing.
 */
export const MAX_ANSWER_BYTES = 512;

const HEADER_BYTES = 12;
/** Type and class. */
const QUESTION_BYTES = 4;
/** Pointer to the question's name, type, class, TTL, length of the data (RFC 1035 section 4.1.3, 4.1.4). */
const RECORD_BYTES = 2 + 2 + 2 + 4 + 2;
/** Priority, weight, port; the target after them is not compressed (RFC 2782). */
const SRV_BYTES = 6;
/** The OPT record of EDNS, without options (RFC 6891 section 6.1.2). */
const OPT_BYTES = 11;

/** Bytes of a name on the wire: a length before each label, and the root. */
export const nameBytes = (name: string): number => name.length + 2;

/**
 * Bytes of the answer to an SRV query.
 * @param name that is asked for; without closing dot, as are the targets
 */
export const srvAnswerBytes = (name: string, targets: readonly string[]): number =>
  HEADER_BYTES +
  nameBytes(name) +
  QUESTION_BYTES +
  targets.reduce((sum, target) => sum + RECORD_BYTES + SRV_BYTES + nameBytes(target), 0) +
  OPT_BYTES;
