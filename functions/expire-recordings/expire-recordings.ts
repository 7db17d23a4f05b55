/**
 * One run of a region's deletions: what is due (requests, holds to be kept, deletions that are open, or to be looked for
 * again), then a stretch of the round through what is past its retention.
 */
import { DeleteCommand, PutCommand, QueryCommand } from '@aws-sdk/lib-dynamodb';
import {
  type DueItem,
  dueItem,
  dueItemSchema,
  duePartition,
  type HoldSubject,
  subjectPartition,
} from '../../core/fate-items.ts';
import { type Attended, attend } from './attend.ts';
import type { ExpireDependencies } from './dependencies.ts';
import { nextExpired, readExpireCursor, writeExpireCursor } from './past-retention.ts';

/** A run in numbers, of recordings. */
export interface ExpireRun {
  begun: number;
  deleted: number;
  held: number;
  open: number;
  failed: number;
  /** Versions. */
  leftovers: number;
}

export interface RunLimits {
  /** Looked at side by side. */
  parallel: number;
  /** Asked before each batch. */
  isOutOfTime: () => boolean;
}

/** @throws the SDK's errors of the home region's index; the next run goes on */
export async function expireRecordings(
  dependencies: ExpireDependencies,
  { parallel, isOutOfTime }: RunLimits,
): Promise<ExpireRun> {
  const run: ExpireRun = { begun: 0, deleted: 0, held: 0, open: 0, failed: 0, leftovers: 0 };
  const looked = new Set<string>();
  while (!isOutOfTime()) {
    const due = await readDue(dependencies, parallel);
    if (due.length === 0) break;
    // What is due twice is looked at once: two looks at the same time would be in each other's way.
    const subjects = Map.groupBy(due, ({ subject }) => subjectPartition(subject));
    await Promise.all(
      [...subjects].map(async ([name, items]) => {
        const [{ subject }] = items as [DueItem];
        const next = await look(dependencies, run, subject);
        looked.add(name);
        for (const item of items) await replaceDue(dependencies, item, next);
      }),
    );
  }
  let cursor = await readExpireCursor(dependencies);
  while (!isOutOfTime()) {
    const page = await nextExpired(dependencies, cursor);
    if (!page) break;
    const subjects = page.recordingIds
      .map((recordingId): HoldSubject => ({ kind: 'recording', recordingId }))
      .filter((subject) => !looked.has(subjectPartition(subject)));
    for (let at = 0; at < subjects.length; at += parallel)
      await Promise.all(
        subjects.slice(at, at + parallel).map(async (subject) => {
          const next = await look(dependencies, run, subject);
          if (next) await putDue(dependencies, dueItem(dependencies.homeRegion, subject, next));
        }),
      );
    cursor = page.next;
    await writeExpireCursor(dependencies, cursor);
  }
  return run;
}

/** @returns when it is to be looked at again */
async function look(
  dependencies: ExpireDependencies,
  run: ExpireRun,
  subject: HoldSubject,
): Promise<Date | undefined> {
  const { logger, now, times } = dependencies;
  let attended: Attended;
  try {
    attended = await attend(dependencies, subject);
  } catch (error) {
    run.failed += 1;
    logger.error('could not be looked at', { subject, error: error as Error });
    return new Date(now().getTime() + times.retryMs);
  }
  const { outcome, isBegun, leftovers = 0, next } = attended;
  if (isBegun) run.begun += 1;
  if (outcome === 'held' || outcome === 'open') run[outcome] += 1;
  // Once: at a later look, it has been counted.
  if (outcome === 'deleted' && next) run.deleted += 1;
  run.leftovers += leftovers;
  return next;
}

async function readDue({ indexFor, homeRegion, now }: ExpireDependencies, limit: number): Promise<DueItem[]> {
  const { table, tableName } = indexFor(homeRegion);
  const { Items = [] } = await table.send(
    new QueryCommand({
      TableName: tableName,
      KeyConditionExpression: 'pk = :pk AND sk < :now',
      // `~` comes after `#`: what is due at this very moment is due.
      ExpressionAttributeValues: { ':pk': duePartition(homeRegion), ':now': `${now().toISOString()}~` },
      ConsistentRead: true,
      Limit: limit,
    }),
  );
  return Items.map((item) => dueItemSchema.parse(item));
}

/** The later work is there before the one that is done goes. */
async function replaceDue(
  dependencies: ExpireDependencies,
  { pk, sk, subject }: DueItem,
  next: Date | undefined,
): Promise<void> {
  const { indexFor, homeRegion } = dependencies;
  const { table, tableName } = indexFor(homeRegion);
  if (next) await putDue(dependencies, dueItem(homeRegion, subject, next));
  await table.send(new DeleteCommand({ TableName: tableName, Key: { pk, sk } }));
}

async function putDue({ indexFor, homeRegion }: ExpireDependencies, item: DueItem): Promise<void> {
  const { table, tableName } = indexFor(homeRegion);
  await table.send(new PutCommand({ TableName: tableName, Item: item }));
}
