/**
 * Catching up: a target is asked for all that it has not got, oldest recording first, from a day up to now. So begins every
 * opening of a window, and so is a backfill done: they differ in where they start and in how much they may ask for.
 *
 * It goes through the days again until it finds nothing to ask for: what was in the queue when the window closed, or has
 * failed for good in an outage, is asked for again. How far it is, is kept in the index table.
 */
import { GetCommand, PutCommand } from '@aws-sdk/lib-dynamodb';
import { z } from 'zod';
import type { TableKey } from '../../core/index-items.ts';
import type { IndexTable } from '../shared/aws-clients.ts';
import { unlessRefused } from '../shared/conditional-write.ts';
import { sweepPartition } from './constants.ts';

export const CATCH_UP_KINDS = ['WINDOW', 'BACKFILL'] as const;
export type CatchUpKind = (typeof CATCH_UP_KINDS)[number];

/** A UTC day, `2026-11-23`. */
const day = z.iso.date();

const catchUpSchema = z.object({
  /** When the window opened, or the backfill was ordered: one with another time replaces it. */
  startedAt: z.string(),
  /** The day that it begins with. */
  since: day,
  /** The day that it has come to, and the last recording of it that was looked at. */
  day,
  after: z.string().optional(),
  /** Time that it goes through the days, from 1. */
  pass: z.number(),
  /** Copies asked for: on this pass, and on all. */
  passRequested: z.number(),
  requested: z.number(),
  finishedAt: z.string().optional(),
});
export type CatchUp = z.infer<typeof catchUpSchema>;

/** A recording that can never be copied must not be asked for forever. In the outage of a target, a pass takes half an hour. */
export const MAX_PASSES = 20;

const DAY_MS = 24 * 3_600_000;
export const dayOf = (instant: Date): string => instant.toISOString().slice(0, 10);
export const addDays = (from: string, days: number): string =>
  dayOf(new Date(Date.parse(from) + days * DAY_MS));

export const newCatchUp = (startedAt: string, since: string): CatchUp => ({
  startedAt,
  since,
  day: since,
  pass: 1,
  passRequested: 0,
  requested: 0,
});

/**
 * What is to be done since a window has opened: what the last opening left undone, or else what was recorded since shortly
 * before it. A day is for calls that were long under way then.
 * @param firstDay where to begin without an opening before
 */
export function catchUpOfWindow(last: CatchUp | undefined, openedAt: Date, firstDay: string): CatchUp {
  const startedAt = openedAt.toISOString();
  if (last?.startedAt === startedAt) return last;
  if (!last) return newCatchUp(startedAt, firstDay);
  return newCatchUp(startedAt, last.finishedAt ? addDays(dayOf(new Date(last.startedAt)), -1) : last.since);
}

/** The state after some recordings of its day. `after` is absent at the end of the day. */
export function advanced(
  catchUp: CatchUp,
  { after, requested, now }: { after: string | undefined; requested: number; now: Date },
): CatchUp {
  const { after: _, ...rest } = catchUp;
  const next = {
    ...rest,
    requested: catchUp.requested + requested,
    passRequested: catchUp.passRequested + requested,
  };
  if (after !== undefined) return { ...next, after };
  if (catchUp.day < dayOf(now)) return { ...next, day: addDays(catchUp.day, 1) };
  if (next.passRequested === 0 || catchUp.pass >= MAX_PASSES)
    return { ...next, finishedAt: now.toISOString() };
  return { ...next, day: catchUp.since, pass: catchUp.pass + 1, passRequested: 0 };
}

/** At the beginning of another pass: what the one before has asked for should be done first. */
export const isAgain = (catchUp: CatchUp): boolean =>
  catchUp.pass > 1 && catchUp.day === catchUp.since && catchUp.after === undefined;

export interface CatchUpPlace {
  homeRegion: string;
  kind: CatchUpKind;
  target: string;
}

const keyOf = ({ homeRegion, kind, target }: CatchUpPlace): TableKey => ({
  pk: sweepPartition(homeRegion),
  sk: `${kind}#${target}`,
});

export async function readCatchUp(
  { table, tableName }: IndexTable,
  place: CatchUpPlace,
): Promise<CatchUp | undefined> {
  const { Item } = await table.send(
    new GetCommand({ TableName: tableName, Key: keyOf(place), ConsistentRead: true }),
  );
  return catchUpSchema.optional().parse(Item);
}

/**
 * Keeps the state, unless another has come in its place.
 * @param replaced `startedAt` of the one that was read; undefined if there was none
 * @returns false if it was another
 */
export async function writeCatchUp(
  { table, tableName }: IndexTable,
  place: CatchUpPlace,
  catchUp: CatchUp,
  replaced: string | undefined,
): Promise<boolean> {
  return unlessRefused(
    table.send(
      new PutCommand({
        TableName: tableName,
        Item: { ...keyOf(place), ...catchUp },
        ...(replaced === undefined
          ? { ConditionExpression: 'attribute_not_exists(pk)' }
          : {
              ConditionExpression: 'startedAt = :replaced',
              ExpressionAttributeValues: { ':replaced': replaced },
            }),
      }),
    ),
  );
}
