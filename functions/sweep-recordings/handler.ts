/** Lambda that runs every five minutes. What woke it does not matter. */
import type { Context } from 'aws-lambda';
import { z } from 'zod';
import { documentClient, s3Client, sqsClient } from '../shared/aws-clients.ts';
import {
  COPY_QUEUE,
  COPY_TARGETS,
  INDEX_TABLE,
  MANIFEST_EVENTS,
  RECORDING_PLACES,
  recordingPlacesSchema,
  requireEnvironment,
  requireJson,
} from '../shared/environment.ts';
import { createLogger } from '../shared/observability.ts';
import { SERVICE_NAME, SWEEP_GRACE_SECONDS } from './constants.ts';
import { publishRun } from './run-metrics.ts';
import { SWEEP_LIMITS, sweepRecordings } from './sweep-recordings.ts';

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
  targets: requireJson(COPY_TARGETS, z.array(z.string())),
  places: requireJson(RECORDING_PLACES, recordingPlacesSchema),
  copyQueue: { sqs, queueUrl: requireEnvironment(COPY_QUEUE) },
  manifestEvents: { sqs, queueUrl: requireEnvironment(MANIFEST_EVENTS) },
  limits: graceSeconds ? { ...SWEEP_LIMITS, graceMs: 1000 * Number(graceSeconds) } : SWEEP_LIMITS,
  random: Math.random,
  logger,
};

export const handler = async (_: unknown, context: Context): Promise<void> => {
  const run = await sweepRecordings({
    ...dependencies,
    now: new Date(),
    isOutOfTime: () => context.getRemainingTimeInMillis() < RESERVE_MS,
  });
  logger.info('sweep', { ...run });
  publishRun(run);
};
