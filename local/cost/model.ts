/**
 * What a deployment costs in a month: each line a quantity of something that AWS counts, and its price.
 *
 * Quantities follow from the deployment file, from what is recorded, and from what the parts of the system are known to do for a
 * recording. It is an estimate to decide by, and no bill: what is bought in advance, and taxes, are not in it.
 */
import { copyTargets } from '../../core/copy-jobs.ts';
import type { Deployment } from '../../core/deployment.ts';
import { planHost } from '../../core/host-plan.ts';
import { costOf, INSTANCE_HOUR, MANAGED, PRICES, type Price } from './prices.ts';

/** What is recorded and asked. */
export interface Load {
  /** A day. A recorded call of two users of the same BroadWorks has two. */
  recordingsPerDay: number;
  /** Mean length of a recording. */
  minutes: number;
  /** Of a day's recordings, in its busiest hour. */
  busyHourShare: number;
  /** Of the API, a day. */
  queriesPerDay: number;
  /** Of the recordings, how many are played or fetched, whole. */
  playedShare: number;
  /** Days that recordings are kept. */
  retentionDays: number;
}

export interface CostLine {
  what: string;
  quantity: number;
  price: Price;
  usd: number;
}

export interface Estimate {
  lines: CostLine[];
  /** A month, once as much is kept as retention allows. */
  usd: number;
  usdPerRecording: number;
  /** Recordings at the same time in the busiest hour, on average. */
  busyHourCalls: number;
  /** Of all slots of the first tier. */
  capacity: number;
  /** What is left of it when the largest slot of the tier is down. */
  capacityWithoutOne: number;
  /** The same calls by the managed alternative: without copies in another region. */
  managedUsd: number;
}

/** Nobody has put a price for this instance into `prices.ts`. */
export class UnknownInstancePriceError extends Error {
  constructor(instanceType: string) {
    super(
      `there is no price for ${instanceType}: add it to INSTANCE_HOUR in local/cost/prices.ts, or use one of ` +
        Object.keys(INSTANCE_HOUR).join(', '),
    );
    this.name = 'UnknownInstancePriceError';
  }
}

const HOURS = 730;
const DAYS = HOURS / 24;
const GB = 1e9;
/** Of a host's root disk. */
const ROOT_GIB = 30;

/** A line of S3's server access log; kept for a year. */
const ACCESS_LOG_LINE_BYTES = 600;

/** Two G.711 streams: stereo WAV, and journals with a header for each packet (docs/recorder-operations.md, "Spool"). */
const WAV_BYTES_PER_MINUTE = 16_000 * 60;
const JOURNAL_BYTES_PER_MINUTE = 1.3e6;
/** Audio, two journals, metadata, session record, manifest. */
const FILES = 6;
/** Entries of the index for a recording, with their place in two more indexes (docs/index.md). */
const INDEX_WRITES = 32;
const INDEX_BYTES = 45_000;
/** Of the index read for a page of an answer: 50 summaries of 1.5 KB, eventually consistent. */
const READ_UNITS_PER_QUERY = 12;
/** Its deletion and its item, strongly consistent. */
const READ_UNITS_PER_COPY = 2;

/** @throws UnknownInstancePriceError */
export function estimate(deployment: Deployment, load: Load): Estimate {
  const { regions } = deployment;
  const slots = regions.flatMap((region) => region.slots);
  const hosts = slots.map((slot) => planHost(slot, deployment.recorders));
  const spools = hosts.map(({ spool }) => spool);
  const recordings = load.recordingsPerDay * DAYS;
  const minutes = recordings * load.minutes;
  const recordedGb = (minutes * (WAV_BYTES_PER_MINUTE + JOURNAL_BYTES_PER_MINUTE)) / GB;
  const monthsKept = load.retentionDays / DAYS;
  const indexGb = (recordings * monthsKept * INDEX_BYTES) / GB;
  const copies = meanCopies(deployment);
  const sqsPolls = regions.length * 2 * ((HOURS * 3_600) / 20) * 5;
  const queries = load.queriesPerDay * DAYS;
  const steeringRuns = regions.length * HOURS * 60;
  const sweepRuns = regions.length * HOURS * 12;

  const s3Writes = recordings * FILES * (1 + copies);
  const s3Reads = recordings * (3 + copies + load.playedShare); // for a copy, the manifest; copying is a write
  const copiedFiles = recordings * FILES * copies;
  const lines: CostLine[] = [
    ...instanceLines(hosts),
    line('disks: root and spool', sum(spools.map(({ gib }) => gib + ROOT_GIB)), PRICES.gp3),
    line('disks: more IOPS', sum(spools.map(({ iops }) => iops - 3_000)), PRICES.gp3Iops),
    line(
      'disks: more throughput',
      sum(spools.map(({ throughput }) => throughput - 125)),
      PRICES.gp3Throughput,
    ),
    line('public addresses', slots.length * HOURS, PRICES.publicAddress),
    line('recordings kept, home', recordedGb * monthsKept, PRICES.s3Standard),
    line('recordings kept, copies', recordedGb * monthsKept * copies, PRICES.s3Standard),
    line('copied to other regions', recordedGb * copies, PRICES.interRegion),
    line('S3 writes', s3Writes, PRICES.s3Write),
    line('S3 reads', s3Reads, PRICES.s3Read),
    line('audio to listeners', (minutes * load.playedShare * WAV_BYTES_PER_MINUTE) / GB, PRICES.internetOut),
    line(
      'access logs of S3, a year',
      (12 * (s3Writes + s3Reads + copiedFiles) * ACCESS_LOG_LINE_BYTES) / GB, // a copy is logged at its source, too
      PRICES.s3Standard,
    ),
    line('encryption keys', 2 * regions.length, PRICES.kmsKey), // recordings, alarms
    line('queues', recordings * (3 + 3 * copies) + sqsPolls, PRICES.sqs),
    line(
      'functions, calls',
      recordings * (1 + copies) + steeringRuns + sweepRuns + queries,
      PRICES.lambdaRequest,
    ),
    line(
      'functions, time',
      0.5 * recordings * (0.3 + copies) + 0.25 * steeringRuns + 0.5 * 5 * sweepRuns + 0.2 * queries,
      PRICES.lambdaTime,
    ),
    line('index writes', recordings * (INDEX_WRITES + 2 * copies) * regions.length, PRICES.dynamoWrite),
    line(
      'index reads',
      queries * READ_UNITS_PER_QUERY + sweepRuns * 1_000 + recordings * READ_UNITS_PER_COPY * copies,
      PRICES.dynamoRead,
    ),
    line('index kept', indexGb * regions.length, PRICES.dynamoStorage),
    line('index backups', indexGb, PRICES.dynamoBackup),
    line('load reports', slots.length * HOURS * 720, PRICES.dynamoWrite),
    line('DNS zone', deployment.dns.hostedZoneId ? 0 : 1, PRICES.hostedZone),
    line('health checks', slots.length, PRICES.healthCheck),
    line('health checks every 10 s', slots.length, PRICES.fastInterval),
    line('DNS queries', recordings, PRICES.dnsQuery),
    line('API requests', queries, PRICES.apiRequest),
    line('web application firewall', regions.length, PRICES.webAcl),
    line('firewall rules', 3 * regions.length, PRICES.webAclRule),
    line('secrets', regions.length, PRICES.secret),
    line('metrics', 40 * regions.length + 12 * slots.length, PRICES.metric),
    line('alarms', (deployment.api.domain ? 58 : 57) * regions.length + 3 * slots.length, PRICES.alarm),
    line('dashboards', regions.length + 1, PRICES.dashboard),
    line('logs', (recordings * 8_000 + slots.length * GB) / GB, PRICES.logIngestion),
  ];
  const usd = sum(lines.map((one) => one.usd));
  const [firstTier = 0] = regions.map(({ tier }) => tier).sort((a, b) => a - b);
  const capacities = regions
    .filter(({ tier }) => tier === firstTier)
    .flatMap((region) => region.slots.map(({ callCapacity }) => callCapacity));
  return {
    lines,
    usd,
    usdPerRecording: recordings > 0 ? usd / recordings : 0,
    busyHourCalls: (load.recordingsPerDay * load.busyHourShare * load.minutes) / 60,
    capacity: sum(capacities),
    capacityWithoutOne: sum(capacities) - Math.max(...capacities),
    managedUsd: managedUsd(minutes, monthsKept),
  };
}

const line = (what: string, quantity: number, price: Price): CostLine => ({
  what,
  quantity,
  price,
  usd: costOf(price, quantity),
});

/** One line for each type of instance. */
function instanceLines(hosts: { instanceType: string }[]): CostLine[] {
  const types = [...new Set(hosts.map(({ instanceType }) => instanceType))];
  return types.map((type) => {
    const price = INSTANCE_HOUR[type];
    if (!price) throw new UnknownInstancePriceError(type);
    return line(
      `instances ${type}`,
      hosts.filter(({ instanceType }) => instanceType === type).length * HOURS,
      price,
    );
  });
}

/** Copies of a recording beside its own, as if each region recorded in proportion to its slots. Filters are not counted. */
function meanCopies(deployment: Deployment): number {
  const weights = deployment.regions.map(({ name, slots }) => ({
    capacity: sum(slots.map(({ callCapacity }) => callCapacity)),
    copies: copyTargets(deployment, name).length,
  }));
  const capacity = sum(weights.map((weight) => weight.capacity));
  return sum(weights.map((weight) => (weight.copies * weight.capacity) / capacity));
}

/** Streaming, Kinesis in and out, and one WAV in S3: two channels of 8 kHz and 16 bits. */
function managedUsd(minutes: number, monthsKept: number): number {
  const streamedGb = (minutes * WAV_BYTES_PER_MINUTE) / GB;
  return (
    costOf(MANAGED.streamingMinute, minutes) +
    2 * costOf(MANAGED.videoStreams, streamedGb) +
    costOf(PRICES.s3Standard, 2 * streamedGb * monthsKept)
  );
}

const sum = (numbers: number[]): number => numbers.reduce((total, number) => total + number, 0);
