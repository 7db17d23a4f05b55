/** What a sweep needs, in the emulator: two regions' buckets, the queues and the table, new for each test. */
import { CreateBucketCommand } from '@aws-sdk/client-s3';
import {
  CreateQueueCommand,
  DeleteMessageCommand,
  ReceiveMessageCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs';
import { GetCommand } from '@aws-sdk/lib-dynamodb';
import { parseCopyJob } from '../../../core/copy-jobs.ts';
import { copyKey } from '../../../core/index-items.ts';
import type { Manifest } from '../../../core/manifest.ts';
import { indexManifest } from '../../../functions/index-recording/index-recording.ts';
import { parseS3Notification } from '../../../functions/index-recording/s3-events.ts';
import { replicateRecording } from '../../../functions/replicate-recording/replicate-recording.ts';
import type { WorkQueue } from '../../../functions/shared/work-queue.ts';
import {
  SWEEP_LIMITS,
  type SweepDependencies,
  sweepRecordings,
} from '../../../functions/sweep-recordings/sweep-recordings.ts';
import { createIndexTable, startTestEmulator } from '../../helpers/emulator.ts';
import { recordingIdAt } from '../../helpers/manifest.ts';
import { ruleTo } from '../../helpers/replication-rules.ts';
import { type StoredRecording, storeRecording } from '../../helpers/stored-recording.ts';

export const HOME = 'us-east-1';
export const TARGET = 'us-west-2';
export const HOUR_MS = 3_600_000;
/** After all recordings of these tests, whose manifests were really written when the test ran. */
export const NOW = new Date(Date.now() + HOUR_MS);

export type SweepStages = Awaited<ReturnType<typeof startSweepStages>>;

/** In `beforeAll`, with `EMULATOR_START_TIMEOUT_MS`. */
export async function startSweepStages() {
  const emulator = await startTestEmulator();
  const home = emulator.s3(HOME);
  const target = emulator.s3(TARGET);
  const table = emulator.documents(HOME);
  const sqs = emulator.sqs(HOME);
  let stage = 0;

  /** Buckets, queues and a table of its own for each test. */
  async function setUp(given: Partial<SweepDependencies['limits']> = {}, rules = [ruleTo(TARGET)]) {
    stage += 1;
    const tableName = `index-${stage}`;
    const bucketIn = (region: string) => `stage-${stage}-${region}`;
    await createIndexTable(emulator.dynamo(HOME), tableName);
    for (const region of [HOME, TARGET])
      await emulator.s3(region).send(new CreateBucketCommand({ Bucket: bucketIn(region) }));
    const queue = async (name: string): Promise<WorkQueue> => {
      const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: `${name}-${stage}` }));
      return { sqs, queueUrl: QueueUrl as string };
    };
    const place = (region: string) => ({
      bucket: bucketIn(region),
      kmsKeyId: `arn:aws:kms:${region}:000000000000:alias/siprec-recordings`,
    });
    const logged: string[] = [];
    const common = {
      s3For: (region: string) => (region === HOME ? home : target),
      table,
      tableName,
      homeRegion: HOME,
      places: { [HOME]: place(HOME), [TARGET]: place(TARGET) },
      rules,
    };
    const dependencies: SweepDependencies = {
      ...common,
      rules,
      copyQueue: await queue('copy-jobs'),
      manifestEvents: await queue('manifest-events'),
      logger: { warn: (what) => logged.push(String(what)), error: (what) => logged.push(String(what)) },
      limits: { ...SWEEP_LIMITS, checks: 0, ...given },
      random: () => 0,
      now: NOW,
      isOutOfTime: () => false,
    };
    const copies = { queue: dependencies.copyQueue, rules };
    return {
      dependencies,
      logged,
      bucketIn,
      sweep: (other: Partial<SweepDependencies> = {}) => sweepRecordings({ ...dependencies, ...other }),
      store: (startedAt: string, index = 0, given: Partial<Manifest> = {}): Promise<StoredRecording> =>
        storeRecording(
          home,
          bucketIn(HOME),
          {},
          { startedAt, recordingId: recordingIdAt(startedAt, () => index / 1000), ...given },
        ),
      index: (key: string, now = NOW) =>
        indexManifest(
          { s3: home, table, tableName, copies, now: () => now },
          { bucket: bucketIn(HOME), key },
        ),
      /** Does what the functions behind the queues do, until both are empty. */
      async workOff(now = NOW): Promise<number> {
        let done = 0;
        for (;;) {
          const events = await take(sqs, dependencies.manifestEvents);
          for (const body of events)
            for (const object of parseS3Notification(body))
              await indexManifest({ s3: home, table, tableName, copies, now: () => now }, object);
          const jobs = await take(sqs, dependencies.copyQueue);
          for (const body of jobs)
            await replicateRecording({ ...common, now: () => now }, parseCopyJob(body));
          done += jobs.length;
          if (events.length + jobs.length === 0) return done;
        }
      },
      async copyOf({ manifest }: StoredRecording): Promise<Record<string, unknown> | undefined> {
        const Key = copyKey(manifest.recordingId, TARGET);
        return (await table.send(new GetCommand({ TableName: tableName, Key, ConsistentRead: true }))).Item;
      },
    };
  }

  return { emulator, home, target, table, sqs, setUp, stop: () => emulator.stop() };
}

/** Up to ten messages, which are gone then. */
export async function take(sqs: SQSClient, { queueUrl }: WorkQueue): Promise<string[]> {
  const { Messages = [] } = await sqs.send(
    new ReceiveMessageCommand({ QueueUrl: queueUrl, MaxNumberOfMessages: 10 }),
  );
  for (const { ReceiptHandle } of Messages)
    await sqs.send(new DeleteMessageCommand({ QueueUrl: queueUrl, ReceiptHandle }));
  return Messages.map(({ Body = '' }) => Body);
}
