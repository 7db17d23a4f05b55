/** What a drill of recordings needs: the stacks deployed in the emulator, with a gate before S3 and DynamoDB of each region. */
import type { S3Client } from '@aws-sdk/client-s3';
import {
  DeleteMessageBatchCommand,
  GetQueueAttributesCommand,
  type Message,
  PurgeQueueCommand,
  ReceiveMessageCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs';
import { BatchGetCommand, type DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import { copyTargets } from '../../../core/copy-jobs.ts';
import { copyKey, recordingKey, type TableKey } from '../../../core/index-items.ts';
import { indexTableName, recordingsBucketName } from '../../../core/names.ts';
import { SERVICE_NAME as INDEX } from '../../../functions/index-recording/constants.ts';
import { COPY_QUEUE, MANIFEST_EVENTS } from '../../../functions/shared/environment.ts';
import type { WorkQueue } from '../../../functions/shared/work-queue.ts';
import { SERVICE_NAME as SWEEP, SWEEP_GRACE_SECONDS } from '../../../functions/sweep-recordings/constants.ts';
import { apiGet } from '../../../local/api-client.ts';
import { deployedApiId } from '../../../local/cloud/deploy.ts';
import { replicateTable } from '../../../local/cloud/global-table.ts';
import { pause } from '../../../local/dns-server/pause.ts';
import { deployForTest } from '../../e2e/deployed.ts';
import { DeployedFunctions } from './deployed-functions.ts';
import { inParallel } from './in-parallel.ts';
import { type RegionalGate, startRegionalGate } from './regional-gate.ts';
import { type SyntheticRecording, storeSynthetic } from './synthetic-recording.ts';

/** Where most is recorded, and where the copies go. */
export const HOME = 'us-east-1';
export const OTHER = 'us-west-2';

/** The sweep leaves recordings alone for ten minutes; a drill has no time for that. */
const GRACE_SECONDS = 10;
/** Between two sweeps, instead of the five minutes of their schedule. */
const SWEEP_PAUSE_MS = 3_000;
/** For everything to arrive. */
const REPAIR_TIMEOUT_MS = 8 * 60_000;
const LOOK_EVERY_MS = 500;
const STORED_AT_ONCE = 12;
/** What DynamoDB gives at once. */
const BATCH = 100;

/** Seconds of audio are not what is tested. */
const AUDIO_BYTES = 10_000;

export type QueueName = 'manifestEvents' | 'copyJobs';

export interface RecordingsStage {
  /** The home region of the index first. */
  regions: string[];
  tableName: string;
  endpoint: string;
  credentials: { accessKeyId: string; secretAccessKey: string };
  /** All that were ever stored here. */
  recordings: readonly SyntheticRecording[];
  gate: RegionalGate;
  signal: AbortSignal;
  say: (line: string) => void;
  bucket: (region: string) => string;
  /** Clients that no gate is before. */
  s3: (region: string) => S3Client;
  documents: (region: string) => DynamoDBDocumentClient;
  functions: (region: string) => DeployedFunctions;
  /** Regions that must have a copy of what a region records. */
  targetsOf: (homeRegion: string) => string[];
  /** Asks a region's query API. */
  ask: (region: string, path: string, query?: Record<string, string>) => Promise<unknown>;
  /** Stores so many more. */
  store: (region: string, count: number, audioBytes?: number) => Promise<SyntheticRecording[]>;
  queue: (region: string, name: QueueName) => DrillQueue;
  /** Looks until there is something to see, twice a second. @throws Error naming what has not come within 8 min */
  until: <Seen>(what: string, look: () => Promise<Seen | undefined>) => Promise<Seen>;
  /** One run of a region's sweep, as its schedule would. @returns the end of its log */
  sweep: (region: string) => Promise<string>;
  /**
   * Waits until the index says that all recordings and all due copies are there; meanwhile the sweeps run every 3 s.
   * @returns when that was seen, in ms
   * @throws Error after 8 min
   */
  untilArrived: (options?: { sweeping?: boolean }) => Promise<number>;
  /** Waits until all queues are empty and nobody works on them any more. @returns when that was seen, in ms */
  untilIdle: () => Promise<number>;
  /** How many of these recordings the index has no good copy of in a region, verified since then (ms). */
  notVerifiedSince: (
    recordings: readonly SyntheticRecording[],
    region: string,
    sinceMs: number,
  ) => Promise<number>;
  /** How many of these recordings have a good copy in a region that was verified before then (ms). */
  verifiedBefore: (
    recordings: readonly SyntheticRecording[],
    region: string,
    untilMs: number,
  ) => Promise<number>;
  stop: () => Promise<void>;
}

export interface DrillQueue extends WorkQueue {
  /** Messages that wait or are in work. */
  count: () => Promise<number>;
  purge: () => Promise<void>;
  /** Takes all that wait. */
  drain: () => Promise<string[]>;
}

/**
 * @param options.isGated false: the functions go to the emulator as they are deployed, and the gate is of no use
 * @throws LocalCloudError
 */
export async function startRecordingsStage(
  log: (line: string) => void,
  signal: AbortSignal,
  { isGated = true } = {},
): Promise<RecordingsStage> {
  log('deploying the stacks');
  const stacks = await deployForTest();
  const closers: (() => unknown)[] = [() => stacks.stop()];
  const stop = async (): Promise<void> => {
    for (const close of closers.splice(0).reverse()) await close();
  };
  try {
    const { deployment, emulator, target } = stacks;
    const { endpoint, credentials } = emulator;
    const tableName = indexTableName(deployment);
    const regions = [HOME, OTHER];
    await replicateTable({ endpoint, credentials, tableName, regions });
    const bucket = (region: string) => recordingsBucketName(deployment, region);
    const gate = await startRegionalGate(endpoint, (name) =>
      regions.find((region) => bucket(region) === name),
    );
    closers.push(() => gate.stop());
    const functions = new Map<string, DeployedFunctions>();
    const apis = new Map<string, string>();
    const clients = new Map<string, { s3: S3Client; sqs: SQSClient; documents: DynamoDBDocumentClient }>();
    for (const region of regions) {
      clients.set(region, {
        s3: emulator.s3(region),
        sqs: emulator.sqs(region),
        documents: emulator.documents(region),
      });
      apis.set(region, `${endpoint}/restapis/${await deployedApiId(target, region)}/v1/_user_request_`);
      const deployed = await DeployedFunctions.find({ endpoint, credentials, region });
      closers.push(() => deployed.close());
      functions.set(region, deployed);
    }
    const of = <Thing>(things: ReadonlyMap<string, Thing>, region: string): Thing => {
      const thing = things.get(region);
      if (!thing) throw new Error(`${region} is not deployed`);
      return thing;
    };
    const recordings: SyntheticRecording[] = [];
    let numbered = 0;
    const stage: RecordingsStage = {
      regions,
      tableName,
      endpoint,
      credentials,
      recordings,
      gate,
      signal,
      say: log,
      bucket,
      s3: (region) => of(clients, region).s3,
      documents: (region) => of(clients, region).documents,
      functions: (region) => of(functions, region),
      targetsOf: (homeRegion) => copyTargets(deployment, homeRegion),
      ask: (region, path, query) => apiGet({ url: of(apis, region), region, credentials }, path, query),
      async store(homeRegion, count, audioBytes = AUDIO_BYTES) {
        const first = numbered;
        numbered += count;
        const numbers = Array.from({ length: count }, (_, index) => first + index);
        const stored = await inParallel(numbers, STORED_AT_ONCE, (number) => {
          signal.throwIfAborted();
          return storeSynthetic(stage.s3(homeRegion), bucket(homeRegion), { homeRegion, number, audioBytes });
        });
        recordings.push(...stored);
        return stored;
      },
      queue(region, name) {
        const sweep = of(functions, region);
        const url = sweep.variable(SWEEP, name === 'copyJobs' ? COPY_QUEUE : MANIFEST_EVENTS);
        return drillQueue(of(clients, region).sqs, url);
      },
      sweep: (region) => of(functions, region).invoke(SWEEP),
      async until(what, look) {
        const deadline = Date.now() + REPAIR_TIMEOUT_MS;
        for (;;) {
          signal.throwIfAborted();
          const seen = await look();
          if (seen !== undefined) return seen;
          if (Date.now() > deadline)
            throw new Error(`${what} did not come within ${REPAIR_TIMEOUT_MS / 1000} s`);
          await pause(LOOK_EVERY_MS, signal);
        }
      },
      async untilArrived({ sweeping = true } = {}) {
        let sweptAt = 0;
        return stage.until('all recordings and copies', async () => {
          const missing = await countMissing(stage);
          if (missing.recordings + missing.copies === 0) return Date.now();
          if (sweeping && Date.now() - sweptAt > SWEEP_PAUSE_MS) {
            await Promise.all(regions.map((region) => stage.sweep(region)));
            sweptAt = Date.now();
            log(`missing: ${missing.recordings} recordings, ${missing.copies} copies`);
          }
          return undefined;
        });
      },
      untilIdle: () =>
        stage.until('the end of all work', async () => {
          for (const region of regions)
            for (const name of ['manifestEvents', 'copyJobs'] as const)
              if ((await stage.queue(region, name).count()) > 0) return undefined;
          return Date.now();
        }),
      async notVerifiedSince(some, region, sinceMs) {
        const times = await verificationTimes(stage, some, region);
        return some.length - times.filter((time) => time > sinceMs).length;
      },
      async verifiedBefore(some, region, untilMs) {
        return (await verificationTimes(stage, some, region)).filter((time) => time < untilMs).length;
      },
      stop,
    };
    const variables = {
      // The SDK's own (AWS SDKs and Tools Reference Guide, "Service-specific endpoints").
      ...(isGated && { AWS_ENDPOINT_URL_S3: gate.endpoint, AWS_ENDPOINT_URL_DYNAMODB: gate.endpoint }),
      [SWEEP_GRACE_SECONDS]: String(GRACE_SECONDS),
    };
    for (const region of regions) {
      const deployed = of(functions, region);
      // S3 has just sent its test events. If the emulator ends a function to change it, what it works on comes back after minutes.
      await deployed.setRunning(INDEX, false);
      await stage.queue(region, 'manifestEvents').purge();
      for (const name of deployed.names) await deployed.setVariables(name, variables);
      await deployed.setRunning(INDEX, true);
    }
    return stage;
  } catch (error) {
    await stop();
    throw error;
  }
}

interface CopyItem {
  state?: string;
  verifiedAt?: string;
}

/** By keys, not by a scan, so that it can be asked often. */
async function readItems({ documents, tableName }: RecordingsStage, keys: TableKey[]): Promise<CopyItem[]> {
  const batches = Array.from({ length: Math.ceil(keys.length / BATCH) }, (_, at) =>
    keys.slice(at * BATCH, (at + 1) * BATCH),
  );
  const items = await inParallel(batches, 2, async (Keys) => {
    const { Responses } = await documents(HOME).send(
      new BatchGetCommand({ RequestItems: { [tableName]: { Keys } } }),
    );
    return Responses?.[tableName] ?? [];
  });
  return items.flat();
}

const isVerified = ({ state }: CopyItem): boolean => state === 'verified';

/** When the good copies in a region were verified, in ms. */
async function verificationTimes(
  stage: RecordingsStage,
  recordings: readonly SyntheticRecording[],
  region: string,
): Promise<number[]> {
  const items = await readItems(
    stage,
    recordings.map(({ manifest }) => copyKey(manifest.recordingId, region)),
  );
  return items.filter(isVerified).map(({ verifiedAt = '' }) => Date.parse(verifiedAt));
}

async function countMissing(stage: RecordingsStage) {
  const { recordings, targetsOf } = stage;
  const due = recordings.flatMap(({ manifest, homeRegion }) =>
    targetsOf(homeRegion).map((target) => copyKey(manifest.recordingId, target)),
  );
  const indexed = await readItems(
    stage,
    recordings.map(({ manifest }) => recordingKey(manifest.recordingId)),
  );
  const copies = await readItems(stage, due);
  return {
    recordings: recordings.length - indexed.length,
    copies: due.length - copies.filter(isVerified).length,
  };
}

function drillQueue(sqs: SQSClient, QueueUrl: string): DrillQueue {
  return {
    sqs,
    queueUrl: QueueUrl,
    async count() {
      const { Attributes = {} } = await sqs.send(
        new GetQueueAttributesCommand({
          QueueUrl,
          AttributeNames: ['ApproximateNumberOfMessages', 'ApproximateNumberOfMessagesNotVisible'],
        }),
      );
      return Object.values(Attributes).reduce((sum, count) => sum + Number(count), 0);
    },
    async purge() {
      await sqs.send(new PurgeQueueCommand({ QueueUrl }));
    },
    async drain() {
      const bodies: string[] = [];
      for (;;) {
        const { Messages = [] } = await sqs.send(
          new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 10, WaitTimeSeconds: 0 }),
        );
        if (Messages.length === 0) return bodies;
        bodies.push(...Messages.map(({ Body = '' }) => Body));
        const Entries = Messages.map(({ ReceiptHandle }: Message, index) => ({
          Id: String(index),
          ReceiptHandle,
        }));
        await sqs.send(new DeleteMessageBatchCommand({ QueueUrl, Entries }));
      }
    },
  };
}
