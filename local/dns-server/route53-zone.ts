/** The records of a Route 53 hosted zone, real or emulated, kept up to date by polling its API. */
import {
  ListResourceRecordSetsCommand,
  type ListResourceRecordSetsCommandInput,
  type ListResourceRecordSetsCommandOutput,
  type ResourceRecordSet,
  type Route53Client,
} from '@aws-sdk/client-route-53';
import { pause } from './pause.ts';
import { isZoneRecordType, parseRdata, unescapeOctal } from './rdata.ts';
import { canonicalName, type RecordSet, type Zone } from './zone.ts';

export interface Route53ZoneOptions {
  client: Route53Client;
  hostedZoneId: string;
  refreshMs?: number;
  /** A refresh failed and the last good copy stays in use; or the records hold what cannot be served. */
  onProblem: (problem: Error) => void;
}

export interface Route53Zone {
  /** The last good copy. */
  zone(): Zone;
  /** Stops refreshing; resolves when no request is under way. */
  close(): Promise<void>;
}

/** The hosted zone could not be read; `cause` is the API's error. */
export class ZoneLoadError extends Error {
  readonly hostedZoneId: string;

  constructor(hostedZoneId: string, why: string, cause?: unknown) {
    super(`hosted zone ${hostedZoneId} cannot be read: ${why}`, { cause });
    this.name = 'ZoneLoadError';
    this.hostedZoneId = hostedZoneId;
  }
}

/** A record set that this server does not serve: an alias, a type or a routing policy beyond its scope. */
export class UnsupportedRecordError extends Error {
  constructor(recordSet: ResourceRecordSet, why: string) {
    super(`record ${recordSet.Type} ${recordSet.Name} is not served: ${why}`);
    this.name = 'UnsupportedRecordError';
  }
}

/**
 * Reads the zone, then again every `refreshMs` (default 1000).
 * @throws ZoneLoadError when the first reading fails
 */
export async function startRoute53Zone(options: Route53ZoneOptions): Promise<Route53Zone> {
  const stop = new AbortController();
  const report = onceWhileItLasts(options.onProblem);
  const load = async (): Promise<Zone> => {
    const { zone, problems } = await readZone(options.client, options.hostedZoneId, stop.signal);
    report(problems);
    return zone;
  };
  let zone = await load();

  const refreshing = (async () => {
    while (!stop.signal.aborted) {
      await pause(options.refreshMs ?? 1_000, stop.signal);
      if (stop.signal.aborted) return;
      try {
        zone = await load();
      } catch (error) {
        if (!stop.signal.aborted) report([error as Error]);
      }
    }
  })();

  return {
    zone: () => zone,
    async close() {
      stop.abort();
      await refreshing;
    },
  };
}

/** Passes each problem on when it appears, not again every second while it stays. */
function onceWhileItLasts(onProblem: (problem: Error) => void): (problems: Error[]) => void {
  let known = new Set<string>();
  return (problems) => {
    for (const problem of problems) if (!known.has(problem.message)) onProblem(problem);
    known = new Set(problems.map(({ message }) => message));
  };
}

async function readZone(
  client: Route53Client,
  hostedZoneId: string,
  stop: AbortSignal,
): Promise<{ zone: Zone; problems: Error[] }> {
  const problems: Error[] = [];
  const recordSets: RecordSet[] = [];
  for (const listed of await listRecordSets(client, hostedZoneId, stop)) {
    try {
      recordSets.push(toRecordSet(listed));
    } catch (error) {
      problems.push(error as Error);
    }
  }
  const apex = recordSets.find(({ type }) => type === 'SOA');
  if (!apex) throw new ZoneLoadError(hostedZoneId, 'it has no SOA record');
  return { zone: { origin: apex.name, recordSets }, problems };
}

/**
 * All record sets of a hosted zone.
 * @throws ZoneLoadError
 */
export async function listRecordSets(
  client: Route53Client,
  hostedZoneId: string,
  stop?: AbortSignal,
): Promise<ResourceRecordSet[]> {
  const listed: ResourceRecordSet[] = [];
  let page: ListResourceRecordSetsCommandInput | undefined = { HostedZoneId: hostedZoneId };
  try {
    while (page) {
      const result: ListResourceRecordSetsCommandOutput = await client.send(
        new ListResourceRecordSetsCommand(page),
        { abortSignal: stop },
      );
      listed.push(...(result.ResourceRecordSets ?? []));
      page = result.IsTruncated
        ? {
            HostedZoneId: hostedZoneId,
            StartRecordName: result.NextRecordName,
            StartRecordType: result.NextRecordType,
            StartRecordIdentifier: result.NextRecordIdentifier,
          }
        : undefined;
    }
  } catch (error) {
    throw new ZoneLoadError(hostedZoneId, (error as Error).message, error);
  }
  return listed;
}

/** @throws UnsupportedRecordError, RdataError */
function toRecordSet(listed: ResourceRecordSet): RecordSet {
  const type = listed.Type ?? '';
  if (!isZoneRecordType(type)) throw new UnsupportedRecordError(listed, `type ${type}`);
  if (listed.AliasTarget) throw new UnsupportedRecordError(listed, 'alias');
  if (listed.SetIdentifier !== undefined && !listed.MultiValueAnswer) {
    throw new UnsupportedRecordError(listed, 'routing policy other than simple and multivalue answer');
  }
  return {
    name: canonicalName(unescapeOctal(listed.Name ?? '')),
    type,
    ttlSeconds: listed.TTL ?? 0,
    values: (listed.ResourceRecords ?? []).map(({ Value = '' }) => parseRdata(type, Value)),
    ...(listed.SetIdentifier !== undefined && {
      multivalue: {
        setIdentifier: listed.SetIdentifier,
        ...(listed.HealthCheckId !== undefined && { healthCheckId: listed.HealthCheckId }),
      },
    }),
  } as RecordSet;
}
