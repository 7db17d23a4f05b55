/** What an alarm is here: a line of a table, with its section in the runbook. */
import { Alarm, ComparisonOperator, type IMetric, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import type { Construct } from 'constructs';
import type { Deployment } from '../../core/deployment.ts';

/** `page`: wakes somebody, because calls or recordings are at risk now; `ticket`: can wait for the morning. */
export const SEVERITIES = ['page', 'ticket'] as const;
export type Severity = (typeof SEVERITIES)[number];

/** Of the topic that an alarm of this severity tells, in the alarm's region. */
export const alarmTopicName = ({ name }: Deployment, severity: Severity): string => `${name}-${severity}`;

export interface AlarmDefinition {
  /** Section of `docs/runbook.md`, and the beginning of the alarm's name. */
  section: string;
  /** Which one of several: a slot, a queue, a function, a region. */
  of?: string;
  severity: Severity;
  /** What is the case, in a sentence. */
  says: string;
  metric: IMetric;
  /** The alarm is when the metric is so */
  when: readonly ['>' | '>=' | '<', number];
  /** in so many of the last so many periods. */
  in: readonly [number, number];
  /** When there are no data. Default: all is well. */
  missing?: 'alarm' | 'well';
}

const COMPARISONS = {
  '>': ComparisonOperator.GREATER_THAN_THRESHOLD,
  '>=': ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
  '<': ComparisonOperator.LESS_THAN_THRESHOLD,
} as const;

export const RUNBOOK = 'docs/runbook.md';

export const alarmId = ({ section, of }: Pick<AlarmDefinition, 'section' | 'of'>): string =>
  of ? `${section}-${of}` : section;

export const alarmName = (
  deploymentName: string,
  definition: Pick<AlarmDefinition, 'section' | 'of'>,
): string => `${deploymentName}-${alarmId(definition)}`;

/** Makes an alarm that tells the topic of its severity, also when it is over. */
export function addAlarm(
  scope: Construct,
  deploymentName: string,
  definition: AlarmDefinition,
  topic: ITopic,
): Alarm {
  const { section, severity, says, metric, when, missing = 'well' } = definition;
  const [datapointsToAlarm, evaluationPeriods] = definition.in;
  const alarm = new Alarm(scope, alarmId(definition), {
    alarmName: alarmName(deploymentName, definition),
    alarmDescription: `${severity}: ${says} What to do: ${RUNBOOK}#${section}`,
    metric,
    comparisonOperator: COMPARISONS[when[0]],
    threshold: when[1],
    datapointsToAlarm,
    evaluationPeriods,
    treatMissingData: missing === 'alarm' ? TreatMissingData.BREACHING : TreatMissingData.NOT_BREACHING,
  });
  alarm.addAlarmAction(new SnsAction(topic));
  alarm.addOkAction(new SnsAction(topic));
  return alarm;
}
