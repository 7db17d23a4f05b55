/**
 * The deployment's zone in the emulated Route 53, from the same slot plan that the stacks use: the emulator's
 * CloudFormation has no health checks and no Elastic IPs, so these records are made by API instead.
 */
import {
  type Change,
  ChangeResourceRecordSetsCommand,
  CreateHealthCheckCommand,
  CreateHostedZoneCommand,
  ListHostedZonesByNameCommand,
  type ResourceRecordSet,
  type Route53Client,
} from '@aws-sdk/client-route-53';
import { ADDRESS_TTL_SECONDS, type NaptrRecordSet, type PlannedSlot } from '../../core/slot-plan.ts';
import { listRecordSets } from '../dns-server/route53-zone.ts';

/** A slot's health check as the local DNS server runs it. */
export interface SlotCheck {
  id: string;
  slot: string;
  address: string;
  port: number;
  path: string;
  intervalSeconds: number;
  failureThreshold: number;
}

export interface PublishedZone {
  hostedZoneId: string;
  checks: SlotCheck[];
}

/**
 * Makes the zone, if it is not there, and every slot's A record, health check and SRV records.
 * @param address where all local recorders listen
 */
export async function publishZone(
  route53: Route53Client,
  zone: string,
  slots: PlannedSlot[],
  address: string,
  naptr: NaptrRecordSet[] = [],
): Promise<PublishedZone> {
  const hostedZoneId = await ensureZone(route53, zone);
  const checks: SlotCheck[] = [];
  const records: ResourceRecordSet[] = naptr.map(({ name, values, ttlSeconds }) => ({
    Name: name,
    Type: 'NAPTR',
    TTL: ttlSeconds,
    ResourceRecords: values.map((Value) => ({ Value })),
  }));
  for (const slot of slots) {
    const check = { slot: slot.name, address, ...slot.healthCheck };
    const id = await createCheck(route53, check);
    checks.push({ id, ...check });
    records.push({
      Name: slot.host,
      Type: 'A',
      TTL: ADDRESS_TTL_SECONDS,
      ResourceRecords: [{ Value: address }],
    });
    for (const { name, setIdentifier, priority, weight, port, target, ttlSeconds } of slot.srvRecords)
      records.push({
        Name: name,
        Type: 'SRV',
        SetIdentifier: setIdentifier,
        MultiValueAnswer: true,
        HealthCheckId: id,
        TTL: ttlSeconds,
        ResourceRecords: [{ Value: `${priority} ${weight} ${port} ${target}` }],
      });
  }
  // Slots that the deployment file no longer has may have left some; SOA and NS are the zone's own.
  const planned = new Set(records.map(identity));
  const stale = (await listRecordSets(route53, hostedZoneId)).filter(
    (old) => old.Type !== 'SOA' && old.Type !== 'NS' && !planned.has(identity(old)),
  );
  const changes: Change[] = [
    ...stale.map((record): Change => ({ Action: 'DELETE', ResourceRecordSet: record })),
    ...records.map((record): Change => ({ Action: 'UPSERT', ResourceRecordSet: record })),
  ];
  await route53.send(
    new ChangeResourceRecordSetsCommand({ HostedZoneId: hostedZoneId, ChangeBatch: { Changes: changes } }),
  );
  return { hostedZoneId, checks };
}

/** What makes a record set another one. */
const identity = ({ Name, Type, SetIdentifier }: ResourceRecordSet): string =>
  [Name?.replace(/\.$/, ''), Type, SetIdentifier].join(' ');

async function ensureZone(route53: Route53Client, zone: string): Promise<string> {
  const { HostedZones = [] } = await route53.send(new ListHostedZonesByNameCommand({ DNSName: zone }));
  const existing = HostedZones.find(({ Name }) => Name === `${zone}.`);
  if (existing?.Id) return bareId(existing.Id);
  const { HostedZone } = await route53.send(
    new CreateHostedZoneCommand({ Name: zone, CallerReference: zone }),
  );
  return bareId(HostedZone?.Id as string);
}

/** The caller reference makes this idempotent: the same check is the same health check. */
async function createCheck(route53: Route53Client, check: Omit<SlotCheck, 'id'>): Promise<string> {
  const { slot, address, port, path, intervalSeconds, failureThreshold } = check;
  const { HealthCheck } = await route53.send(
    new CreateHealthCheckCommand({
      CallerReference: `${slot}-${address}-${port}`,
      HealthCheckConfig: {
        Type: 'HTTP',
        IPAddress: address,
        Port: port,
        ResourcePath: path,
        RequestInterval: intervalSeconds,
        FailureThreshold: failureThreshold,
      },
    }),
  );
  return HealthCheck?.Id as string;
}

const bareId = (id: string): string => id.replace('/hostedzone/', '');
