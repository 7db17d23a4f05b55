/** A run in numbers: one line of CloudWatch's embedded format. */
import { MetricUnit } from '@aws-lambda-powertools/metrics';
import { createMetrics } from '../shared/observability.ts';
import { METRICS, SERVICE_NAME } from './constants.ts';
import type { ExpireRun } from './expire-recordings.ts';

export function publishRun(run: ExpireRun): void {
  const metrics = createMetrics(SERVICE_NAME);
  for (const [what, name] of Object.entries(METRICS))
    metrics.addMetric(name, MetricUnit.Count, run[what as keyof ExpireRun]);
  metrics.publishStoredMetrics();
}
