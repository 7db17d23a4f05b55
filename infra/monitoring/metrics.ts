/**
 * The metrics that alarms and dashboards watch: our own, by the constants of the code that tells them, and those of AWS
 * services, by names that follow from the deployment.
 */
import { Duration } from 'aws-cdk-lib';
import { type IMetric, MathExpression, Metric } from 'aws-cdk-lib/aws-cloudwatch';
import { copyTargets } from '../../core/copy-jobs.ts';
import type { Deployment } from '../../core/deployment.ts';
import { fleetTableName } from '../../core/fleet.ts';
import { HOST_METRICS } from '../../core/host-plan.ts';
import {
  API_STAGE,
  apiName,
  deadLetterQueueName,
  functionName,
  indexTableName,
  metricsNamespace,
  type QueueId,
  queueName,
} from '../../core/names.ts';
import {
  RECORDER_COUNTERS,
  RECORDER_GAUGES,
  type RecorderCounter,
  type RecorderGauge,
  SLOT_DIMENSION,
  STATUS_DIMENSION,
} from '../../core/recorder-metrics.ts';
import { slotsOfRegion } from '../../core/slot-plan.ts';

/** Statistics, in CloudWatch's words. */
export type Statistic = 'Sum' | 'Average' | 'Minimum' | 'Maximum' | 'SampleCount' | 'p99';

export interface MetricOptions {
  statistic: Statistic;
  /** Default 60. */
  seconds?: number;
  label?: string;
}

/** The metrics of one region of a deployment. */
export class RegionMetrics {
  readonly deployment: Deployment;
  readonly region: string;

  constructor(deployment: Deployment, region: string) {
    this.deployment = deployment;
    this.region = region;
  }

  get slots(): string[] {
    return slotsOfRegion(this.deployment, this.region);
  }

  /** Regions that get copies of what this one records. */
  get targets(): string[] {
    return copyTargets(this.deployment, this.region);
  }

  /** Tables by what they are called in names of alarms. */
  get tables(): Record<string, string> {
    return { index: indexTableName(this.deployment), fleet: fleetTableName(this.deployment) };
  }

  /** Queues that the region has. */
  get queues(): QueueId[] {
    return this.targets.length > 0 ? ['manifest-events', 'copy-jobs'] : ['manifest-events'];
  }

  /** Of a recorder's log; of all slots of the region when `slot` is absent. */
  recorder(metric: RecorderCounter | RecorderGauge, options: MetricOptions, slot?: string): Metric {
    const { name } = { ...RECORDER_COUNTERS, ...RECORDER_GAUGES }[metric];
    return this.#own(name, slot === undefined ? {} : { [SLOT_DIMENSION]: slot }, options);
  }

  /** Of a slot's host. */
  host(metric: keyof typeof HOST_METRICS, slot: string, options: MetricOptions): Metric {
    return this.#own(HOST_METRICS[metric], { [SLOT_DIMENSION]: slot }, options);
  }

  /** INVITEs of the region that were refused with this status. */
  refused(status: number, options: MetricOptions): Metric {
    return this.#own(RECORDER_COUNTERS.invitesRefused.name, { [STATUS_DIMENSION]: String(status) }, options);
  }

  /** Of one of our functions. @param service its folder */
  function(
    service: string,
    name: string,
    options: MetricOptions,
    dimensions: Record<string, string> = {},
  ): Metric {
    return this.#own(name, { service, ...dimensions }, options);
  }

  lambda(folder: string, name: 'Errors' | 'Throttles' | 'Duration' | 'Invocations', options: MetricOptions) {
    return this.#of('AWS/Lambda', name, { FunctionName: functionName(this.deployment, folder) }, options);
  }

  queue(
    id: QueueId,
    name: 'ApproximateAgeOfOldestMessage' | 'ApproximateNumberOfMessagesVisible',
    options: MetricOptions,
  ) {
    return this.#of('AWS/SQS', name, { QueueName: queueName(this.deployment, id) }, options);
  }

  deadLetters(id: QueueId, options: MetricOptions): Metric {
    const QueueName = deadLetterQueueName(this.deployment, id);
    return this.#of('AWS/SQS', 'ApproximateNumberOfMessagesVisible', { QueueName }, options);
  }

  api(name: 'Count' | '4XXError' | '5XXError' | 'Latency', options: MetricOptions): Metric {
    const dimensions = { ApiName: apiName(this.deployment), Stage: API_STAGE };
    return this.#of('AWS/ApiGateway', name, dimensions, options);
  }

  /** Of the firewall before the API: all its rules together. */
  firewall(name: 'BlockedRequests', options: MetricOptions): Metric {
    const dimensions = { WebACL: apiName(this.deployment), Region: this.region, Rule: 'ALL' };
    return this.#of('AWS/WAFV2', name, dimensions, options);
  }

  /** Told every twelve hours. */
  certificate(CertificateArn: string, name: 'DaysToExpiry', options: MetricOptions): Metric {
    return this.#of('AWS/CertificateManager', name, { CertificateArn }, options);
  }

  table(
    TableName: string,
    name:
      | 'ReadThrottleEvents'
      | 'WriteThrottleEvents'
      | 'ConsumedReadCapacityUnits'
      | 'ConsumedWriteCapacityUnits',
    options: MetricOptions,
  ) {
    return this.#of('AWS/DynamoDB', name, { TableName }, options);
  }

  #own(name: string, dimensions: Record<string, string>, options: MetricOptions): Metric {
    return this.#of(metricsNamespace(this.deployment), name, dimensions, options);
  }

  #of(
    namespace: string,
    metricName: string,
    dimensionsMap: Record<string, string>,
    { statistic, seconds = 60, label }: MetricOptions,
  ): Metric {
    return new Metric({
      namespace,
      metricName,
      dimensionsMap,
      statistic,
      period: Duration.seconds(seconds),
      region: this.region,
      ...(label && { label }),
    });
  }
}

/** A formula of other metrics, by the names that they have in it. */
export const formula = (
  expression: string,
  usingMetrics: Record<string, IMetric>,
  seconds = 60,
  label?: string,
): MathExpression =>
  new MathExpression({
    expression,
    usingMetrics,
    period: Duration.seconds(seconds),
    ...(label && { label }),
  });
