/** A run in numbers: one line of CloudWatch's embedded format, and one for each target. */
import { MetricUnit } from '@aws-lambda-powertools/metrics';
import { createMetrics } from '../shared/observability.ts';
import { METRICS, SERVICE_NAME, TARGET_DIMENSION } from './constants.ts';
import type { SweepRun } from './sweep-recordings.ts';

export function publishRun({ recordings, unindexed, copies, figures }: SweepRun, now: Date): void {
  const metrics = createMetrics(SERVICE_NAME);
  metrics.addMetric(METRICS.looked, MetricUnit.Count, recordings);
  metrics.addMetric(METRICS.unindexed, MetricUnit.Count, unindexed);
  metrics.publishStoredMetrics();
  for (const [target, { requested, checked, damaged }] of Object.entries(copies)) {
    metrics.addDimension(TARGET_DIMENSION, target);
    metrics.addMetric(METRICS.requested, MetricUnit.Count, requested);
    metrics.addMetric(METRICS.checked, MetricUnit.Count, checked);
    metrics.addMetric(METRICS.damaged, MetricUnit.Count, damaged);
    // In the middle of a round, nobody knows it.
    const found = figures?.[target];
    if (found) {
      const ageMs = found.oldestDueAt ? now.getTime() - Date.parse(found.oldestDueAt) : 0;
      metrics.addMetric(METRICS.backlog, MetricUnit.Count, found.waiting);
      metrics.addMetric(METRICS.backlogAge, MetricUnit.Seconds, ageMs / 1000);
    }
    metrics.publishStoredMetrics();
  }
}
