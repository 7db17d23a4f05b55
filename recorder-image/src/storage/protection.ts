/** What the SRC's offers said of a stream's encryption, as the session record has them. */
import type { ProtectionPeriod } from '../media/decrypt-journal.ts';
import { chooseCrypto } from '../sdp/crypto.ts';
import { readOffer } from '../sdp/offer.ts';
import { eventsOf, type SessionRecord } from './session-record.ts';

/** Of every offer so far, in the order of time. @param mLine index of the stream's m-line */
export const protectionPeriods = (record: SessionRecord, mLine: number): ProtectionPeriod[] =>
  eventsOf(record, 'offer').map(({ at, sdp }) => {
    const offered = readOffer(sdp).mLines[mLine];
    const keying = offered && chooseCrypto(offered);
    return { fromMs: Date.parse(at), ...(keying && { keying }) };
  });

/** The same; undefined if the stream never was encrypted. */
export function protectionOf(record: SessionRecord, mLine: number): ProtectionPeriod[] | undefined {
  const periods = protectionPeriods(record, mLine);
  return periods.some(({ keying }) => keying) ? periods : undefined;
}
