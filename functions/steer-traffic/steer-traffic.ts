/**
 * One run of steering: the load that the region's slots report becomes the weights of their SRV records.
 *
 * Nothing waits for a run and the next one is a minute away, so a run that cannot do its work leaves all as it is: weights
 * stay, and health checks steer without it (DESIGN.md 4.1, 4.2). Runs with the same facts make the same changes, so two at
 * once do no harm.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Logger } from '@aws-lambda-powertools/logger';
import type { Route53Client } from '@aws-sdk/client-route-53';
import { REPORT_STALE_SECONDS, type Steering } from '../../core/fleet.ts';
import { type WeightChange, weightChanges } from '../../core/srv-policy.ts';
import type { SkipReason } from './constants.ts';
import type { SteeringEnvironment } from './environment.ts';
import { type FleetTable, readReports, readSteering, type SlotReport, writeSteering } from './fleet-table.ts';
import {
  findHostedZone,
  fittingBatch,
  HostedZoneError,
  isPending,
  type MissingRecord,
  readSlotRecords,
  type SlotRecord,
  writeWeights,
} from './srv-records.ts';

/** Route 53 says "generally within 60 seconds"; what takes longer than this is not waited for. */
const PENDING_LIMIT_MS = 5 * 60_000;

export interface SteeringDependencies {
  route53: Route53Client;
  table: FleetTable['table'];
  logger: Logger;
}

/** What a run found and did. */
export interface SteeringRun {
  /** Why no weight could be changed. */
  skipped?: SkipReason;
  /** Seconds since the report of the slot that is silent longest; absent if no slot has reported. */
  oldestReportSeconds?: number;
  /** Absent when the reports could not be read. */
  withoutFreshReport?: string[];
  /** Slot -> the largest weight of its records after the run; empty when the zone could not be read. */
  weights: Map<string, number>;
  changes: WeightChange[];
  /** Absent when the zone could not be read. */
  missing?: MissingRecord[];
}

/**
 * @param nowMs milliseconds since the epoch
 * @throws only what is a mistake of ours; services that fail end in `skipped`
 */
export async function steerTraffic(
  { route53, table, logger }: SteeringDependencies,
  environment: SteeringEnvironment,
  nowMs: number,
): Promise<SteeringRun> {
  const run: SteeringRun = { weights: new Map(), changes: [] };
  const fleet = { table, tableName: environment.tableName };
  const slots = [...new Set(Object.values(environment.names).flat())];
  try {
    const reports = await readReports(fleet, slots, nowMs, logger);
    Object.assign(run, agesOf(slots, reports, nowMs));

    const steering = await readSteering(fleet, logger);
    if (await lastChangeIsPending(route53, steering, nowMs))
      return skip(run, 'pending', { changeId: steering.changeId });

    const hostedZoneId = await findHostedZone(route53, environment);
    const { records, missing } = await readSlotRecords(route53, hostedZoneId, environment.names);
    run.missing = missing;
    for (const record of missing) logger.error('the zone has no such record of the slot', { ...record });
    run.weights = largestWeights(records);

    const changes = fittingBatch(decide(records, reports, steering, nowMs));
    if (changes.length === 0) {
      await showWeights(fleet, steering, run.weights, logger);
      return run;
    }
    const comment = `steer-traffic ${environment.region}`;
    const changeId = await writeWeights(route53, hostedZoneId, changes, comment);
    run.changes = changes.map(({ change }) => change);
    for (const { record, change } of changes) logger.info('weight changed', { name: record.name, ...change });
    const written = new Map(changes.map(({ record, weight }) => [record, weight]));
    run.weights = largestWeights(
      records.map((record) => ({ ...record, weight: written.get(record) ?? record.weight })),
    );
    await remember(fleet, slots, steering, run, changeId, nowMs, logger);
    return run;
  } catch (error) {
    const reason = skipReason(error);
    if (!reason) throw error;
    return skip(run, reason, { error });
  }

  function skip(soFar: SteeringRun, skipped: SkipReason, details: object): SteeringRun {
    logger[skipped === 'refused' ? 'error' : 'warn']('weights stay as they are', { skipped, ...details });
    return { ...soFar, skipped };
  }
}

function agesOf(
  slots: string[],
  reports: Map<string, SlotReport>,
  nowMs: number,
): Pick<SteeringRun, 'oldestReportSeconds' | 'withoutFreshReport'> {
  const ages = new Map(
    [...reports].map(([slot, { reportedAtMs }]) => [slot, Math.max(nowMs - reportedAtMs, 0) / 1000]),
  );
  return {
    withoutFreshReport: slots.filter(
      (slot) => (ages.get(slot) ?? Number.POSITIVE_INFINITY) > REPORT_STALE_SECONDS,
    ),
    ...(ages.size > 0 && { oldestReportSeconds: Math.max(...ages.values()) }),
  };
}

/** A change older than the limit is not asked about any more. */
async function lastChangeIsPending(
  route53: Route53Client,
  { changedAt, changeId }: Steering,
  nowMs: number,
): Promise<boolean> {
  const last = Math.max(...Object.values(changedAt).map((time) => Date.parse(time)));
  return changeId !== undefined && nowMs - last < PENDING_LIMIT_MS && (await isPending(route53, changeId));
}

/** The policy's changes, one SRV name at a time: weights are compared within an answer, and each record stands for itself. */
function decide(
  records: SlotRecord[],
  reports: Map<string, SlotReport>,
  { changedAt }: Steering,
  nowMs: number,
): { record: SlotRecord; weight: number; change: WeightChange }[] {
  return [...Map.groupBy(records, ({ name }) => name).values()].flatMap((answer) => {
    const loads = answer.map(({ slot, weight }) => {
      const [report, changed] = [reports.get(slot), changedAt[slot]];
      return {
        slot,
        weight,
        ...(report && { report }),
        ...(changed && { weightChangedAtMs: Date.parse(changed) }),
      };
    });
    return weightChanges(loads, nowMs).flatMap((change) => {
      const record = answer.find(({ slot }) => slot === change.slot);
      return record ? [{ record, weight: change.to, change }] : [];
    });
  });
}

function largestWeights(records: readonly SlotRecord[]): Map<string, number> {
  const weights = new Map<string, number>();
  for (const { slot, weight } of records) weights.set(slot, Math.max(weights.get(slot) ?? 0, weight));
  return weights;
}

/** Weights are written already: without this note the next change may come sooner than it should, and no more than that. */
async function remember(
  fleet: FleetTable,
  slots: string[],
  before: Steering,
  { changes, weights }: SteeringRun,
  changeId: string | undefined,
  nowMs: number,
  logger: Logger,
): Promise<void> {
  const now = new Date(nowMs).toISOString();
  const changed = new Set(changes.map(({ slot }) => slot));
  const changedAt = slots.flatMap((slot): [string, string][] => {
    const time = changed.has(slot) ? now : before.changedAt[slot];
    return time ? [[slot, time]] : [];
  });
  await note(
    fleet,
    {
      changedAt: Object.fromEntries(changedAt),
      weights: Object.fromEntries(weights),
      ...(changeId && { changeId }),
    },
    logger,
  );
}

/** Somebody else may have changed them, and before the first change nothing is noted at all. */
async function showWeights(
  fleet: FleetTable,
  before: Steering,
  weights: Map<string, number>,
  logger: Logger,
): Promise<void> {
  if (isDeepStrictEqual(before.weights, Object.fromEntries(weights))) return;
  await note(fleet, { ...before, weights: Object.fromEntries(weights) }, logger);
}

async function note(fleet: FleetTable, steering: Steering, logger: Logger): Promise<void> {
  try {
    await writeSteering(fleet, steering);
  } catch (error) {
    if (!skipReason(error)) throw error;
    logger.error('weights not noted', { error });
  }
}

const THROTTLING = new Set([
  'Throttling',
  'ThrottlingException',
  'PriorRequestNotComplete',
  'ProvisionedThroughputExceededException',
  'RequestLimitExceeded',
  'TooManyRequestsException',
]);

/** Why a service did not do what it was asked for; undefined for an error that no service has made. */
function skipReason(error: unknown): SkipReason | undefined {
  if (error instanceof HostedZoneError) return 'refused';
  // The SDK marks so every error that came from a request, answered or not.
  const { name, $metadata } = error as Error & { $metadata?: { httpStatusCode?: number } };
  if (!$metadata) return undefined;
  if (THROTTLING.has(name)) return 'throttled';
  const status = $metadata.httpStatusCode;
  return status !== undefined && status >= 400 && status < 500 ? 'refused' : 'unavailable';
}
