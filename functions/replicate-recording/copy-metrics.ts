/** What became of a job, as metrics: one line of CloudWatch's embedded format each, because targets are dimensions. */
import { MetricUnit } from '@aws-lambda-powertools/metrics';
import { createMetrics } from '../shared/observability.ts';
import { METRICS, REASON_DIMENSION, SERVICE_NAME, TARGET_DIMENSION } from './constants.ts';
import type { CopyResult } from './replicate-recording.ts';

export function publishResult(target: string, { outcome, copiedBytes, lagMs }: CopyResult): void {
  const metrics = createMetrics(SERVICE_NAME);
  metrics.addDimension(TARGET_DIMENSION, target);
  metrics.addMetric(METRICS[outcome], MetricUnit.Count, 1);
  // A repetition proves an old copy again: its age is no lag.
  if (outcome === 'copied') {
    metrics.addMetric(METRICS.bytes, MetricUnit.Bytes, copiedBytes);
    if (lagMs !== undefined) metrics.addMetric(METRICS.lag, MetricUnit.Seconds, lagMs / 1000);
  }
  metrics.publishStoredMetrics();
}

/** @param target undefined if the message was no job */
export function publishFailure(target: string | undefined, error: Error): void {
  const metrics = createMetrics(SERVICE_NAME);
  metrics.addDimension(TARGET_DIMENSION, target ?? 'unknown');
  metrics.addDimension(REASON_DIMENSION, error.name);
  metrics.addMetric(METRICS.failed, MetricUnit.Count, 1);
  metrics.publishStoredMetrics();
}
