/** Lambda that runs every five minutes, or is asked what it would do: `{"dryRun": true}`. */
import type { Context } from 'aws-lambda';
import { z } from 'zod';
import { replicationRuleSchema } from '../../core/replication-rules.ts';
import { documentClient, s3Client, sqsClient } from '../shared/aws-clients.ts';
import {
  COPY_QUEUE,
  INDEX_TABLE,
  MANIFEST_EVENTS,
  RECORDING_PLACES,
  REPLICATION_RULES,
  recordingPlacesSchema,
  requireEnvironment,
  requireJson,
} from '../shared/environment.ts';
import { createLogger } from '../shared/observability.ts';
import { SERVICE_NAME, SWEEP_GRACE_SECONDS } from './constants.ts';
import { publishRun } from './run-metrics.ts';
import { SWEEP_LIMITS, type SweepRun, sweepRecordings } from './sweep-recordings.ts';

/** For the page that is in work, and for what is told at the end. */
const RESERVE_MS = 60_000;

const logger = createLogger(SERVICE_NAME);
const sqs = sqsClient();
const graceSeconds = process.env[SWEEP_GRACE_SECONDS];
const dependencies = {
  s3For: s3Client,
  table: documentClient(),
  tableName: requireEnvironment(INDEX_TABLE),
  homeRegion: requireEnvironment('AWS_REGION'),
  rules: requireJson(REPLICATION_RULES, z.array(replicationRuleSchema)),
  places: requireJson(RECORDING_PLACES, recordingPlacesSchema),
  copyQueue: { sqs, queueUrl: requireEnvironment(COPY_QUEUE) },
  manifestEvents: { sqs, queueUrl: requireEnvironment(MANIFEST_EVENTS) },
  limits: graceSeconds ? { ...SWEEP_LIMITS, graceMs: 1000 * Number(graceSeconds) } : SWEEP_LIMITS,
  random: Math.random,
  logger,
};

/** The schedule's event says nothing of it. Anything but true and false is refused, rather than taken for a real run. */
const eventSchema = z.object({ dryRun: z.boolean().default(false) });

/** @returns what it would have done, of a dry run */
export const handler = async (event: unknown, context: Context): Promise<SweepRun | undefined> => {
  const { dryRun } = eventSchema.parse(event ?? {});
  const now = new Date();
  const run = await sweepRecordings({
    ...dependencies,
    now,
    isDry: dryRun,
    isOutOfTime: () => context.getRemainingTimeInMillis() < RESERVE_MS,
  });
  logger.info('sweep', { ...run, dryRun });
  if (dryRun) return run;
  publishRun(run, now);
  return undefined;
};
