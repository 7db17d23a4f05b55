/** Sends messages to the region's queues. */
import { SendMessageBatchCommand, type SQSClient } from '@aws-sdk/client-sqs';
import type { CopyJob } from '../../core/copy-jobs.ts';

export interface WorkQueue {
  sqs: SQSClient;
  queueUrl: string;
}

/** SQS takes no more messages at once. */
const BATCH = 10;

/** SQS did not take some of the messages; the others are in the queue, and sending all again is harmless. */
export class MessagesNotSentError extends Error {
  constructor(queueUrl: string, count: number, first: string, reason: string) {
    super(`${queueUrl} did not take ${count} messages, the first ${first}: ${reason}`);
    this.name = 'MessagesNotSentError';
  }
}

export const sendCopyJobs = (queue: WorkQueue, jobs: CopyJob[]): Promise<void> => sendMessages(queue, jobs);

/**
 * Sends each as JSON.
 * @throws MessagesNotSentError, or the SDK's errors
 */
export async function sendMessages({ sqs, queueUrl }: WorkQueue, messages: object[]): Promise<void> {
  for (let at = 0; at < messages.length; at += BATCH) {
    const bodies = messages.slice(at, at + BATCH).map((message) => JSON.stringify(message));
    const { Failed = [] } = await sqs.send(
      new SendMessageBatchCommand({
        QueueUrl: queueUrl,
        Entries: bodies.map((MessageBody, index) => ({ Id: String(index), MessageBody })),
      }),
    );
    const [first] = Failed;
    if (first)
      throw new MessagesNotSentError(
        queueUrl,
        Failed.length,
        bodies[Number(first.Id)] ?? '',
        `${first.Code} ${first.Message ?? ''}`,
      );
  }
}
