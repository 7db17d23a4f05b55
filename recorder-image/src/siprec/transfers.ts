/** Transfers of the call: told by `redirectedCall`, or seen in a document that renews everything for another party. */
import type { Transfer } from '../../../core/manifest.ts';
import type { RecordingMetadata } from './model.ts';
import { nameOf, type Person } from './people.ts';

/** The session before a document: ids of its participants, and who was there. */
export interface Before {
  ids: ReadonlySet<string>;
  present: readonly Person[];
}

/**
 * The transfer that a document tells.
 * @param now who is there with the document applied
 * @param last the last transfer so far: BroadWorks repeats its `redirectedCall` in the documents that follow
 */
export function transferOf(
  at: string,
  document: RecordingMetadata,
  before: Before,
  now: readonly Person[],
  last: Transfer | undefined,
): Transfer | undefined {
  const gone = before.present.find((person) => !now.includes(person));
  const come = now.find((person) => !before.present.includes(person));
  const seen = { from: gone && nameOf(gone), to: come && nameOf(come) };
  const { newExtTrackingId, redirect } = document.broadWorks ?? {};
  const told = {
    from: redirect?.redirectedFromPartyNumber,
    to: redirect?.redirectedToPartyNumber,
    newExtTrackingId,
  };
  if (told.from || told.to || newExtTrackingId) {
    const transfer = {
      at,
      ...defined({ from: told.from ?? seen.from, to: told.to ?? seen.to, newExtTrackingId }),
    };
    return last && restates(told, last) ? undefined : transfer;
  }
  const isRenewed =
    before.ids.size > 0 &&
    document.dataMode === 'complete' &&
    document.participants.every(({ id }) => !before.ids.has(id));
  return isRenewed && gone && come ? { at, ...defined(seen) } : undefined;
}

const KEYS = ['from', 'to', 'newExtTrackingId'] as const;

/** What is told agrees with what is known already. */
const restates = (told: Omit<Transfer, 'at'>, known: Transfer): boolean =>
  KEYS.every((key) => told[key] === undefined || told[key] === known[key]);

const defined = <Facts extends object>(facts: Facts): Facts =>
  Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined)) as Facts;
