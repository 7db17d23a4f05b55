/** Whether this region's API can do its work: its own two dependencies, and how long each takes to answer. */

import { HeadBucketCommand, type S3Client } from '@aws-sdk/client-s3';
import { GetCommand } from '@aws-sdk/lib-dynamodb';
import { recordingKey } from '../../core/index-items.ts';
import type { IndexTable } from '../shared/aws-clients.ts';
import type { Health } from './answers.ts';

export interface HealthDependencies {
  index: IndexTable;
  /** The region's own bucket. */
  s3: S3Client;
  bucket: string;
  /** For each to answer; default 2 s. */
  timeoutMs?: number;
}

const TIMEOUT_MS = 2_000;
/** Anybody may ask, and as often as they like: what was found is said again for so long. */
const KEPT_MS = 5_000;

/** Looks, or says again what was found just now. Never throws. */
export function healthCheck({
  index,
  s3,
  bucket,
  timeoutMs = TIMEOUT_MS,
}: HealthDependencies): (now: Date) => Promise<Health> {
  const look = async (): Promise<Health> => {
    const signal = () => ({ abortSignal: AbortSignal.timeout(timeoutMs) });
    const { table, tableName } = index;
    const nobody = recordingKey('none');
    const [indexHealth, storage] = await Promise.all([
      timed(() => table.send(new GetCommand({ TableName: tableName, Key: nobody }), signal())),
      timed(() => s3.send(new HeadBucketCommand({ Bucket: bucket }), signal())),
    ]);
    const isHealthy = indexHealth.state === 'ok' && storage.state === 'ok';
    return { status: isHealthy ? 'healthy' : 'unhealthy', checks: { index: indexHealth, storage } };
  };
  let last: { atMs: number; found: Promise<Health> } | undefined;
  return (now) => {
    if (!last || now.getTime() - last.atMs > KEPT_MS) last = { atMs: now.getTime(), found: look() };
    return last.found;
  };
}

async function timed(work: () => Promise<unknown>): Promise<Health['checks']['index']> {
  const start = performance.now();
  const state = await work().then(
    () => 'ok' as const,
    () => 'failed' as const,
  );
  return { state, latencyMs: Math.round(performance.now() - start) };
}
