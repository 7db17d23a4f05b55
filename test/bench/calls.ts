/**
 * How fast calls are answered and recordings are in S3: `npm run bench:calls`. SRC, SIP server, recorder and S3 (the
 * emulator) are processes of their own, on one machine; SIP goes over UDP. The last line of the output is one JSON object.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { setPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { CreateBucketCommand } from '@aws-sdk/client-s3';
import { findDrachtio, startSipServerChild } from '../../local/cloud/sip-server-child.ts';
import { table } from '../drills/report.ts';
import { startTestEmulator } from '../helpers/emulator.ts';
import {
  freePortRange,
  REGION,
  type RecorderProcess,
  SECRET,
  startRecorderProcess,
} from '../helpers/recorder.ts';
import type { CallsOrder, PlacedCall } from './calls-client.ts';
import { percentile } from './percentile.ts';
import { startWireTap } from './wire-tap.ts';

const USAGE = `Usage: npm run bench:calls -- [options]

  --rates LIST    calls per second, one after the other (default 10,50,100)
  --seconds N     of each rate (default 10)

The last line of the output is one JSON object, in milliseconds:
{"bench":"calls","rates":[{"perSecond","inviteP50","inviteP95","inviteP99","manifestP95","failed"}]}`;

const BUCKET = 'bench-calls';
const CLIENT = join(import.meta.dirname, 'calls-client.ts');
/** S3 is no program on a recorder's machine: here it gets the CPU time that the others leave. */
const S3_NICENESS = 10;
/** Code is compiled, connections are made. */
const WARM_UP: Pick<CallsOrder, 'calls' | 'perSecond'> = { calls: 20, perSecond: 10 };
/** For S3 to catch up after the last call. */
const MANIFESTS_LIMIT_MS = 180_000;
const FIRST_PORT = 21_000;

interface Figures {
  perSecond: number;
  calls: number;
  failed: number;
  /** Milliseconds. */
  invite: number[];
  recorder: number[];
  sipServer: number[];
  manifest: number[];
}

async function placeCalls(order: CallsOrder): Promise<PlacedCall[]> {
  const client = fork(CLIENT);
  try {
    client.send(order);
    const [placed] = (await once(client, 'message')) as [PlacedCall[]];
    return placed;
  } finally {
    client.kill();
  }
}

/** By Call-ID: when S3 had confirmed the manifest, in milliseconds since the epoch, as far as that is known. */
function storedAtMs({ logs }: RecorderProcess): Map<string, number> {
  const callIds = new Map<unknown, string>();
  const stored = new Map<string, number>();
  for (const { msg, recordingId, sipCallId, time } of logs.lines) {
    if (msg === 'recording started') callIds.set(recordingId, sipCallId as string);
    const callId = msg === 'recording is in S3' ? callIds.get(recordingId) : undefined;
    if (callId !== undefined) stored.set(callId, time as number);
  }
  return stored;
}

/** Waits for the manifests of all calls. */
async function manifestsOf(
  recorder: RecorderProcess,
  calls: readonly PlacedCall[],
): Promise<Map<string, number>> {
  const deadline = performance.now() + MANIFESTS_LIMIT_MS;
  for (;;) {
    const stored = storedAtMs(recorder);
    if (calls.every(({ sipCallId }) => stored.has(sipCallId)) || performance.now() > deadline) return stored;
    await pause(100);
  }
}

async function measure(
  order: CallsOrder,
  recorder: RecorderProcess,
  recorderMs: ReadonlyMap<string, number>,
): Promise<Figures> {
  const placed = await placeCalls(order);
  const answered = placed.filter(({ byeAtMs }) => byeAtMs !== undefined);
  const stored = await manifestsOf(recorder, answered);
  const failures = placed.filter(({ sipCallId, failure }) => failure !== undefined || !stored.has(sipCallId));
  for (const reason of new Set(failures.map(({ failure = 'no manifest' }) => failure)))
    console.error(`${order.perSecond} calls/s: ${reason}`);
  const shares = answered.flatMap(({ sipCallId, inviteMs }) => {
    const own = recorderMs.get(sipCallId);
    return own === undefined || inviteMs === undefined ? [] : { own, rest: inviteMs - own };
  });
  return {
    perSecond: order.perSecond,
    calls: placed.length,
    failed: failures.length,
    invite: answered.flatMap(({ inviteMs }) => inviteMs ?? []),
    recorder: shares.map(({ own }) => own),
    sipServer: shares.map(({ rest }) => rest),
    manifest: answered.flatMap(({ sipCallId, byeAtMs = 0 }) => {
      const at = stored.get(sipCallId);
      return at === undefined ? [] : at - byeAtMs;
    }),
  };
}

const ROWS: [title: string, of: (figures: Figures) => readonly number[]][] = [
  ['INVITE to 200', ({ invite }) => invite],
  ['  in the recorder', ({ recorder }) => recorder],
  ['  in SIP server, network and SRC', ({ sipServer }) => sipServer],
  ['BYE to manifest in S3', ({ manifest }) => manifest],
];

function describe(results: readonly Figures[]): string {
  const rows = results.flatMap((figures) =>
    ROWS.map(([title, of]) => [
      title,
      figures.perSecond,
      figures.calls,
      figures.failed,
      ...[50, 95, 99].map((percent) => percentile(of(figures), percent)),
    ]),
  );
  return [
    table([['milliseconds', 'calls/s', 'calls', 'failed', 'p50', 'p95', 'p99'], ...rows]),
    "The recorder's time is that between the INVITE and its answer on the wire between SIP server and recorder; the rest of",
    'what the SRC waits is the SIP server, UDP, and the SRC itself. S3 is an emulator in Python, which gets the CPU time that is left: the last row is mostly its.',
  ].join('\n');
}

const round = (ms: number): number => Math.round(ms * 10) / 10;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rates: { type: 'string', default: '10,50,100' },
      seconds: { type: 'string', default: '10' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(USAGE);
  const numbers = [...values.rates.split(','), values.seconds].map(Number);
  if (!numbers.every((number) => Number.isInteger(number) && number >= 1 && number <= 1_000))
    throw new Error(`rates and seconds must be whole numbers from 1 to 1000\n\n${USAGE}`);
  const seconds = numbers.pop() as number;

  const directory = mkdtempSync(join(tmpdir(), 'siprec-ha-bench-'));
  const closers: (() => Promise<unknown> | unknown)[] = [
    () => rmSync(directory, { recursive: true, force: true }),
  ];
  const interrupt = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => interrupt.abort(new Error(`broken off by ${signal}`)));
  const broken = once(interrupt.signal, 'abort').then(() => interrupt.signal.throwIfAborted());
  try {
    const results = await Promise.race([run(numbers, seconds, directory, closers, interrupt.signal), broken]);
    if (!results) return;
    console.log(describe(results));
    console.log(
      JSON.stringify({
        bench: 'calls',
        rates: results.map(({ perSecond, invite, manifest, failed }) => ({
          perSecond,
          inviteP50: round(percentile(invite, 50)),
          inviteP95: round(percentile(invite, 95)),
          inviteP99: round(percentile(invite, 99)),
          manifestP95: round(percentile(manifest, 95)),
          failed,
        })),
      }),
    );
  } finally {
    for (const close of closers.reverse()) await close();
  }
}

async function run(
  rates: readonly number[],
  seconds: number,
  directory: string,
  closers: (() => Promise<unknown> | unknown)[],
  signal: AbortSignal,
): Promise<Figures[]> {
  const emulator = await startTestEmulator();
  closers.push(() => emulator.stop());
  setPriority(emulator.pid, S3_NICENESS);
  await emulator.s3(REGION).send(new CreateBucketCommand({ Bucket: BUCKET }));
  const { min: sipPort, max: adminPort } = await freePortRange(1, FIRST_PORT);
  const sipServer = await startSipServerChild(findDrachtio(process.env), {
    name: 'bench',
    sipPort,
    adminPort,
    secret: SECRET,
    directory,
    logFile: join(directory, 'sip-server.log'),
    signal,
  });
  closers.push(() => sipServer.stop());
  const tap = await startWireTap(adminPort);
  closers.push(() => tap.close());
  // Two ports for each of two streams of the calls of a second, and of those that rest.
  const rtp = await freePortRange(6 * Math.max(...rates) + 200, FIRST_PORT);
  const recorder = await startRecorderProcess({
    endpoint: emulator.endpoint,
    bucket: BUCKET,
    spool: join(directory, 'spool'),
    sipServer: { sipPort, adminPort: tap.port, close: async () => {} },
    logFile: join(directory, 'recorder.log'),
    variables: {
      SIPREC_CALL_CAPACITY: '5000',
      SIPREC_RTP_PORT_MIN: String(rtp.min),
      SIPREC_RTP_PORT_MAX: String(rtp.max),
      SIPREC_PORT_COOLDOWN_SECONDS: '1',
      SIPREC_DRAIN_SECONDS: '0',
      UV_THREADPOOL_SIZE: '16', // as in the image
    },
  });
  closers.push(() => recorder.stop());
  await measure({ sipPort, ...WARM_UP }, recorder, tap.recorderMs);
  const results: Figures[] = [];
  for (const perSecond of rates) {
    signal.throwIfAborted();
    console.error(`${perSecond} calls/s for ${seconds} s`);
    results.push(await measure({ sipPort, perSecond, calls: perSecond * seconds }, recorder, tap.recorderMs));
  }
  return results;
}

await main().catch((error: Error) => {
  console.error(error.message);
  process.exitCode = 1;
});
