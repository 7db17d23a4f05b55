/** The character set of a document, and its text. */
import type { MetadataWarning } from './warnings.ts';

/** The XML declaration; it can only be read so if the document is a superset of ASCII. */
const DECLARED = /^\s*<\?xml[^>]{0,100}?\sencoding\s*=\s*["']([\w.:-]{1,40})["']/;

const BYTE_ORDER_MARKS: readonly (readonly [Buffer, string])[] = [
  [Buffer.from([0xef, 0xbb, 0xbf]), 'utf-8'],
  [Buffer.from([0xff, 0xfe]), 'utf-16le'],
  [Buffer.from([0xfe, 0xff]), 'utf-16be'],
];

/**
 * Decodes an XML document. The byte order mark beats the charset parameter of the part (RFC 7303 section 3), which
 * beats the XML declaration (RFC 7865 section 5.1); without any of them it is UTF-8.
 * @param warnings receives `unknown-charset`, `undecodable-text`
 */
export function decodeXml(bytes: Buffer, charset: string | undefined, warnings: MetadataWarning[]): string {
  const mark = BYTE_ORDER_MARKS.find(([mark]) => bytes.subarray(0, mark.length).equals(mark))?.[1];
  const name = mark ?? charset ?? declaredIn(bytes) ?? 'utf-8';
  const label = knownLabel(name);
  if (!label) warnings.push({ code: 'unknown-charset', detail: name.slice(0, 64) });
  const decode = (fatal: boolean): string =>
    // As a stream: a character that the limit of size cut in two is left out, and is no fault.
    new TextDecoder(label ?? 'utf-8', { fatal }).decode(bytes, { stream: true });
  try {
    return decode(true);
  } catch {
    warnings.push({ code: 'undecodable-text', detail: `not all bytes are ${label ?? 'utf-8'}` });
    return decode(false);
  }
}

/** A declaration that can be read byte by byte cannot be right in saying UTF-16. */
function declaredIn(bytes: Buffer): string | undefined {
  const declared = DECLARED.exec(bytes.subarray(0, 200).toString('latin1'))?.[1];
  return declared && !/^utf-?16/i.test(declared) ? declared : undefined;
}

function knownLabel(name: string): string | undefined {
  try {
    return new TextDecoder(name).encoding;
  } catch {
    return undefined;
  }
}
