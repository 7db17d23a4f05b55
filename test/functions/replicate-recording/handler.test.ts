/** The handler on a real queue: what it does with messages, and what it tells CloudWatch. */
import { CreateBucketCommand, type S3Client } from '@aws-sdk/client-s3';
import { CreateQueueCommand, ReceiveMessageCommand, type SQSClient } from '@aws-sdk/client-sqs';
import { jest } from '@jest/globals';
import type { Context, SQSBatchResponse, SQSEvent, SQSRecord } from 'aws-lambda';
import { retrySeconds } from '../../../functions/replicate-recording/retry-later.ts';
import {
  COPY_QUEUE,
  INDEX_TABLE,
  RECORDING_PLACES,
  REPLICATION_RULES,
} from '../../../functions/shared/environment.ts';
import { sendCopyJobs } from '../../../functions/shared/work-queue.ts';
import {
  createIndexTable,
  EMULATOR_START_TIMEOUT_MS,
  startTestEmulator,
  type TestEmulator,
} from '../../helpers/emulator.ts';
import { enterFunction } from '../../helpers/function-environment.ts';
import { ruleTo } from '../../helpers/replication-rules.ts';
import { type StoredRecording, storeRecording } from '../../helpers/stored-recording.ts';

const HOME = 'us-east-1';
const TARGET = 'us-west-2';
const CLOSED = 'eu-west-1';
const TABLE = 'index';
/** A window of two hours, half a day from now. */
function neverOpen(now: Date) {
  const clock = (hours: number) => new Date(now.getTime() + hours * 3_600_000).toISOString().slice(11, 16);
  return { mode: 'window', window: { timeZone: 'UTC', from: clock(12), to: clock(14) } };
}
/** Nothing comes back by itself within the test. */
const VISIBILITY_SECONDS = 3_600;

let emulator: TestEmulator;
let leave: (() => void) | undefined;
let s3: S3Client;
let sqs: SQSClient;
let queueUrl: string;
let handler: (event: SQSEvent) => Promise<SQSBatchResponse>;
const metrics: Record<string, unknown>[] = [];

beforeAll(async () => {
  emulator = await startTestEmulator();
  s3 = emulator.s3(HOME);
  sqs = emulator.sqs(HOME);
  for (const region of [HOME, TARGET, CLOSED])
    await emulator.s3(region).send(new CreateBucketCommand({ Bucket: `recordings-${region}` }));
  await createIndexTable(emulator.dynamo(HOME), TABLE);
  const Attributes = { VisibilityTimeout: String(VISIBILITY_SECONDS) };
  const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: 'copy-jobs', Attributes }));
  queueUrl = QueueUrl as string;
  const place = (region: string) => ({
    bucket: `recordings-${region}`,
    kmsKeyId: `arn:aws:kms:${region}:000000000000:alias/siprec-recordings`,
  });
  leave = enterFunction(emulator, HOME, {
    [INDEX_TABLE]: TABLE,
    [COPY_QUEUE]: queueUrl,
    [RECORDING_PLACES]: JSON.stringify({
      [HOME]: place(HOME),
      [TARGET]: place(TARGET),
      [CLOSED]: place(CLOSED),
    }),
    [REPLICATION_RULES]: JSON.stringify([ruleTo(TARGET), ruleTo(CLOSED, neverOpen(new Date()))]),
    POWERTOOLS_LOG_LEVEL: 'SILENT',
  });
  jest.spyOn(console, 'log').mockImplementation((line: string) => {
    metrics.push(JSON.parse(line));
  });
  const module = await import('../../../functions/replicate-recording/handler.ts');
  handler = async (event) =>
    (await module.handler(
      event,
      { getRemainingTimeInMillis: () => 30_000 } as Context,
      () => {},
    )) as SQSBatchResponse;
}, EMULATOR_START_TIMEOUT_MS);
afterAll(async () => {
  jest.restoreAllMocks();
  leave?.();
  await emulator.stop();
});
beforeEach(() => {
  metrics.length = 0;
});

async function receive(): Promise<SQSRecord[]> {
  const { Messages = [] } = await sqs.send(
    new ReceiveMessageCommand({
      QueueUrl: queueUrl,
      MaxNumberOfMessages: 10,
      MessageSystemAttributeNames: ['ApproximateReceiveCount'],
    }),
  );
  return Messages.map(
    ({ MessageId, Body, ReceiptHandle, Attributes }) =>
      ({
        messageId: MessageId,
        body: Body,
        receiptHandle: ReceiptHandle,
        attributes: Attributes,
        eventSource: 'aws:sqs',
      }) as unknown as SQSRecord,
  );
}

describe('replicate-recording', () => {
  it('makes the copies that it can, and gives back only the messages of the others', async () => {
    const bucket = `recordings-${HOME}`;
    const good = await Promise.all([1, 2, 3].map(() => storeRecording(s3, bucket)));
    const [{ key: first }] = good as [StoredRecording, ...StoredRecording[]];
    const gone = first.replace(/\/\w{26}\//, '/01KAR7V0000000000000000000/');
    const foreign = gone.replace(HOME, TARGET);
    const jobs = [...good.map(({ key }) => key), gone, foreign].map((key) => ({ key, target: TARGET }));
    await sendCopyJobs({ sqs, queueUrl }, [...jobs, { key: first, target: CLOSED }]);
    const Records = await receive();
    expect(Records).toHaveLength(6);
    const rubbish = { ...Records[0], messageId: 'rubbish', body: 'no job' } as SQSRecord;

    const { batchItemFailures } = await handler({ Records: [...Records, rubbish] });
    const foreignId = Records.find(({ body }) => body.includes(foreign))?.messageId;
    expect(batchItemFailures.map(({ itemIdentifier }) => itemIdentifier).sort()).toEqual(
      [foreignId, 'rubbish'].sort(),
    );

    const counted = (name: string) => metrics.filter((line) => line[name] !== undefined);
    const bytes = good.map(({ manifest }) => 10_500 + JSON.stringify(manifest).length).sort();
    expect(counted('CopiesMade')).toHaveLength(3);
    expect(
      counted('CopiesMade')
        .map(({ CopiedBytes }) => CopiedBytes)
        .sort(),
    ).toEqual(bytes);
    for (const line of counted('CopiesMade'))
      expect(line).toMatchObject({ target: TARGET, ReplicationLagSeconds: expect.any(Number) });
    expect(counted('CopySourcesGone')).toHaveLength(1);
    expect(counted('CopiesLeftToTheWindow')).toMatchObject([{ target: CLOSED }]);
    expect(counted('CopiesFailed').map(({ target, reason }) => [target, reason])).toEqual(
      expect.arrayContaining([
        [TARGET, 'ForeignCopyJobError'],
        ['unknown', 'InvalidCopyJobError'],
      ]),
    );
  });

  it('gives back all messages when all failed, rather than failing itself', async () => {
    const record = (messageId: string, body: string) =>
      ({ messageId, body, eventSource: 'aws:sqs', attributes: {}, receiptHandle: 'unknown' }) as never;
    expect(await handler({ Records: [record('a', ''), record('b', '{"key":"rec","target":"x"}')] })).toEqual({
      batchItemFailures: [{ itemIdentifier: 'a' }, { itemIdentifier: 'b' }],
    });
  });

  it('waits longer after each try, up to a quarter of an hour', () => {
    expect([1, 2, 3, 4, 5, 6, 7, 8].map(retrySeconds)).toEqual([15, 30, 60, 120, 240, 480, 900, 900]);
  });
});
