/** Alarms on recordings after the call: assurance, index, copies, and what finds recordings for users. */
import {
  METRICS as ASSURE,
  SERVICE_NAME as ASSURE_SERVICE,
} from '../../functions/assure-recordings/constants.ts';
import {
  METRICS as EXPIRE,
  SERVICE_NAME as EXPIRE_SERVICE,
} from '../../functions/expire-recordings/constants.ts';
import {
  METRICS as INDEX,
  SERVICE_NAME as INDEX_SERVICE,
} from '../../functions/index-recording/constants.ts';
import {
  METRICS as SWEEP,
  SERVICE_NAME as SWEEP_SERVICE,
  TARGET_DIMENSION,
} from '../../functions/sweep-recordings/constants.ts';
import type { AlarmDefinition } from './alarm.ts';
import { formula, type RegionMetrics } from './metrics.ts';

const FIVE_MINUTES = 300;
const QUARTER = 900;

export const recordingAlarms = (metrics: RegionMetrics): AlarmDefinition[] => [
  {
    section: 'recordings-missing',
    severity: 'page',
    says: 'Calls were answered whose recordings exist nowhere.',
    metric: metrics.function(ASSURE_SERVICE, ASSURE.missing, { statistic: 'Maximum', seconds: FIVE_MINUTES }),
    when: ['>', 0],
    in: [1, 1],
  },
  {
    section: 'assurance-silent',
    severity: 'ticket',
    says: 'Nobody has checked for 20 minutes whether recordings are missing.',
    metric: metrics.function(ASSURE_SERVICE, ASSURE.missing, {
      statistic: 'SampleCount',
      seconds: FIVE_MINUTES,
    }),
    when: ['<', 1],
    in: [4, 4],
    missing: 'alarm',
  },
  {
    section: 'recordings-imperfect',
    severity: 'ticket',
    says: 'More than a twentieth of the recordings came as partial or recovered.',
    metric: formula(
      'IF(all >= 20, 100 * share, 0)',
      {
        all: metrics.function(INDEX_SERVICE, INDEX.imperfect, { statistic: 'SampleCount', seconds: QUARTER }),
        share: metrics.function(INDEX_SERVICE, INDEX.imperfect, { statistic: 'Average', seconds: QUARTER }),
      },
      QUARTER,
      'imperfect, %',
    ),
    when: ['>', 5],
    in: [2, 2],
  },
  {
    section: 'index-late',
    severity: 'ticket',
    says: 'Recordings come into the index more than five minutes after they are in S3.',
    metric: metrics.function(INDEX_SERVICE, INDEX.lag, { statistic: 'p99', seconds: FIVE_MINUTES }),
    when: ['>', 300],
    in: [2, 3],
  },
  {
    section: 'manifests-invalid',
    severity: 'ticket',
    says: 'A manifest cannot be read, so that its recording is in no index.',
    metric: metrics.function(INDEX_SERVICE, INDEX.invalid, { statistic: 'Sum', seconds: FIVE_MINUTES }),
    when: ['>', 0],
    in: [1, 1],
  },
  ...(metrics.targets.length > 0
    ? [
        {
          section: 'recordings-unindexed',
          severity: 'ticket' as const,
          says: 'The sweep has found recordings that were not in the index, and sent them there.',
          metric: metrics.function(SWEEP_SERVICE, SWEEP.unindexed, {
            statistic: 'Sum',
            seconds: FIVE_MINUTES,
          }),
          when: ['>', 0] as const,
          in: [1, 1] as const,
        },
      ]
    : []),
  {
    section: 'deletions-failing',
    severity: 'ticket',
    says: 'Recordings that are to be deleted have not gone from every region for an hour.',
    metric: formula(
      'unfinished + failed',
      {
        unfinished: metrics.function(EXPIRE_SERVICE, EXPIRE.open, { statistic: 'Sum', seconds: QUARTER }),
        failed: metrics.function(EXPIRE_SERVICE, EXPIRE.failed, { statistic: 'Sum', seconds: QUARTER }),
      },
      QUARTER,
      'deletions not done',
    ),
    when: ['>', 0],
    in: [4, 4],
  },
  ...metrics.targets.flatMap((target) => copyAlarms(metrics, target)),
];

const copyAlarms = (metrics: RegionMetrics, target: string): AlarmDefinition[] => [
  {
    section: 'replication-late',
    of: target,
    severity: 'ticket',
    says: `Copies in ${target} have been due for more than two hours.`,
    metric: metrics.function(
      SWEEP_SERVICE,
      SWEEP.backlogAge,
      { statistic: 'Maximum', seconds: FIVE_MINUTES },
      { [TARGET_DIMENSION]: target },
    ),
    when: ['>', 2 * 3_600],
    in: [1, 3], // told at the end of a round alone, which may take several runs
  },
  {
    section: 'copies-damaged',
    of: target,
    severity: 'ticket',
    says: `A copy in ${target} is not what it was when it was verified; it is being made again.`,
    metric: metrics.function(
      SWEEP_SERVICE,
      SWEEP.damaged,
      { statistic: 'Sum', seconds: FIVE_MINUTES },
      { [TARGET_DIMENSION]: target },
    ),
    when: ['>', 0],
    in: [1, 1],
  },
];
