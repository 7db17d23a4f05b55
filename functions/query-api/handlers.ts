/** What each operation of the API does. Other tenants' recordings are not there for a caller, in any of them. */
import type { Logger } from '@aws-lambda-powertools/logger';
import type { S3Client } from '@aws-sdk/client-s3';
import { type Caller, seesTenant } from '../../core/access.ts';
import type { IndexedRecording, RecordingCopy } from '../../core/index-items.ts';
import type { ReplicationPair } from '../../core/replication-report.ts';
import type { Retention } from '../../core/retention.ts';
import { listAudit } from '../shared/audit.ts';
import type { IndexTable } from '../shared/aws-clients.ts';
import { isFinal, readDeletion } from '../shared/fates.ts';
import { type Answer, type Handlers, requireRole } from './api.ts';
import { auditRequest } from './audit-requests.ts';
import { findCall } from './calls.ts';
import { encodeCursor } from './cursor.ts';
import { describeFate } from './deletions.ts';
import type { FateDependencies } from './fate-access.ts';
import { createFateHandlers } from './fate-handlers.ts';
import { type FleetDependencies, readFleet } from './fleet.ts';
import { healthCheck } from './health.ts';
import { openApiDocument } from './openapi.ts';
import { VCON_TYPE } from './operations.ts';
import { auditPlay } from './play-audit.ts';
import { NoCopyAnswersError, playbackAddress } from './playback.ts';
import { noCall, noRecording, ProblemError } from './problems.ts';
import { parametersOf } from './range-request.ts';
import { readReplication } from './replication.ts';
import { recordingsRequest } from './requests.ts';
import { findCopies, findRecording, searchRecordings } from './search.ts';
import { mediaDetail, nearestManifest } from './stored-manifest.ts';
import { timelineOf } from './timeline.ts';
import { toVcon } from './vcon.ts';

export interface HandlerDependencies {
  index: IndexTable;
  /** S3 client for the buckets of a region. */
  s3For: (region: string) => S3Client;
  /** This function's region: its copy is the nearest. */
  region: string;
  /** The region's own, for its health. */
  bucket: string;
  fleet: Omit<FleetDependencies, 'region'>;
  replicationPairs: ReplicationPair[];
  /** All regions of the deployment. */
  regions: string[];
  retention: Retention;
  logger: Logger;
}

export function createHandlers(dependencies: HandlerDependencies): Handlers {
  const { index, s3For, region, bucket, fleet, replicationPairs, logger } = dependencies;
  const fates = (now: Date): FateDependencies => ({ ...dependencies, now: () => now });
  const health = healthCheck({ index, s3: s3For(region), bucket });

  /** A recording that the caller may know of, and its copies. */
  const find = async (caller: Caller, id: string) => {
    const [recording, copies] = await Promise.all([
      visibleRecording(index, caller, id),
      findCopies(index, id),
    ]);
    return { recording, copies };
  };

  /** Where the audio can be fetched, once the audit has it; not of a recording that is being deleted. */
  const play = async (caller: Caller, recording: IndexedRecording, copies: RecordingCopy[], now: Date) => {
    const { recordingId } = recording;
    const deletion = await readDeletion(index, recordingId);
    if (isFinal(deletion))
      throw new ProblemError(404, `recording ${recordingId} is being deleted (${deletion.why})`);
    const address = await playbackAddress({ s3For, region }, recording, copies, now);
    if (address) await auditPlay(fates(now), caller, recording, address.region);
    return address;
  };

  const formats = {
    async json(_: Caller, recording: IndexedRecording, copies: RecordingCopy[], now: Date): Promise<Answer> {
      const [found, fate] = await Promise.all([
        nearestManifest({ s3For, region, logger }, recording, copies),
        describeFate(fates(now), recording),
      ]);
      const media = found && mediaDetail(recording, found.manifest, found.region);
      return {
        body: { ...recording, timeline: timelineOf(recording), ...(media && { media }), copies, ...fate },
      };
    },

    /** Has the keys that were pressed, which are content. */
    async manifest(caller: Caller, recording: IndexedRecording, copies: RecordingCopy[]): Promise<Answer> {
      requireRole(caller, 'listen');
      const found = await nearestManifest({ s3For, region, logger }, recording, copies);
      if (found) return { body: found.manifest };
      throw new NoCopyAnswersError(recording.recordingId, ['no manifest can be read']);
    },

    async vcon(
      caller: Caller,
      recording: IndexedRecording,
      copies: RecordingCopy[],
      now: Date,
    ): Promise<Answer> {
      requireRole(caller, 'listen');
      const playback = await play(caller, recording, copies, now);
      return { body: toVcon(recording, playback, now), mediaType: VCON_TYPE };
    },
  };

  return {
    searchRecordings: async ({ caller, query: asked, now }) => {
      const { query, page } = recordingsRequest(asked, now);
      requireTenant(caller, query.tenant);
      const { items, last } = await searchRecordings(index, query, page, caller.tenants);
      const nextCursor = last && encodeCursor({ parameters: parametersOf(query), after: last });
      return { body: { items, ...(nextCursor && { nextCursor }) } };
    },

    getRecording: async ({ caller, path: { id }, query: { format = 'json' }, now }) => {
      const { recording, copies } = await find(caller, id);
      return formats[format](caller, recording, copies, now);
    },

    getAudio: async ({ caller, path: { id }, now }) => {
      const { recording, copies } = await find(caller, id);
      const address = await play(caller, recording, copies, now);
      if (address) return { body: address };
      throw new ProblemError(
        404,
        `recording ${id} (${recording.status}) holds no audio: ${recording.statusReasons}`,
      );
    },

    getCall: async ({ caller, path: { id } }) => {
      const call = await findCall(index, id, caller.tenants);
      if (call) return { body: call };
      throw noCall(id);
    },

    ...createFateHandlers(fates),

    listAudit: async ({ caller, query: asked, now }) => {
      const { query, page } = auditRequest(asked, caller, now);
      requireTenant(caller, query.tenant);
      const { entries, last } = await listAudit(index, { ...query, ...page });
      const nextCursor = last && encodeCursor({ parameters: parametersOf(query), after: last });
      return { body: { items: entries, ...(nextCursor && { nextCursor }) } };
    },

    getFleet: async ({ now }) => ({ body: await readFleet({ ...fleet, region }, now) }),

    getReplication: async () => ({ body: { pairs: await readReplication(index, replicationPairs) } }),

    getHealth: async ({ now }) => {
      const body = await health(now);
      return { status: body.status === 'healthy' ? 200 : 503, body };
    },

    getOpenApi: async () => ({ body: openApiDocument() }),
  };
}

/**
 * A recording that the caller may know of.
 * @throws ProblemError 404, the same for one that is not there and for one of another tenant
 */
export async function visibleRecording(
  index: IndexTable,
  caller: Caller,
  id: string,
): Promise<IndexedRecording> {
  const recording = await findRecording(index, id);
  if (recording && seesTenant(caller, recording.tenant)) return recording;
  throw noRecording(id);
}

/** Whether such a tenant exists is not said. */
function requireTenant(caller: Caller, tenant: string | undefined): void {
  if (tenant !== undefined && !seesTenant(caller, tenant))
    throw new ProblemError(403, `tenant=${tenant} is none of the tenants of ${caller.id}`);
}
