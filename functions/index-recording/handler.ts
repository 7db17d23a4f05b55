/** Lambda behind the queue of manifest events. */
import { BatchProcessor, EventType, processPartialResponse } from '@aws-lambda-powertools/batch';
import type { SQSHandler, SQSRecord } from 'aws-lambda';
import { z } from 'zod';
import { InvalidManifestError } from '../../core/manifest.ts';
import { replicationRuleSchema } from '../../core/replication-rules.ts';
import { documentClient, s3Client, sqsClient } from '../shared/aws-clients.ts';
import {
  COPY_QUEUE,
  INDEX_TABLE,
  REPLICATION_RULES,
  requireEnvironment,
  requireJson,
} from '../shared/environment.ts';
import { createLogger, createMetrics } from '../shared/observability.ts';
import { SERVICE_NAME } from './constants.ts';
import { addInvalid, addResult } from './index-metrics.ts';
import { indexManifest } from './index-recording.ts';
import { parseS3Notification } from './s3-events.ts';

const logger = createLogger(SERVICE_NAME);
const metrics = createMetrics(SERVICE_NAME);
const processor = new BatchProcessor(EventType.SQS);
const dependencies = {
  s3: s3Client(),
  table: documentClient(),
  tableName: requireEnvironment(INDEX_TABLE),
  // Both or none: a region from which nothing is copied has no copy queue.
  ...((process.env[COPY_QUEUE] || process.env[REPLICATION_RULES]) && {
    copies: {
      queue: { sqs: sqsClient(), queueUrl: requireEnvironment(COPY_QUEUE) },
      rules: requireJson(REPLICATION_RULES, z.array(replicationRuleSchema)),
    },
  }),
};

async function indexMessage({ messageId, body }: SQSRecord): Promise<void> {
  try {
    for (const object of parseS3Notification(body)) {
      const result = await indexManifest(dependencies, object);
      addResult(metrics, result, new Date());
      logger.info('manifest event', { ...object, ...result });
    }
  } catch (error) {
    if (error instanceof InvalidManifestError) addInvalid(metrics);
    logger.error('manifest event not handled', { messageId, body, error });
    throw error; // back to the queue, and after the last try to the dead-letter queue
  }
}

export const handler: SQSHandler = async (event, context) => {
  try {
    return await processPartialResponse(event, indexMessage, processor, {
      context,
      throwOnFullBatchFailure: false,
    });
  } finally {
    metrics.publishStoredMetrics();
  }
};
