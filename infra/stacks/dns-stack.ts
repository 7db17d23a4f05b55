/**
 * A region's slots in DNS: addresses, health checks and SRV records, made at deploy time and then at work without any
 * control plane (DESIGN.md 4.1). Each record is of the region whose slot it names, so that a lost region blocks only its own deploys.
 */
import { CfnOutput, Fn, RemovalPolicy, Stack, type StackProps } from 'aws-cdk-lib';
import { CfnEIP } from 'aws-cdk-lib/aws-ec2';
import { CfnHealthCheck, CfnRecordSet, PublicHostedZone } from 'aws-cdk-lib/aws-route53';
import { Construct } from 'constructs';
import type { Deployment } from '../../core/deployment.ts';
import { slotTags, zoneHomeRegion } from '../../core/names.ts';
import { ADDRESS_TTL_SECONDS, type PlannedSlot, planNaptr, planSlots } from '../../core/slot-plan.ts';

export interface DnsStackProps extends StackProps {
  deployment: Deployment;
}

/** How a record says which zone it is in: CloudFormation takes either. */
export type ZoneReference = Pick<CfnRecordSet, 'hostedZoneId'> | Pick<CfnRecordSet, 'hostedZoneName'>;

/** When the stack or a slot goes; what a deploy that fails has just made is given back: an account has few addresses. */
const KEPT = RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE;

export class DnsStack extends Stack {
  readonly zone: ZoneReference;
  readonly #addresses = new Map<string, CfnEIP>();

  constructor(scope: Construct, id: string, { deployment, ...props }: DnsStackProps) {
    super(scope, id, props);
    const isHome = this.region === zoneHomeRegion(deployment);
    const zone = this.zoneReference(deployment, isHome);
    this.zone = zone;
    for (const slot of planSlots(deployment).filter(({ region }) => region === this.region))
      this.addSlot(slot, zone, deployment);
    if (isHome)
      for (const { name, values, ttlSeconds } of planNaptr(deployment))
        new CfnRecordSet(this, `naptr-${name}`, {
          ...zone,
          name,
          type: 'NAPTR',
          ttl: String(ttlSeconds),
          resourceRecords: values,
        });
  }

  /** The Elastic IP of a slot of this region. */
  addressOf(slot: string): CfnEIP {
    const address = this.#addresses.get(slot);
    if (!address) throw new Error(`no slot ${slot} in ${this.region}`);
    return address;
  }

  /**
   * An existing zone by its id. Otherwise the first region makes the zone, and the others know it by name, which is no
   * reference from one region to another.
   */
  private zoneReference({ dns }: Deployment, isHome: boolean): ZoneReference {
    if (dns.hostedZoneId) return { hostedZoneId: dns.hostedZoneId };
    if (!isHome) return { hostedZoneName: `${dns.zone}.` };
    const zone = new PublicHostedZone(this, 'zone', {
      zoneName: dns.zone,
      // Route 53's API comes back in another region when us-east-1 is lost: weights then move again.
      acceleratedRecoveryEnabled: true,
    });
    zone.applyRemovalPolicy(KEPT); // another zone of this name would have other name servers
    new CfnOutput(this, 'NameServers', {
      description: `For the NS record of ${dns.zone} in its parent zone`,
      value: Fn.join(' ', zone.hostedZoneNameServers as string[]),
    });
    return { hostedZoneId: zone.hostedZoneId };
  }

  private addSlot(slot: PlannedSlot, zone: ZoneReference, deployment: Deployment): void {
    const scope = new Construct(this, `slot-${slot.name}`);
    const tags = slotTags(deployment, slot.name);
    const address = new CfnEIP(scope, 'address', { domain: 'vpc', tags });
    this.#addresses.set(slot.name, address);
    // SRCs' firewalls know it. The health check goes with the stack, so that nobody's checks follow an address given back.
    address.applyRemovalPolicy(KEPT);
    new CfnRecordSet(scope, 'host', {
      ...zone,
      name: slot.host,
      type: 'A',
      ttl: String(ADDRESS_TTL_SECONDS),
      resourceRecords: [address.attrPublicIp],
    });
    const { port, path, intervalSeconds, failureThreshold } = slot.healthCheck;
    const check = new CfnHealthCheck(scope, 'health', {
      healthCheckConfig: {
        type: 'HTTP',
        ipAddress: address.attrPublicIp,
        port,
        resourcePath: path,
        requestInterval: intervalSeconds,
        failureThreshold,
      },
      healthCheckTags: tags,
    });
    // Steering changes the weight. CloudFormation writes a record again only if its text here changes, then with the first
    // weight, and the next run of steering mends that.
    for (const record of slot.srvRecords)
      new CfnRecordSet(scope, record.name, {
        ...zone,
        name: record.name,
        type: 'SRV',
        setIdentifier: record.setIdentifier,
        multiValueAnswer: true,
        healthCheckId: check.attrHealthCheckId,
        ttl: String(record.ttlSeconds),
        // One value: Route 53 takes no more in a multivalue answer, and CDK does not look.
        resourceRecords: [`${record.priority} ${record.weight} ${record.port} ${record.target}`],
      });
  }
}
