/** What became of a manifest event, as metrics. */
import { type Metrics, MetricUnit } from '@aws-lambda-powertools/metrics';
import { METRICS, STATUS_DIMENSION } from './constants.ts';
import type { IndexResult } from './index-recording.ts';

/** Adds to what is published at the end of the batch; statuses are dimensions, and published at once. */
export function addResult(metrics: Metrics, result: IndexResult, now: Date): void {
  metrics.addMetric(METRICS[result.outcome], MetricUnit.Count, 1);
  if (result.outcome !== 'indexed') return;
  const { status, writtenAt } = result;
  metrics.addMetric(METRICS.imperfect, MetricUnit.Count, Number(status !== 'complete'));
  metrics
    .singleMetric()
    .addDimension(STATUS_DIMENSION, status)
    .addMetric(METRICS.recordings, MetricUnit.Count, 1);
  // S3 tells whole seconds.
  if (writtenAt)
    metrics.addMetric(
      METRICS.lag,
      MetricUnit.Seconds,
      Math.max(0, (now.getTime() - writtenAt.getTime()) / 1000),
    );
}

/** An event whose manifest this version cannot read. */
export const addInvalid = (metrics: Metrics): void => {
  metrics.addMetric(METRICS.invalid, MetricUnit.Count, 1);
};
