/** Lambda behind the copy queue. */
import { BatchProcessor, EventType, processPartialResponse } from '@aws-lambda-powertools/batch';
import type { SQSHandler, SQSRecord } from 'aws-lambda';
import { z } from 'zod';
import { type CopyJob, parseCopyJob } from '../../core/copy-jobs.ts';
import type { Manifest } from '../../core/manifest.ts';
import { replicationRuleSchema } from '../../core/replication-rules.ts';
import { retentionSchema } from '../../core/retention.ts';
import { documentClient, s3Client, sqsClient } from '../shared/aws-clients.ts';
import {
  COPY_QUEUE,
  INDEX_TABLE,
  RECORDING_PLACES,
  REPLICATION_RULES,
  RETENTION,
  recordingPlacesSchema,
  requireEnvironment,
  requireJson,
} from '../shared/environment.ts';
import { gatherReads } from '../shared/gather-reads.ts';
import { createLogger } from '../shared/observability.ts';
import { SERVICE_NAME } from './constants.ts';
import { publishFailure, publishResult } from './copy-metrics.ts';
import { protectionOf } from './protection.ts';
import { replicateRecording } from './replicate-recording.ts';
import { retryLater } from './retry-later.ts';

const logger = createLogger(SERVICE_NAME);
const processor = new BatchProcessor(EventType.SQS);
const queue = { sqs: sqsClient(), queueUrl: requireEnvironment(COPY_QUEUE) };
const index = { table: documentClient(), tableName: requireEnvironment(INDEX_TABLE) };
// Only where buckets have Object Lock: S3 refuses locked objects in others.
const retention = process.env[RETENTION] ? requireJson(RETENTION, retentionSchema) : undefined;
const dependencies = {
  ...index,
  readNow: gatherReads(index, { consistent: true }),
  s3For: s3Client,
  homeRegion: requireEnvironment('AWS_REGION'),
  places: requireJson(RECORDING_PLACES, recordingPlacesSchema),
  rules: requireJson(REPLICATION_RULES, z.array(replicationRuleSchema)),
  ...(retention && {
    protectionOf: (manifest: Manifest) => protectionOf(index, retention, manifest, new Date()),
  }),
};

async function copyMessage(record: SQSRecord): Promise<void> {
  let job: CopyJob | undefined;
  try {
    job = parseCopyJob(record.body);
    const result = await replicateRecording(dependencies, job);
    publishResult(job.target, result);
    logger.info('copy job', { ...job, ...result });
  } catch (error) {
    publishFailure(job?.target, error as Error);
    logger.error('copy job not done', { messageId: record.messageId, body: record.body, error });
    await retryLater(queue, record).catch((cause) => logger.warn('waits longer than it should', { cause }));
    throw error; // back to the queue, and after the last try to the dead-letter queue
  }
}

export const handler: SQSHandler = (event, context) =>
  processPartialResponse(event, copyMessage, processor, { context, throwOnFullBatchFailure: false });
