/** The end of every drill: all manifests are in S3, and the spool is empty. */
import type { Stage } from '../stage.ts';

/** All recordings of a drill must be in S3 within this time. */
export const finishedLimitMs = 30_000;
/** Later than too late, to tell what came late from what never comes. */
const GIVE_UP_MS = 90_000;
const SPOOL_LIMIT_MS = 5_000;

/**
 * Waits for the manifests.
 * @returns seconds until the last was there, and what is wrong
 */
export async function settled(
  stage: Stage,
  {
    count,
    spools,
    since = performance.now(),
    limitMs = finishedLimitMs,
  }: {
    /** Of recordings. */
    count: number;
    spools: readonly string[];
    /** By `performance.now()`. */
    since?: number;
    limitMs?: number;
  },
): Promise<{ recoverySeconds: number; failures: string[] }> {
  const failures: string[] = [];
  const manifests = await stage.manifests(count, limitMs + GIVE_UP_MS);
  const recoverySeconds = (performance.now() - since) / 1000;
  if (manifests < count) failures.push(`${count - manifests} of ${count} recordings never came to S3`);
  else if (recoverySeconds > limitMs / 1000)
    failures.push(
      `the last recording took ${recoverySeconds.toFixed(1)} s to be in S3, over ${limitMs / 1000} s`,
    );
  for (const spool of spools) {
    const left = await stage.leftInSpool(spool, SPOOL_LIMIT_MS);
    if (left.length > 0)
      failures.push(`${left.length} entries are left in the spool: ${left.slice(0, 5).join(' ')}`);
  }
  return { recoverySeconds, failures };
}
