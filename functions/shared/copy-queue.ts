/** Sends copy jobs to the region's copy queue. */
import { SendMessageBatchCommand, type SQSClient } from '@aws-sdk/client-sqs';
import type { CopyJob } from '../../core/copy-jobs.ts';

export interface CopyQueue {
  sqs: SQSClient;
  queueUrl: string;
}

/** SQS takes no more messages at once. */
const BATCH = 10;

/** SQS did not take some of the jobs; the others are in the queue, and sending all again is harmless. */
export class CopyJobsNotSentError extends Error {
  constructor(jobs: CopyJob[], reason: string) {
    super(`SQS did not take ${jobs.length} copy jobs, the first for ${jobs[0]?.key}: ${reason}`);
    this.name = 'CopyJobsNotSentError';
  }
}

/** @throws CopyJobsNotSentError, or the SDK's errors */
export async function sendCopyJobs({ sqs, queueUrl }: CopyQueue, jobs: CopyJob[]): Promise<void> {
  for (let at = 0; at < jobs.length; at += BATCH) {
    const batch = jobs.slice(at, at + BATCH);
    const { Failed = [] } = await sqs.send(
      new SendMessageBatchCommand({
        QueueUrl: queueUrl,
        Entries: batch.map((job, index) => ({ Id: String(index), MessageBody: JSON.stringify(job) })),
      }),
    );
    if (Failed.length > 0)
      throw new CopyJobsNotSentError(
        Failed.map(({ Id }) => batch[Number(Id)] as CopyJob),
        `${Failed[0]?.Code} ${Failed[0]?.Message ?? ''}`,
      );
  }
}
