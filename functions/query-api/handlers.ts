/** What each operation of the API does. Other tenants' recordings are not there for a caller, in any of them. */
import type { Logger } from '@aws-lambda-powertools/logger';
import type { S3Client } from '@aws-sdk/client-s3';
import { type Caller, seesTenant } from '../../core/access.ts';
import type { IndexedRecording, RecordingCopy } from '../../core/index-items.ts';
import type { IndexTable } from '../shared/aws-clients.ts';
import { type Answer, type Handlers, requireRole } from './api.ts';
import { findCall } from './calls.ts';
import { encodeCursor } from './cursor.ts';
import { type FleetDependencies, readFleet } from './fleet.ts';
import { healthCheck } from './health.ts';
import { openApiDocument } from './openapi.ts';
import { VCON_TYPE } from './operations.ts';
import { NoCopyAnswersError, playbackAddress } from './playback.ts';
import { ProblemError } from './problems.ts';
import { parametersOf, recordingsRequest } from './requests.ts';
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
  logger: Logger;
}

export function createHandlers({
  index,
  s3For,
  region,
  bucket,
  fleet,
  logger,
}: HandlerDependencies): Handlers {
  const health = healthCheck({ index, s3: s3For(region), bucket });

  /** A recording that the caller may know of, and its copies. */
  const find = async (caller: Caller, id: string) => {
    const [recording, copies] = await Promise.all([
      visibleRecording(index, caller, id),
      findCopies(index, id),
    ]);
    return { recording, copies };
  };

  const formats = {
    async json(_: Caller, recording: IndexedRecording, copies: RecordingCopy[]): Promise<Answer> {
      const found = await nearestManifest({ s3For, region, logger }, recording, copies);
      const media = found && mediaDetail(recording, found.manifest, found.region);
      return { body: { ...recording, timeline: timelineOf(recording), ...(media && { media }), copies } };
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
      const playback = await playbackAddress({ s3For, region }, recording, copies, now);
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
      const address = await playbackAddress({ s3For, region }, recording, copies, now);
      if (address) return { body: address };
      throw new ProblemError(
        404,
        `recording ${id} (${recording.status}) holds no audio: ${recording.statusReasons}`,
      );
    },

    getCall: async ({ caller, path: { id } }) => {
      const call = await findCall(index, id, caller.tenants);
      if (call) return { body: call };
      throw new ProblemError(404, `there is no recording of a call ${id}, or it is not indexed yet`);
    },

    getFleet: async ({ now }) => ({ body: await readFleet({ ...fleet, region }, now) }),

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
  throw new ProblemError(404, `there is no recording ${id}, or it is not indexed yet`);
}

/** Whether such a tenant exists is not said. */
function requireTenant(caller: Caller, tenant: string | undefined): void {
  if (tenant !== undefined && !seesTenant(caller, tenant))
    throw new ProblemError(403, `tenant=${tenant} is none of the tenants of ${caller.id}`);
}
