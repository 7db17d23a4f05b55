/** Every metric of ours that a region emits, from the code that does it: each publisher is run once with something of everything. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { jest } from '@jest/globals';
import { copyTargets } from '../../../core/copy-jobs.ts';
import type { Deployment } from '../../../core/deployment.ts';
import { HOST_METRICS } from '../../../core/host-plan.ts';
import { RECORDING_STATUSES } from '../../../core/manifest.ts';
import { metricsNamespace } from '../../../core/names.ts';
import { RECORDER_COUNTERS, RECORDER_GAUGES } from '../../../core/recorder-metrics.ts';
import { slotsOfRegion } from '../../../core/slot-plan.ts';
import { SERVICE_NAME as ASSURE } from '../../../functions/assure-recordings/constants.ts';
import { publishRun as publishAssurance } from '../../../functions/assure-recordings/run-metrics.ts';
import { publishRun as publishExpiry } from '../../../functions/expire-recordings/run-metrics.ts';
import { SERVICE_NAME as INDEX } from '../../../functions/index-recording/constants.ts';
import { addInvalid, addResult } from '../../../functions/index-recording/index-metrics.ts';
import { publishFailure, publishResult } from '../../../functions/replicate-recording/copy-metrics.ts';
import { METRICS_NAMESPACE_VARIABLE } from '../../../functions/shared/environment.ts';
import { createMetrics } from '../../../functions/shared/observability.ts';
import { SERVICE_NAME as STEER } from '../../../functions/steer-traffic/constants.ts';
import { publishRun as publishSteering } from '../../../functions/steer-traffic/run-metrics.ts';
import { publishRun as publishSweep } from '../../../functions/sweep-recordings/run-metrics.ts';
import { MetricLines, type RecorderReading } from '../../../recorder-image/src/health/metric-lines.ts';
import { type MetricPoint, metricPoints } from '../../helpers/embedded-metrics.ts';
import { LogLines } from '../../helpers/logs.ts';

const HOST = join(import.meta.dirname, '../../../infra/host');
/** What hosts' scripts call their metrics; `infra/constructs/slot.ts` gives the names. */
const HOST_VARIABLES: Record<keyof typeof HOST_METRICS, [variable: string, script: string]> = {
  startFailures: ['FAILURE_METRIC', 'start-slot.sh'],
  hungRecorders: ['HUNG_METRIC', 'watch-slot.sh'],
};

/** Hosts tell theirs by a script, whose own tests run it: here it is only read. */
function hostMetrics(slots: string[], deployment: Deployment): MetricPoint[] {
  const report = readFileSync(join(HOST, 'functions.sh'), 'utf8');
  if (!report.includes('Dimensions=[{Name=slot,Value=$SLOT}]')) throw new Error('not by slot');
  return Object.entries(HOST_VARIABLES).flatMap(([metric, [variable, script]]) => {
    const name = HOST_METRICS[metric as keyof typeof HOST_METRICS];
    const isTold = readFileSync(join(HOST, script), 'utf8').includes(`report "$${variable}"`);
    return isTold
      ? slots.map((slot) => ({
          namespace: metricsNamespace(deployment),
          name,
          unit: 'Count',
          value: 1,
          dimensions: [{ slot }],
        }))
      : [];
  });
}

/** Statuses with which a recorder refuses; those that alarms watch. */
const REFUSED = ['403', '500', '503'];

export async function emittedMetrics(deployment: Deployment, region: string): Promise<MetricPoint[]> {
  const slots = slotsOfRegion(deployment, region);
  const before = { ...process.env };
  Object.assign(process.env, {
    [METRICS_NAMESPACE_VARIABLE]: metricsNamespace(deployment),
    POWERTOOLS_DEV: 'true', // metrics go to the console of here,
    POWERTOOLS_METRICS_DISABLED: 'false', // which alone would mean: no metrics
  });
  const printed: unknown[] = [];
  const spy = jest
    .spyOn(console, 'log')
    .mockImplementation((text: string) => void printed.push(JSON.parse(text)));
  try {
    runFunctions(slots, copyTargets(deployment, region));
  } finally {
    spy.mockRestore();
    process.env = before;
  }
  const logs = new LogLines();
  for (const slot of slots) await runRecorder(slot, metricsNamespace(deployment), logs);
  return [...metricPoints(printed), ...metricPoints(logs.lines), ...hostMetrics(slots, deployment)];
}

function runFunctions(slots: string[], targets: string[]): void {
  publishSteering(createMetrics(STEER), {
    skipped: 'refused',
    oldestReportSeconds: 1,
    withoutFreshReport: [],
    weights: new Map(slots.map((slot) => [slot, 1])),
    changes: [],
    missing: [],
  });
  publishAssurance(createMetrics(ASSURE), { missing: new Map(slots.map((slot) => [slot, 0])), open: 0 });
  publishExpiry({ begun: 0, deleted: 0, held: 0, open: 0, failed: 0, leftovers: 0 });
  const index = createMetrics(INDEX);
  for (const status of RECORDING_STATUSES)
    addResult(index, { outcome: 'indexed', status, writtenAt: new Date() }, new Date());
  for (const outcome of ['alreadyIndexed', 'foreign', 'gone'] as const)
    addResult(index, { outcome }, new Date());
  addInvalid(index);
  index.publishStoredMetrics();
  for (const target of targets) {
    for (const outcome of ['copied', 'alreadyCopied', 'gone'] as const)
      publishResult(target, { outcome, copiedBytes: 1, lagMs: 1 });
    publishFailure(target, new Error('no'));
  }
  const each = <Value>(value: Value): Record<string, Value> =>
    Object.fromEntries(targets.map((target) => [target, value]));
  if (targets.length > 0)
    publishSweep(
      {
        recordings: 1,
        unindexed: 0,
        copies: each({ requested: 0, checked: 0, damaged: 0 }),
        figures: each({ countedAt: new Date().toISOString(), waiting: 0, damaged: 0 }),
      },
      new Date(),
    );
}

async function runRecorder(slot: string, namespace: string, logs: LogLines): Promise<void> {
  const all = (names: object) => Object.fromEntries(Object.keys(names).map((name) => [name, 1]));
  const reading = {
    counters: all(RECORDER_COUNTERS),
    gauges: all(RECORDER_GAUGES),
    refused: Object.fromEntries(REFUSED.map((status) => [status, 1])),
  } as RecorderReading;
  const lines = new MetricLines({ slot, namespace, read: async () => reading, logger: logs.logger() });
  await lines.stop();
}
