/**
 * Monitoring of a region: alarms, who is told of them, and dashboards. It knows all others by name alone, so that neither
 * its deploy nor theirs waits for the other.
 */
import { Duration, RemovalPolicy, Stack, type StackProps } from 'aws-cdk-lib';
import { Alarm, Dashboard, type IAlarm } from 'aws-cdk-lib/aws-cloudwatch';
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import { type ITopic, Topic } from 'aws-cdk-lib/aws-sns';
import { EmailSubscription, UrlSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import type { Construct } from 'constructs';
import type { Deployment } from '../../core/deployment.ts';
import { indexHomeRegion } from '../../core/names.ts';
import {
  type AlarmDefinition,
  addAlarm,
  alarmName,
  alarmTopicName,
  SEVERITIES,
  type Severity,
} from '../monitoring/alarm.ts';
import { overviewWidgets, regionWidgets } from '../monitoring/dashboards.ts';
import { RegionMetrics } from '../monitoring/metrics.ts';
import { CERTIFICATE_ALARM, platformAlarms } from '../monitoring/platform-alarms.ts';
import { recorderAlarms } from '../monitoring/recorder-alarms.ts';
import { recordingAlarms } from '../monitoring/recording-alarms.ts';

export interface MonitoringStackProps extends StackProps {
  deployment: Deployment;
}

/** Every alarm of a region. */
export const alarmsOf = (metrics: RegionMetrics): AlarmDefinition[] => [
  ...recorderAlarms(metrics),
  ...recordingAlarms(metrics),
  ...platformAlarms(metrics),
];

export class MonitoringStack extends Stack {
  constructor(scope: Construct, id: string, { deployment, ...props }: MonitoringStackProps) {
    super(scope, id, props);
    const metrics = new RegionMetrics(deployment, this.region);
    const topics = this.topics(deployment);
    const alarms = alarmsOf(metrics).map((definition): { severity: Severity; alarm: IAlarm } => ({
      severity: definition.severity,
      alarm: addAlarm(this, deployment.name, definition, topics[definition.severity]),
    }));
    if (deployment.api.domain) alarms.push({ severity: 'ticket', alarm: this.certificateAlarm(deployment) });
    new Dashboard(this, 'dashboard', {
      dashboardName: `${deployment.name}-${this.region}`,
      defaultInterval: Duration.hours(3),
      widgets: regionWidgets(metrics, alarms),
    });
    // Names of dashboards are one list for all regions of an account.
    if (this.region === indexHomeRegion(deployment))
      new Dashboard(this, 'overview', {
        dashboardName: deployment.name,
        defaultInterval: Duration.hours(3),
        widgets: overviewWidgets(deployment.regions.map(({ name }) => new RegionMetrics(deployment, name))),
      });
  }

  /** The edge stack's, by its name. */
  private certificateAlarm({ name }: Deployment): IAlarm {
    return Alarm.fromAlarmName(this, CERTIFICATE_ALARM, alarmName(name, { section: CERTIFICATE_ALARM }));
  }

  /** One for each severity, so that a pager may have pages alone. */
  private topics(deployment: Deployment): Record<Severity, ITopic> {
    // SNS's own key lets no alarm use it.
    const key = new Key(this, 'key', {
      description: `Alarms of ${deployment.name} in ${this.region}`,
      enableKeyRotation: true,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const cloudWatch = new ServicePrincipal('cloudwatch.amazonaws.com');
    const conditions = { StringEquals: { 'aws:SourceAccount': this.account } };
    key.addToResourcePolicy(
      new PolicyStatement({
        principals: [cloudWatch],
        actions: ['kms:Decrypt', 'kms:GenerateDataKey'],
        resources: ['*'], // of a key's policy: this key
        conditions,
      }),
    );
    const make = (severity: Severity): ITopic => {
      const topic = new Topic(this, severity, {
        topicName: alarmTopicName(deployment, severity),
        masterKey: key,
        enforceSSL: true,
      });
      topic.addToResourcePolicy(
        new PolicyStatement({
          principals: [cloudWatch],
          actions: ['sns:Publish'],
          resources: [topic.topicArn],
          conditions,
        }),
      );
      for (const address of deployment.alarms.email) topic.addSubscription(new EmailSubscription(address));
      for (const address of deployment.alarms.https) topic.addSubscription(new UrlSubscription(address));
      return topic;
    };
    return Object.fromEntries(SEVERITIES.map((severity) => [severity, make(severity)])) as Record<
      Severity,
      ITopic
    >;
  }
}
