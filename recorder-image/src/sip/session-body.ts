/** What the body of an INVITE, re-INVITE, UPDATE or ACK holds for a recording session. */
import { findMetadata } from '../siprec/metadata.ts';
import { type BodyPart, type BodyWarning, readBody } from './mime.ts';

const SDP = 'application/sdp';

export interface SessionBody {
  /** Text of the SDP part. */
  sdp?: string;
  metadata?: BodyPart;
  /** Media types that had to be understood and are not: answered 415. */
  notUnderstood: string[];
  warnings: BodyWarning[];
}

/**
 * Reads a request.
 * @param raw the whole message
 */
export function readSessionBody(raw: string): SessionBody {
  const { parts, warnings } = readBody(raw);
  const sdp = parts.find(({ contentType }) => contentType === SDP);
  const metadata = findMetadata(parts);
  // RFC 5621 section 8 would have any part required that does not say otherwise; the parts that SRCs add for
  // themselves, and do not mark, cost no call.
  const required = ({ disposition }: BodyPart) =>
    disposition?.handling === undefined ? parts.length === 1 : disposition.handling === 'required';
  return {
    ...(sdp && { sdp: sdp.content.toString('utf8') }),
    ...(metadata && { metadata }),
    notUnderstood: parts
      .filter((part) => part !== sdp && part !== metadata && required(part))
      .map(({ contentType }) => contentType),
    warnings,
  };
}
