/**
 * The SRV records of this region's slots in Route 53, as they stand, and the one field of them that steering changes.
 *
 * A record set is written back as it was read but for its weight: it belongs to the stack that made it.
 */
import {
  type Change,
  ChangeResourceRecordSetsCommand,
  GetChangeCommand,
  ListHostedZonesByNameCommand,
  ListResourceRecordSetsCommand,
  NoSuchChange,
  type ResourceRecordSet,
  type Route53Client,
} from '@aws-sdk/client-route-53';
import type { SteeredZone } from './environment.ts';

/** One record of a slot. */
export interface SlotRecord {
  /** Without a closing dot. */
  name: string;
  slot: string;
  weight: number;
  /** As Route 53 gave it. */
  recordSet: ResourceRecordSet;
}

/** There is no hosted zone to steer in, or it is not clear which. */
export class HostedZoneError extends Error {
  readonly zone: string;

  constructor(zone: string, found: number) {
    super(
      found === 0
        ? `there is no public hosted zone ${zone}: deploy the dns stack of the deployment's first region`
        : `there are ${found} public hosted zones ${zone}: write the id of the right one as dns.hostedZoneId`,
    );
    this.name = 'HostedZoneError';
    this.zone = zone;
  }
}

/**
 * Id of the hosted zone.
 * @throws HostedZoneError, the SDK's errors
 */
export async function findHostedZone(
  route53: Route53Client,
  { zone, hostedZoneId }: SteeredZone,
): Promise<string> {
  if (hostedZoneId) return hostedZoneId;
  const { HostedZones = [] } = await route53.send(new ListHostedZonesByNameCommand({ DNSName: zone }));
  const found = HostedZones.filter(({ Name, Config }) => Name === `${zone}.` && !Config?.PrivateZone);
  const [id] = found.map(({ Id }) => Id?.replace('/hostedzone/', ''));
  if (found.length !== 1 || !id) throw new HostedZoneError(zone, found.length);
  return id;
}

/** A record that the plan has and the zone has not, or not in a form that can be steered. */
export interface MissingRecord {
  name: string;
  slot: string;
}

/**
 * The records of `names`, and which of them are missing.
 * @throws the SDK's errors
 */
export async function readSlotRecords(
  route53: Route53Client,
  hostedZoneId: string,
  names: SteeredZone['names'],
): Promise<{ records: SlotRecord[]; missing: MissingRecord[] }> {
  const recordSets = await readSrvRecordSets(route53, hostedZoneId, Object.keys(names));
  const records: SlotRecord[] = [];
  const missing: MissingRecord[] = [];
  for (const [name, slots] of Object.entries(names))
    for (const slot of slots) {
      const recordSet = recordSets.get(name)?.find(({ SetIdentifier }) => SetIdentifier === slot);
      const weight = recordSet && weightOf(recordSet);
      if (recordSet && weight !== undefined) records.push({ name, slot, weight, recordSet });
      else missing.push({ name, slot });
    }
  return { records, missing };
}

/**
 * The SRV record sets of these names. A page holds up to 300 records, and in a zone of ours those of many names: a name is
 * asked for only if no page has shown it whole. A page that begins with a name does, as it has at most 100 multivalue answers
 * (Route 53 Developer Guide, "Quotas").
 */
async function readSrvRecordSets(
  route53: Route53Client,
  hostedZoneId: string,
  names: string[],
): Promise<Map<string, ResourceRecordSet[]>> {
  const whole = new Map<string, ResourceRecordSet[]>();
  for (const name of names) {
    if (whole.has(name)) continue;
    const page = await route53.send(
      new ListResourceRecordSetsCommand({
        HostedZoneId: hostedZoneId,
        StartRecordName: name,
        StartRecordType: 'SRV',
      }),
    );
    const found = Map.groupBy(
      (page.ResourceRecordSets ?? []).filter(({ Type }) => Type === 'SRV'),
      ({ Name = '' }) => withoutDot(Name),
    );
    // The page may end amid the records of a name.
    if (page.IsTruncated && page.NextRecordType === 'SRV')
      found.delete(withoutDot(page.NextRecordName ?? ''));
    for (const [other, recordSets] of found) whole.set(other, recordSets);
    if (!whole.has(name)) whole.set(name, []);
  }
  return whole;
}

const withoutDot = (name: string): string => name.replace(/\.$/, '');

/** `priority weight port target`. */
const SRV_VALUE = /^(\s*\d+\s+)(\d+)(\s+\d+\s+\S+\s*)$/;

/** The weight of a multivalue answer with its one value; undefined for any other kind of record. */
function weightOf({ MultiValueAnswer, ResourceRecords = [] }: ResourceRecordSet): number | undefined {
  if (!MultiValueAnswer || ResourceRecords.length !== 1) return undefined;
  const weight = SRV_VALUE.exec(ResourceRecords[0]?.Value ?? '')?.[2];
  return weight === undefined ? undefined : Number(weight);
}

const withWeight = ({ recordSet }: SlotRecord, weight: number): ResourceRecordSet => ({
  ...recordSet,
  ResourceRecords: recordSet.ResourceRecords?.map(({ Value = '' }) => ({
    Value: Value.replace(SRV_VALUE, `$1${weight}$3`),
  })),
});

/**
 * A batch takes 1,000 records and 32,000 characters of values, and an UPSERT counts twice
 * (Route 53 Developer Guide, "Quotas": ChangeResourceRecordSets).
 */
const MAX_CHANGES = 500;
const MAX_VALUE_CHARACTERS = 16_000;

export interface RecordChange {
  record: SlotRecord;
  weight: number;
}

/** As many of the changes as one batch takes; the others are still due in the next run. */
export function fittingBatch<T extends RecordChange>(changes: readonly T[]): T[] {
  let characters = 0;
  return changes.slice(0, MAX_CHANGES).filter(({ record, weight }) => {
    const value = withWeight(record, weight).ResourceRecords?.[0]?.Value ?? '';
    characters += value.length;
    return characters <= MAX_VALUE_CHARACTERS;
  });
}

/**
 * Writes all changes or none.
 * @param comment for those who read the change history
 * @returns id of the change
 * @throws the SDK's errors
 */
export async function writeWeights(
  route53: Route53Client,
  hostedZoneId: string,
  changes: readonly RecordChange[],
  comment: string,
): Promise<string | undefined> {
  const { ChangeInfo } = await route53.send(
    new ChangeResourceRecordSetsCommand({
      HostedZoneId: hostedZoneId,
      ChangeBatch: {
        Comment: comment,
        Changes: changes.map(
          ({ record, weight }): Change => ({
            Action: 'UPSERT',
            ResourceRecordSet: withWeight(record, weight),
          }),
        ),
      },
    }),
  );
  return ChangeInfo?.Id?.replace('/change/', '');
}

/**
 * Whether a change is not at all of Route 53's servers yet.
 * @throws the SDK's errors
 */
export async function isPending(route53: Route53Client, changeId: string): Promise<boolean> {
  try {
    const { ChangeInfo } = await route53.send(new GetChangeCommand({ Id: changeId }));
    return ChangeInfo?.Status === 'PENDING';
  } catch (error) {
    if (error instanceof NoSuchChange) return false; // as old as that
    throw error;
  }
}
