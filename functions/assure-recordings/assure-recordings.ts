/**
 * Recording assurance: every INVITE that was answered must have become a recording in the index, whatever died on the way.
 *
 * The ledger of each slot (`core/recording-ledger.ts`) says what was begun and what the slot still has; the rest must be in
 * the index. Neither the slot nor its disk is needed for that, so that a lost host is told of by the number of its recordings.
 */
import type { Logger } from '@aws-lambda-powertools/logger';
import { hourOf, LEDGER_HOURS } from '../../core/recording-ledger.ts';
import type { IndexTable } from '../shared/aws-clients.ts';
import { countIndexed, readAccepted, readAssured, readLedger, writeAssured } from './assurance-table.ts';
import {
  type AssuredHour,
  type HourInLedger,
  hoursInLedger,
  missingIn,
  remember,
  settledNow,
} from './balance.ts';

/** Hours looked at side by side. */
const PARALLEL = 10;
const HOUR_MS = 3_600_000;

export interface AssureDependencies {
  fleet: IndexTable;
  index: IndexTable;
  logger: Logger;
}

/** Over all hours that are looked at. */
export interface AssuranceRun {
  /** By slot: of this region's, and of any other that the ledger knows. */
  missing: Map<string, number>;
  open: number;
}

/**
 * @param slots that are told of even if they have recorded nothing
 * @throws the SDK's errors: without all facts there is no balance, and a run that tells nothing is an alarm of its own
 */
export async function assureRecordings(
  dependencies: AssureDependencies,
  slots: readonly string[],
  now: Date,
): Promise<AssuranceRun> {
  const { fleet, logger } = dependencies;
  const fromHour = hourOf(now.getTime() - LEDGER_HOURS * HOUR_MS);
  // The index after the ledger: what is in neither has left the slot in between, and is not due.
  const hours = hoursInLedger(await readLedger(fleet, fromHour, logger), now.getTime());
  const run: AssuranceRun = { missing: new Map(slots.map((slot) => [slot, 0])), open: 0 };
  for (let at = 0; at < hours.length; at += PARALLEL)
    await Promise.all(
      hours.slice(at, at + PARALLEL).map(async (hour) => {
        const missing = await assureHour(dependencies, hour, now);
        run.missing.set(hour.slot, (run.missing.get(hour.slot) ?? 0) + missing);
        run.open += hour.open;
      }),
    );
  return run;
}

/** @returns how many are missing */
async function assureHour(
  { fleet, index, logger }: AssureDependencies,
  inLedger: HourInLedger,
  now: Date,
): Promise<number> {
  const { slot, hour, answered, open, spans } = inLedger;
  const known = await readAssured(fleet, slot, hour);
  const settled = settledNow(inLedger);
  // A count reads all entries that it counts: only while something is not yet there.
  const seen = settled > (known?.seen ?? 0) ? await countIndexed(index, slot, spans) : 0;
  const assured = remember(known, settled, seen, now);
  if (!isSame(known, assured)) await writeAssured(fleet, slot, hour, assured, now);
  const due = missingIn(assured, now);
  if (due === 0) return 0;
  const missing = Math.max(0, due - (await readAccepted(fleet, slot, hour)));
  if (missing > 0)
    logger.error('recordings are missing', { slot, hour, missing, answered, open, indexed: assured.seen });
  return missing;
}

const isSame = (known: AssuredHour | undefined, { seen, settled }: AssuredHour): boolean =>
  known?.seen === seen &&
  known.settled.length === settled.length &&
  known.settled.at(-1)?.at === settled.at(-1)?.at;
