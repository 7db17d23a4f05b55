/** Lambda that runs every minute. What woke it does not matter. */
import type { Context } from 'aws-lambda';
import { z } from 'zod';
import { retentionSchema } from '../../core/retention.ts';
import { documentClient, IMPATIENT, impatientS3Client } from '../shared/aws-clients.ts';
import {
  INDEX_TABLE,
  RECORDING_BUCKETS,
  RETENTION,
  requireEnvironment,
  requireJson,
} from '../shared/environment.ts';
import { createLogger } from '../shared/observability.ts';
import { SERVICE_NAME } from './constants.ts';
import { EXPIRE_TIMES, type ExpireDependencies } from './dependencies.ts';
import { expireRecordings } from './expire-recordings.ts';
import { publishRun } from './run-metrics.ts';

/** For the batch that is in work: each request gives up within seconds. */
const RESERVE_MS = 90_000;
const PARALLEL = 10;

const tableName = requireEnvironment(INDEX_TABLE);
const homeRegion = requireEnvironment('AWS_REGION');
const buckets = requireJson(RECORDING_BUCKETS, z.record(z.string(), z.string()));
const logger = createLogger(SERVICE_NAME);
const tables = Object.fromEntries(
  Object.keys(buckets).map((region) => [
    region,
    // A region that is down must not use up the run. The home region's index has nothing to do without.
    documentClient({ region, ...(region !== homeRegion && IMPATIENT) }),
  ]),
);
const dependencies: ExpireDependencies = {
  homeRegion,
  buckets,
  s3For: impatientS3Client,
  indexFor: (region) => {
    const table = tables[region];
    if (!table) throw new Error(`${RECORDING_BUCKETS} has no region ${region}`);
    return { table, tableName };
  },
  retention: requireJson(RETENTION, retentionSchema),
  logger,
  now: () => new Date(),
  times: EXPIRE_TIMES,
};

export const handler = async (_: unknown, context: Context): Promise<void> => {
  const run = await expireRecordings(dependencies, {
    parallel: PARALLEL,
    isOutOfTime: () => context.getRemainingTimeInMillis() < RESERVE_MS,
  });
  logger.info('expire', { ...run });
  publishRun(run);
};
