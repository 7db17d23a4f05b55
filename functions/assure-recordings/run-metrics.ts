/** A run in numbers. */
import { type Metrics, MetricUnit } from '@aws-lambda-powertools/metrics';
import { SLOT_DIMENSION } from '../../core/recorder-metrics.ts';
import type { AssuranceRun } from './assure-recordings.ts';
import { METRICS } from './constants.ts';

export function publishRun(metrics: Metrics, { missing, open }: AssuranceRun): void {
  const all = [...missing.values()].reduce((sum, count) => sum + count, 0);
  metrics.addMetric(METRICS.missing, MetricUnit.Count, all);
  metrics.addMetric(METRICS.open, MetricUnit.Count, open);
  metrics.publishStoredMetrics();
  for (const [slot, count] of missing)
    metrics
      .singleMetric()
      .addDimension(SLOT_DIMENSION, slot)
      .addMetric(METRICS.missing, MetricUnit.Count, count);
}
