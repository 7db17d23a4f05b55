/**
 * What is before a region's API: a firewall, and, if the deployment file names one, the domain that all regions share. Each region
 * answers to it by itself: certificate, name and record are its own, and none of them needs another region.
 */
import { CfnOutput, Stack, type StackProps } from 'aws-cdk-lib';
import { CfnBasePathMapping, CfnDomainName, type RestApi } from 'aws-cdk-lib/aws-apigateway';
import { CfnCertificate } from 'aws-cdk-lib/aws-certificatemanager';
import { CfnHealthCheck, CfnRecordSet } from 'aws-cdk-lib/aws-route53';
import { Topic } from 'aws-cdk-lib/aws-sns';
import type { Construct } from 'constructs';
import type { Deployment } from '../../core/deployment.ts';
import { API_STAGE } from '../../core/names.ts';
import { ApiFirewall } from '../constructs/api-firewall.ts';
import { addAlarm, alarmTopicName } from '../monitoring/alarm.ts';
import { RegionMetrics } from '../monitoring/metrics.ts';
import { certificateAlarm } from '../monitoring/platform-alarms.ts';
import type { ZoneReference } from './dns-stack.ts';

export interface EdgeStackProps extends StackProps {
  deployment: Deployment;
  api: RestApi;
  /** Of the DNS stack of this region. */
  zone: ZoneReference;
}

/** A caller that is sent to a region whose API fails has other regions: no need for the recorders' ten seconds, which cost more. */
const HEALTH_INTERVAL_SECONDS = 30;
const HEALTH_FAILURES = 3;

export class EdgeStack extends Stack {
  constructor(scope: Construct, id: string, { deployment, api, zone, ...props }: EdgeStackProps) {
    super(scope, id, props);
    const stageArn = `arn:${this.partition}:apigateway:${this.region}::/restapis/${api.restApiId}/stages/${API_STAGE}`;
    new ApiFirewall(this, 'firewall', { deployment, stageArn });
    if (deployment.api.domain) this.addDomain(deployment, deployment.api.domain, api.restApiId, zone);
  }

  private addDomain(
    deployment: Deployment,
    domainName: string,
    restApiId: string,
    zone: ZoneReference,
  ): void {
    const certificateArn = this.certificate(domainName, zone).ref;
    this.alarmOf(deployment, certificateArn);
    const domain = new CfnDomainName(this, 'domain', {
      domainName,
      endpointConfiguration: { types: ['REGIONAL'] },
      regionalCertificateArn: certificateArn,
      securityPolicy: 'TLS_1_2',
    });
    new CfnBasePathMapping(this, 'mapping', { domainName: domain.ref, restApiId, stage: API_STAGE });
    // Asked at AWS's own name, which is this region's alone.
    const check = new CfnHealthCheck(this, 'health', {
      healthCheckConfig: {
        type: 'HTTPS',
        fullyQualifiedDomainName: `${restApiId}.execute-api.${this.region}.${this.urlSuffix}`,
        port: 443,
        resourcePath: `/${API_STAGE}/health`,
        enableSni: true,
        requestInterval: HEALTH_INTERVAL_SECONDS,
        failureThreshold: HEALTH_FAILURES,
      },
      healthCheckTags: [{ key: 'Name', value: `${domainName} ${this.region}` }],
    });
    new CfnRecordSet(this, 'record', {
      ...zone,
      name: domainName,
      type: 'A',
      setIdentifier: this.region,
      region: this.region, // the nearest by latency, of those that are well
      healthCheckId: check.attrHealthCheckId,
      aliasTarget: {
        dnsName: domain.attrRegionalDomainName,
        hostedZoneId: domain.attrRegionalHostedZoneId,
        evaluateTargetHealth: true,
      },
    });
    new CfnOutput(this, 'ApiDomain', { value: domainName });
  }

  /** The topic is that of the monitoring stack, by its name: neither of both waits for the other. */
  private alarmOf(deployment: Deployment, certificateArn: string): void {
    const definition = certificateAlarm(new RegionMetrics(deployment, this.region), certificateArn);
    const resource = alarmTopicName(deployment, definition.severity);
    const topic = Topic.fromTopicArn(this, 'topic', this.formatArn({ service: 'sns', resource }));
    addAlarm(this, deployment.name, definition, topic);
  }

  /**
   * ACM asks for one record in the zone, the same in every region of an account. CloudFormation makes it where it knows the zone's id; in
   * a zone of the deployment's own, that is the first region, and the others wait until the record is there.
   */
  private certificate(domainName: string, zone: ZoneReference): CfnCertificate {
    return new CfnCertificate(this, 'certificate', {
      domainName,
      validationMethod: 'DNS',
      ...('hostedZoneId' in zone && {
        domainValidationOptions: [{ domainName, hostedZoneId: zone.hostedZoneId as string }],
      }),
    });
  }
}
