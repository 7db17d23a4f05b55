/**
 * What the sweep of a home region says of each of its targets, kept in the index: one item for each pair of regions.
 *
 * | item   | pk                   | sk           | written by |
 * |--------|----------------------|--------------|------------|
 * | report | `REPLICATION#<from>` | `TO#<to>`    | sweep-recordings of `from`, every run |
 */
import { z } from 'zod';
import type { Deployment } from './deployment.ts';
import type { TableKey } from './index-items.ts';

/** `onCompletion`: copied as soon as it is indexed; `window`: only within a window of time. */
export const REPLICATION_MODES = ['onCompletion', 'window'] as const;

/** What one whole round of the sweep through the recordings of the last days has counted. */
export const replicationFiguresSchema = z.object({
  /** End of the round. */
  countedAt: z.string(),
  /** Copies that are due and not there. What a filter leaves out, or the window has not come for yet, is not due. */
  waiting: z.number(),
  /** Since when the oldest of them is due. */
  oldestDueAt: z.string().optional(),
  /** Copies found damaged on the round, and asked for again. */
  damaged: z.number(),
  /**
   * Seconds from when a copy was due until it was verified, of those that were due in the 24 hours before; exact to 10 %.
   * Absent if there are none.
   */
  lagSeconds: z.object({ p50: z.number(), p95: z.number(), copies: z.number() }).optional(),
});
export type ReplicationFigures = z.infer<typeof replicationFiguresSchema>;

export const replicationReportSchema = z.object({
  from: z.string(),
  to: z.string(),
  mode: z.enum(REPLICATION_MODES),
  /** Time of the report. One much older than the five minutes between two runs means that the sweep does not run. */
  at: z.string(),
  /** Absent until the first round is complete. */
  figures: replicationFiguresSchema.optional(),
  /** Of a target with a window: whether it is open at the time of the report, and when that changes next. */
  window: z
    .object({ isOpen: z.boolean(), opensAt: z.string().optional(), closesAt: z.string().optional() })
    .optional(),
  /** A backfill that is on its way: the first day of it, and the day that it has come to (UTC, `2026-11-23`). */
  backfill: z.object({ since: z.string(), day: z.string(), requested: z.number() }).optional(),
});
export type ReplicationReport = z.infer<typeof replicationReportSchema>;

/** Two regions of which the second holds copies of what the first records. */
export const replicationPairSchema = z.object({ from: z.string(), to: z.string() });
export type ReplicationPair = z.infer<typeof replicationPairSchema>;

/** Partition of the reports of a region's sweep. */
export const replicationPartition = (from: string): string => `REPLICATION#${from}`;

export const replicationReportKey = ({ from, to }: ReplicationPair): TableKey => ({
  pk: replicationPartition(from),
  sk: `TO#${to}`,
});

/** All pairs of a deployment, in the file's order. */
export const replicationPairs = ({ replication }: Pick<Deployment, 'replication'>): ReplicationPair[] =>
  replication.map(({ from, to }) => ({ from, to }));
