/** A run in numbers. */
import { type Metrics, MetricUnit } from '@aws-lambda-powertools/metrics';
import { SLOT_DIMENSION } from '../../core/recorder-metrics.ts';
import { METRICS, REASON_DIMENSION } from './constants.ts';
import type { SteeringRun } from './steer-traffic.ts';

/** Publishes what the run knows; what it does not know is left out, so that no alarm takes it for zero. */
export function publishRun(metrics: Metrics, run: SteeringRun): void {
  const { oldestReportSeconds, withoutFreshReport, weights, changes, missing, skipped } = run;
  metrics.addMetric(METRICS.changes, MetricUnit.Count, changes.length);
  const hasFailed = skipped !== undefined && skipped !== 'pending';
  metrics.addMetric(METRICS.failed, MetricUnit.Count, Number(hasFailed));
  if (withoutFreshReport)
    metrics.addMetric(METRICS.withoutFreshReport, MetricUnit.Count, withoutFreshReport.length);
  if (oldestReportSeconds !== undefined)
    metrics.addMetric(METRICS.oldestReport, MetricUnit.Seconds, oldestReportSeconds);
  if (missing) metrics.addMetric(METRICS.missingRecords, MetricUnit.Count, missing.length);
  metrics.publishStoredMetrics();
  for (const [slot, weight] of weights)
    metrics
      .singleMetric()
      .addDimension(SLOT_DIMENSION, slot)
      .addMetric(METRICS.weight, MetricUnit.Count, weight);
  if (skipped)
    metrics
      .singleMetric()
      .addDimension(REASON_DIMENSION, skipped)
      .addMetric(METRICS.skipped, MetricUnit.Count, 1);
}
