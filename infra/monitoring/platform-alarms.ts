/** Alarms on what the system runs on: steering, functions, queues, tables and the API. */
import { SERVICE_NAME as ASSURE } from '../../functions/assure-recordings/constants.ts';
import { SERVICE_NAME as EXPIRE } from '../../functions/expire-recordings/constants.ts';
import { SERVICE_NAME as INDEX } from '../../functions/index-recording/constants.ts';
import { SERVICE_NAME as QUERY } from '../../functions/query-api/constants.ts';
import { SERVICE_NAME as REPLICATE } from '../../functions/replicate-recording/constants.ts';
import { SERVICE_NAME as STEER, METRICS as STEER_METRICS } from '../../functions/steer-traffic/constants.ts';
import { SERVICE_NAME as SWEEP } from '../../functions/sweep-recordings/constants.ts';
import type { AlarmDefinition } from './alarm.ts';
import type { RegionMetrics } from './metrics.ts';

const FIVE_MINUTES = 300;

/** Every function of a region: each has alarms of its own. */
export const functionsOf = ({ targets }: RegionMetrics): string[] => [
  STEER,
  INDEX,
  ASSURE,
  EXPIRE,
  QUERY,
  ...(targets.length > 0 ? [REPLICATE, SWEEP] : []),
];

export const platformAlarms = (metrics: RegionMetrics): AlarmDefinition[] => [
  ...steeringAlarms(metrics),
  ...functionsOf(metrics).flatMap((name): AlarmDefinition[] => [
    {
      section: 'function-errors',
      of: name,
      severity: 'ticket',
      says: `The function ${name} fails.`,
      metric: metrics.lambda(name, 'Errors', { statistic: 'Sum', seconds: FIVE_MINUTES }),
      when: ['>', 0],
      in: [2, 3],
    },
    {
      section: 'function-throttled',
      of: name,
      severity: 'ticket',
      says: `The function ${name} is not allowed to run as often as it should.`,
      metric: metrics.lambda(name, 'Throttles', { statistic: 'Sum', seconds: FIVE_MINUTES }),
      when: ['>', 0],
      in: [3, 3],
    },
  ]),
  ...metrics.queues.flatMap((id): AlarmDefinition[] => [
    {
      section: 'dead-letters',
      of: id,
      severity: 'ticket',
      says: `A message of the queue ${id} was given up after many tries.`,
      metric: metrics.deadLetters(id, { statistic: 'Maximum', seconds: FIVE_MINUTES }),
      when: ['>', 0],
      in: [1, 1],
    },
    {
      section: 'queue-old',
      of: id,
      severity: 'ticket',
      says: `A message has waited in the queue ${id} for more than an hour.`,
      metric: metrics.queue(id, 'ApproximateAgeOfOldestMessage', {
        statistic: 'Maximum',
        seconds: FIVE_MINUTES,
      }),
      when: ['>', 3_600],
      in: [2, 2],
    },
  ]),
  ...Object.entries(metrics.tables).flatMap(([name, table]) =>
    (['ReadThrottleEvents', 'WriteThrottleEvents'] as const).map(
      (metric): AlarmDefinition => ({
        section: 'table-throttled',
        of: `${name}-${metric === 'ReadThrottleEvents' ? 'reads' : 'writes'}`,
        severity: 'ticket',
        says: `DynamoDB refuses requests to the table ${table}, because there are too many.`,
        metric: metrics.table(table, metric, { statistic: 'Sum', seconds: FIVE_MINUTES }),
        when: ['>', 0],
        in: [3, 3],
      }),
    ),
  ),
  {
    section: 'api-errors',
    severity: 'ticket',
    says: 'The query API answers with errors of its own.',
    metric: metrics.api('5XXError', { statistic: 'Sum', seconds: FIVE_MINUTES }),
    when: ['>=', 5],
    in: [2, 3],
  },
  {
    section: 'api-slow',
    severity: 'ticket',
    says: 'The query API takes more than five seconds for an answer.',
    metric: metrics.api('Latency', { statistic: 'p99', seconds: FIVE_MINUTES }),
    when: ['>', 5_000],
    in: [3, 3],
  },
  {
    section: 'api-blocked',
    severity: 'ticket',
    says: 'The firewall before the query API refuses many requests: somebody attacks it, or a caller is taken for an attacker.',
    metric: metrics.firewall('BlockedRequests', { statistic: 'Sum', seconds: FIVE_MINUTES }),
    when: ['>=', 100],
    in: [3, 3],
  },
];

export const CERTIFICATE_ALARM = 'certificate-expiring';
const A_DAY = 86_400;

/**
 * Belongs to the stack that has the certificate, which is known by no name. ACM renews it 45 days or more before its end, and warns
 * by itself when it has not been able to by 30.
 */
export const certificateAlarm = (metrics: RegionMetrics, certificateArn: string): AlarmDefinition => ({
  section: CERTIFICATE_ALARM,
  severity: 'ticket',
  says: "The certificate of the query API's domain ends in less than 30 days, and has not been renewed.",
  metric: metrics.certificate(certificateArn, 'DaysToExpiry', { statistic: 'Minimum', seconds: A_DAY }),
  when: ['<', 30],
  in: [1, 1],
});

const steeringAlarms = (metrics: RegionMetrics): AlarmDefinition[] => [
  {
    section: 'steering-silent',
    severity: 'ticket',
    says: 'Steering has not run for ten minutes: weights stay as they are.',
    metric: metrics.function(STEER, STEER_METRICS.changes, {
      statistic: 'SampleCount',
      seconds: FIVE_MINUTES,
    }),
    when: ['<', 1],
    in: [2, 2],
    missing: 'alarm',
  },
  {
    section: 'steering-skipped',
    severity: 'ticket',
    says: 'Steering runs, and can change nothing: weights stay as they are.',
    metric: metrics.function(STEER, STEER_METRICS.failed, { statistic: 'Sum', seconds: FIVE_MINUTES }),
    when: ['>=', 4],
    in: [3, 3],
  },
  {
    section: 'reports-stale',
    severity: 'ticket',
    says: 'A slot has no fresh load report: it loses weight.',
    metric: metrics.function(STEER, STEER_METRICS.withoutFreshReport, { statistic: 'Maximum' }),
    when: ['>', 0],
    in: [10, 10],
  },
  {
    section: 'srv-records-missing',
    severity: 'page',
    says: 'A slot lacks its SRV record, or has it in another form: calls do not find it.',
    metric: metrics.function(STEER, STEER_METRICS.missingRecords, { statistic: 'Maximum' }),
    when: ['>', 0],
    in: [5, 5],
  },
];
