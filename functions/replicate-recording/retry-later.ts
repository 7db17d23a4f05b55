/**
 * When a job that failed is tried again. By itself, SQS waits for the rest of the visibility timeout, which is six times
 * what the largest copy may take; most failures are over within a minute.
 */
import { ChangeMessageVisibilityCommand } from '@aws-sdk/client-sqs';
import type { SQSRecord } from 'aws-lambda';
import type { WorkQueue } from '../shared/work-queue.ts';

const FIRST_SECONDS = 15;
const LONGEST_SECONDS = 15 * 60;

/** Seconds until the next try, after so many. */
export const retrySeconds = (tries: number): number =>
  Math.min(LONGEST_SECONDS, FIRST_SECONDS * 2 ** Math.max(0, tries - 1));

/** @throws the SDK's errors; the message then waits as long as SQS lets it */
export async function retryLater(
  { sqs, queueUrl }: WorkQueue,
  { receiptHandle, attributes }: SQSRecord,
): Promise<void> {
  await sqs.send(
    new ChangeMessageVisibilityCommand({
      QueueUrl: queueUrl,
      ReceiptHandle: receiptHandle,
      VisibilityTimeout: retrySeconds(Number(attributes.ApproximateReceiveCount ?? 1)),
    }),
  );
}
