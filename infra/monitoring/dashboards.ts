/** What an operator looks at: one dashboard for each region, and one that lays all regions side by side. */
import {
  AlarmStatusWidget,
  GraphWidget,
  type IAlarm,
  type IMetric,
  type IWidget,
  TextWidget,
} from 'aws-cdk-lib/aws-cloudwatch';
import { RECORDING_STATUSES } from '../../core/manifest.ts';
import { SLOT_DIMENSION } from '../../core/recorder-metrics.ts';
import {
  SERVICE_NAME as ASSURE,
  METRICS as ASSURE_METRICS,
} from '../../functions/assure-recordings/constants.ts';
import {
  SERVICE_NAME as EXPIRE,
  METRICS as EXPIRE_METRICS,
} from '../../functions/expire-recordings/constants.ts';
import {
  SERVICE_NAME as INDEX,
  METRICS as INDEX_METRICS,
  STATUS_DIMENSION,
} from '../../functions/index-recording/constants.ts';
import {
  METRICS as COPY_METRICS,
  SERVICE_NAME as REPLICATE,
  TARGET_DIMENSION,
} from '../../functions/replicate-recording/constants.ts';
import { SERVICE_NAME as STEER, METRICS as STEER_METRICS } from '../../functions/steer-traffic/constants.ts';
import {
  SERVICE_NAME as SWEEP,
  METRICS as SWEEP_METRICS,
} from '../../functions/sweep-recordings/constants.ts';
import { SEVERITIES, type Severity } from './alarm.ts';
import type { RegionMetrics, Statistic } from './metrics.ts';
import { functionsOf } from './platform-alarms.ts';

/** Of CloudWatch's grid, which has 24 columns. */
const [THIRD, HEIGHT] = [8, 6];
const FIVE_MINUTES = 300;

const graph = (title: string, left: IMetric[]): IWidget =>
  new GraphWidget({
    title,
    left,
    width: THIRD,
    height: HEIGHT,
    leftYAxis: { min: 0 },
  });

const heading = (text: string): IWidget => new TextWidget({ markdown: `## ${text}`, width: 24, height: 1 });

const perSlot = (
  metrics: RegionMetrics,
  metric: Parameters<RegionMetrics['recorder']>[0],
  statistic: Statistic,
): IMetric[] => metrics.slots.map((slot) => metrics.recorder(metric, { statistic, label: slot }, slot));

const callGraphs = (metrics: RegionMetrics): IWidget[] => [
  graph('Recordings running, by slot', perSlot(metrics, 'activeRecordings', 'Maximum')),
  graph('INVITEs', [
    metrics.recorder('invitesAnswered', { statistic: 'Sum', label: 'answered' }),
    metrics.recorder('invitesRefused', { statistic: 'Sum', label: 'refused' }),
    metrics.recorder('invitesCancelled', { statistic: 'Sum', label: 'cancelled' }),
  ]),
  graph('INVITE to 200, ms', [
    metrics.recorder('answerTimeP99', { statistic: 'Maximum', label: '99th percentile' }),
    metrics.recorder('answerTimeMax', { statistic: 'Maximum', label: 'slowest' }),
  ]),
];

const recordingGraphs = (metrics: RegionMetrics): IWidget[] => [
  graph('Recordings missing', [
    ...metrics.slots.map((slot) =>
      metrics.function(
        ASSURE,
        ASSURE_METRICS.missing,
        { statistic: 'Maximum', seconds: FIVE_MINUTES, label: slot },
        { [SLOT_DIMENSION]: slot },
      ),
    ),
    metrics.function(ASSURE, ASSURE_METRICS.open, {
      statistic: 'Maximum',
      seconds: FIVE_MINUTES,
      label: 'not yet in S3, or running',
    }),
  ]),
  graph(
    'Recordings in the index, by status',
    RECORDING_STATUSES.map((status) =>
      metrics.function(
        INDEX,
        INDEX_METRICS.recordings,
        { statistic: 'Sum', seconds: FIVE_MINUTES, label: status },
        { [STATUS_DIMENSION]: status },
      ),
    ),
  ),
  graph('Index lag, s', [
    metrics.function(INDEX, INDEX_METRICS.lag, { statistic: 'p99', label: '99th percentile' }),
    metrics.function(INDEX, INDEX_METRICS.lag, { statistic: 'Maximum', label: 'latest' }),
  ]),
];

/** All of one region. */
export function regionWidgets(
  metrics: RegionMetrics,
  alarms: readonly { severity: Severity; alarm: IAlarm }[],
): IWidget[][] {
  const { targets } = metrics;
  const status = new AlarmStatusWidget({
    title: 'Alarms',
    width: 24,
    height: 5,
    alarms: SEVERITIES.flatMap((severity) =>
      alarms.filter((one) => one.severity === severity).map(({ alarm }) => alarm),
    ),
  });
  return [
    [status],
    [heading('Calls')],
    callGraphs(metrics),
    [
      graph('Healthy slots', perSlot(metrics, 'healthy', 'Minimum')),
      graph(
        'Weights in DNS',
        metrics.slots.map((slot) =>
          metrics.function(
            STEER,
            STEER_METRICS.weight,
            { statistic: 'Average', label: slot },
            { [SLOT_DIMENSION]: slot },
          ),
        ),
      ),
      graph('RTP packets dropped by hosts', perSlot(metrics, 'rtpDrops', 'Sum')),
    ],
    [
      graph(
        'Hosts that could not start',
        metrics.slots.map((slot) => metrics.host('startFailures', slot, { statistic: 'Sum', label: slot })),
      ),
      graph(
        'Recorders that hung',
        metrics.slots.map((slot) => metrics.host('hungRecorders', slot, { statistic: 'Sum', label: slot })),
      ),
      graph('Threads of media replaced', perSlot(metrics, 'mediaWorkersReplaced', 'Sum')),
    ],
    [
      graph('RTP packets taken in', perSlot(metrics, 'rtpPackets', 'Sum')),
      graph('CPU of hosts, %', perSlot(metrics, 'cpu', 'Average')),
      graph('Lateness of the SIP thread, ms', perSlot(metrics, 'eventLoopDelay', 'Maximum')),
    ],
    [heading('Recordings')],
    recordingGraphs(metrics),
    [
      graph('Recordings waiting for S3', perSlot(metrics, 'spoolPending', 'Maximum')),
      graph('The oldest of them, s', perSlot(metrics, 'spoolOldestSeconds', 'Maximum')),
      graph('Room taken in the spool, %', perSlot(metrics, 'spoolFill', 'Maximum')),
    ],
    [
      graph('Recordings put into S3', perSlot(metrics, 'recordingsFinished', 'Sum')),
      graph('Uploads that failed', perSlot(metrics, 'uploadFailures', 'Sum')),
      graph(
        'Messages given up',
        metrics.queues.map((id) => metrics.deadLetters(id, { statistic: 'Maximum', label: id })),
      ),
    ],
    ...(targets.length > 0 ? [[heading('Copies')], copyGraphs(metrics)] : []),
    [heading('Deletions')],
    deletionGraphs(metrics),
    [heading('Platform')],
    [
      graph(
        'Errors of functions',
        functionsOf(metrics).map((name) =>
          metrics.lambda(name, 'Errors', { statistic: 'Sum', seconds: FIVE_MINUTES, label: name }),
        ),
      ),
      graph('Query API', [
        metrics.api('Count', { statistic: 'Sum', label: 'requests' }),
        metrics.api('4XXError', { statistic: 'Sum', label: '4xx' }),
        metrics.api('5XXError', { statistic: 'Sum', label: '5xx' }),
        metrics.firewall('BlockedRequests', { statistic: 'Sum', label: 'refused by the firewall' }),
      ]),
      graph('Query API: latency, ms', [
        metrics.api('Latency', { statistic: 'p99', label: '99th percentile' }),
      ]),
    ],
    [heading('What costs money')],
    costGraphs(metrics),
  ];
}

const ofTargets = (metrics: RegionMetrics, service: string, name: string, statistic: Statistic): IMetric[] =>
  metrics.targets.map((target) =>
    metrics.function(
      service,
      name,
      { statistic, seconds: FIVE_MINUTES, label: target },
      { [TARGET_DIMENSION]: target },
    ),
  );

const copyGraphs = (metrics: RegionMetrics): IWidget[] => [
  graph('Copies made', ofTargets(metrics, REPLICATE, COPY_METRICS.copied, 'Sum')),
  graph('End of the call to verified copy, s', ofTargets(metrics, REPLICATE, COPY_METRICS.lag, 'p99')),
  graph('Copies that are due, oldest, s', ofTargets(metrics, SWEEP, SWEEP_METRICS.backlogAge, 'Maximum')),
];

const deletionGraphs = (metrics: RegionMetrics): IWidget[] => {
  const expire = (name: string, label: string) =>
    metrics.function(EXPIRE, name, { statistic: 'Sum', seconds: FIVE_MINUTES, label });
  return [
    graph('Deletions', [expire(EXPIRE_METRICS.begun, 'begun'), expire(EXPIRE_METRICS.deleted, 'proved')]),
    graph('Deletions not done', [
      expire(EXPIRE_METRICS.open, 'a region is in the way'),
      expire(EXPIRE_METRICS.failed, 'failed'),
    ]),
    graph('Held', [expire(EXPIRE_METRICS.held, 'due, and held or locked')]),
  ];
};

/** What grows with use: hosts and addresses cost the same whatever happens. */
const costGraphs = (metrics: RegionMetrics): IWidget[] => [
  graph('Bytes copied to other regions', ofTargets(metrics, REPLICATE, COPY_METRICS.bytes, 'Sum')),
  graph(
    'Runs of functions',
    functionsOf(metrics).map((name) =>
      metrics.lambda(name, 'Invocations', { statistic: 'Sum', seconds: FIVE_MINUTES, label: name }),
    ),
  ),
  graph(
    'Capacity used in tables, units',
    Object.entries(metrics.tables).flatMap(([name, table]) =>
      (['ConsumedReadCapacityUnits', 'ConsumedWriteCapacityUnits'] as const).map((metric) =>
        metrics.table(table, metric, {
          statistic: 'Sum',
          seconds: FIVE_MINUTES,
          label: `${name}: ${metric}`,
        }),
      ),
    ),
  ),
];

/** The most important of every region, a row of graphs for each. */
export const overviewWidgets = (regions: readonly RegionMetrics[]): IWidget[][] =>
  regions.flatMap((metrics) => [
    [heading(metrics.region)],
    callGraphs(metrics),
    [graph('Healthy slots', perSlot(metrics, 'healthy', 'Minimum')), ...recordingGraphs(metrics).slice(0, 2)],
  ]);
