/**
 * Copy jobs: what the copy queue of a home region carries. A job names a recording and a target, and no revision: the
 * copier makes the copy like what the home region holds when it looks, so that jobs may come twice and in any order.
 */
import { z } from 'zod';
import type { Deployment } from './deployment.ts';
import { parseManifestKey } from './keys.ts';

export const copyJobSchema = z.strictObject({
  /** Of the manifest, the same in every region's bucket. */
  key: z.string().refine((key) => parseManifestKey(key) !== undefined, 'not the key of a manifest'),
  /** Region that is to hold the copy. */
  target: z.string().min(1),
  /** Of a recording that was made long before it was asked for: its age is no lag. */
  backfill: z.literal(true).optional(),
});
export type CopyJob = z.infer<typeof copyJobSchema>;

/** A message of the copy queue is no job. */
export class InvalidCopyJobError extends Error {
  constructor(body: string, options?: ErrorOptions) {
    super(`not a copy job: ${body.slice(0, 200)}`, options);
    this.name = 'InvalidCopyJobError';
  }
}

/** @throws InvalidCopyJobError */
export function parseCopyJob(body: string): CopyJob {
  try {
    return copyJobSchema.parse(JSON.parse(body));
  } catch (cause) {
    throw new InvalidCopyJobError(body, { cause });
  }
}

/** Regions that get copies of what `from` records, in the file's order. Which recordings, and when: `replication-rules.ts`. */
export const copyTargets = (
  { replication }: { replication: Pick<Deployment['replication'][number], 'from' | 'to'>[] },
  from: string,
): string[] => replication.filter((target) => target.from === from).map(({ to }) => to);
