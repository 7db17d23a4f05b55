/**
 * How fast copies are made and proved: `npm run bench:replication`. The deployed function in the emulator, against a loop that
 * copies the same objects with CopyObject and proves nothing. The last line of the output is one JSON object.
 */

import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { CopyObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { BatchGetCommand } from '@aws-sdk/lib-dynamodb';
import { parseCopyJob } from '../../core/copy-jobs.ts';
import { copyKey } from '../../core/index-items.ts';
import { SERVICE_NAME as REPLICATE } from '../../functions/replicate-recording/constants.ts';
import { sendCopyJobs } from '../../functions/shared/work-queue.ts';
import { parseCommandLine, runCommand, wholeNumber } from '../../local/command-line.ts';
import { inParallel } from '../drills/recordings/in-parallel.ts';
import {
  HOME,
  OTHER,
  type RecordingsStage,
  startRecordingsStage,
} from '../drills/recordings/recordings-stage.ts';
import { untilQueued } from '../drills/recordings/scenarios/lose-messages.ts';
import type { SyntheticRecording } from '../drills/recordings/synthetic-recording.ts';
import { table } from '../drills/report.ts';
import { percentile } from './percentile.ts';

const USAGE = `Usage: npm run bench:replication -- [options]

  --recordings N     of each round: their jobs are sent at once (default 100)
  --rounds N         of loop, function, loop (default 3)
  --audio-seconds N  of each: G.711, two channels, 16 kB a second (default 180)
  --rate N           recordings stored per second when the lag is measured (default 2)
  --lag-seconds N    how long they are stored so (default 30)

The last line of the output is one JSON object: {"bench":"replication","recordings","bytes","seconds","recordingsPerSecond",
"bytesPerSecond","loopSeconds","ratio","lagP50","lagP95","withinReach"}. loopSeconds: for the same objects by CopyObject alone,
with as many on their way at once as the function has (200), the mean of the loops before and after; lag: seconds from the
manifest in S3 to the verified copy.
Exit code: 0 ratio at most 1.3; 1 not; 2 wrong usage.`;

const REACH = 1.3;
const BYTES_PER_SECOND = 16_000;
/** 20 functions with 10 messages each (infra/stacks/replication-stack.ts). */
const AT_ONCE = 200;
/** For each function to be there: cold starts are not measured. */
const WARM_UP = 200;
const LAG_LIMIT_MS = 120_000;

const OPTIONS = {
  recordings: { type: 'string', default: '100' },
  rounds: { type: 'string', default: '3' },
  'audio-seconds': { type: 'string', default: '180' },
  rate: { type: 'string', default: '2' },
  'lag-seconds': { type: 'string', default: '30' },
  help: { type: 'boolean', default: false },
} as const;

/**
 * Stores recordings while nobody copies, and then sends all their jobs at once: it is not measured when the emulator notices that
 * a function may begin, for which it looks once a second.
 * @returns them, and seconds from the first job sent to the last copy verified
 */
async function copyBacklog(
  stage: RecordingsStage,
  count: number,
  audioBytes: number,
  between?: BetweenSteps,
) {
  const functions = stage.functions(HOME);
  await functions.setRunning(REPLICATE, false);
  const recordings = await stage.store(HOME, count, audioBytes);
  const queue = stage.queue(HOME, 'copyJobs');
  await untilQueued(stage, { name: REPLICATE, queue: 'copyJobs', region: HOME }, count);
  await between?.(recordings);
  const jobs = (await queue.drain()).map(parseCopyJob);
  await functions.setRunning(REPLICATE, true);
  const startedAt = Date.now();
  await sendCopyJobs(queue, jobs);
  const verifiedAt = await untilVerified(stage, recordings);
  return { recordings, seconds: (Math.max(...verifiedAt) - startedAt) / 1000 };
}
type BetweenSteps = (recordings: readonly SyntheticRecording[]) => Promise<void>;

/** @returns for each, when its copy was verified, in ms */
async function untilVerified(
  stage: RecordingsStage,
  recordings: readonly SyntheticRecording[],
): Promise<number[]> {
  const deadline = Date.now() + LAG_LIMIT_MS;
  // Rarely: who asks takes time from those who copy.
  while ((await stage.notVerifiedSince(recordings, OTHER, 0)) > 0) {
    if (Date.now() > deadline) throw new Error('not all copies are made within two minutes');
    await pause(1_000);
  }
  const found = await inParallel(recordings, 4, async ({ manifest }) => {
    const Keys = [copyKey(manifest.recordingId, OTHER)];
    const { Responses } = await stage
      .documents(HOME)
      .send(new BatchGetCommand({ RequestItems: { [stage.tableName]: { Keys } } }));
    return Date.parse(Responses?.[stage.tableName]?.[0]?.verifiedAt);
  });
  return found;
}

/** The plain loop. @returns seconds */
async function copyPlainly(
  stage: RecordingsStage,
  recordings: readonly SyntheticRecording[],
  prefix: string,
): Promise<number> {
  const { endpoint, credentials } = stage;
  const requestHandler = { httpAgent: { maxSockets: AT_ONCE } };
  const s3 = new S3Client({ endpoint, credentials, region: OTHER, forcePathStyle: true, requestHandler });
  const keys = recordings.flatMap((recording) => recording.keys);
  const startedAt = performance.now();
  await inParallel(keys, AT_ONCE, (key) =>
    s3.send(
      new CopyObjectCommand({
        Bucket: stage.bucket(OTHER),
        Key: `${prefix}/${key}`,
        CopySource: `${stage.bucket(HOME)}/${key}`,
      }),
    ),
  );
  s3.destroy();
  return (performance.now() - startedAt) / 1000;
}

/** @returns seconds from the manifest in S3 to the verified copy, of each */
async function measureLag(
  stage: RecordingsStage,
  rate: number,
  seconds: number,
  audioBytes: number,
): Promise<number[]> {
  const storing: Promise<SyntheticRecording[]>[] = [];
  for (let number = 0; number < rate * seconds; number++) {
    storing.push(stage.store(HOME, 1, audioBytes));
    await pause(1000 / rate);
  }
  const recordings = (await Promise.all(storing)).flat();
  const verifiedAt = await untilVerified(stage, recordings);
  return recordings.map(({ storedAt }, index) => ((verifiedAt[index] ?? Number.NaN) - storedAt) / 1000);
}

const rounded = (value: number): number => Math.round(value * 100) / 100;

async function main(): Promise<number> {
  const { values } = parseCommandLine(() => parseArgs({ args: process.argv.slice(2), options: OPTIONS }));
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const perRound = wholeNumber('--recordings', values.recordings, 2_000);
  const rounds = wholeNumber('--rounds', values.rounds, 20);
  const count = perRound * rounds;
  const audioBytes = BYTES_PER_SECOND * wholeNumber('--audio-seconds', values['audio-seconds'], 3_600);
  const rate = wholeNumber('--rate', values.rate, 50);
  const lagSeconds = wholeNumber('--lag-seconds', values['lag-seconds'], 600);
  const interrupt = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => interrupt.abort(new Error(`broken off by ${signal}`)));
  const stage = await startRecordingsStage((line) => console.error(line), interrupt.signal, {
    isGated: false,
  });
  try {
    console.error('warming up');
    await copyBacklog(stage, WARM_UP, 1_000);
    const loops: number[] = [];
    const loop = async (recordings: readonly SyntheticRecording[]) => {
      loops.push(await copyPlainly(stage, recordings, `loop-${loops.length}`));
    };
    const copied: Awaited<ReturnType<typeof copyBacklog>>[] = [];
    for (let round = 1; round <= rounds; round++) {
      console.error(`round ${round}: ${perRound} recordings`);
      const one = await copyBacklog(stage, perRound, audioBytes, loop);
      await loop(one.recordings);
      copied.push(one);
    }
    console.error('lag');
    const lags = await measureLag(stage, rate, lagSeconds, audioBytes);
    const seconds = copied.reduce((sum, one) => sum + one.seconds, 0);
    const bytes = copied
      .flatMap(({ recordings }) => recordings)
      .reduce((sum, { manifest }) => sum + manifest.files.reduce((total, file) => total + file.bytes, 0), 0);
    const loopSeconds = loops.reduce((sum, one) => sum + one, 0) / 2; // two in each round
    const ratio = seconds / loopSeconds;
    console.log(
      table([
        ['seconds of each round', ...copied.map((_, round) => round + 1)],
        ['copied, verified, indexed', ...copied.map((one) => one.seconds)],
        ['CopyObject alone, before', ...loops.filter((_, at) => at % 2 === 0)],
        ['CopyObject alone, after', ...loops.filter((_, at) => at % 2 === 1)],
      ]),
    );
    const withinReach = ratio <= REACH;
    console.log(
      JSON.stringify({
        bench: 'replication',
        recordings: count,
        bytes,
        seconds: rounded(seconds),
        recordingsPerSecond: rounded(count / seconds),
        bytesPerSecond: Math.round(bytes / seconds),
        loopSeconds: rounded(loopSeconds),
        ratio: rounded(ratio),
        lagP50: rounded(percentile(lags, 50)),
        lagP95: rounded(percentile(lags, 95)),
        withinReach,
      }),
    );
    return withinReach ? 0 : 1;
  } finally {
    await stage.stop();
  }
}

await runCommand(USAGE, main);
