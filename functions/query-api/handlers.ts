/** What each operation of the API does. Other tenants' recordings are not there for a caller, in any of them. */
import type { S3Client } from '@aws-sdk/client-s3';
import { type Caller, seesTenant } from '../../core/access.ts';
import type { IndexedRecording } from '../../core/index-items.ts';
import type { Retention } from '../../core/retention.ts';
import type { IndexTable } from '../shared/aws-clients.ts';
import { isFinal, readDeletion } from '../shared/fates.ts';
import type { Handlers } from './api.ts';
import { findCall } from './calls.ts';
import { encodeCursor } from './cursor.ts';
import { describeFate, RecordingHeldError, RecordingLockedError, requestDeletion } from './deletions.ts';
import type { FateDependencies } from './fate-access.ts';
import {
  DeletionBegunError,
  HoldReleasedError,
  holdCall,
  holdRecording,
  NoSuchHoldError,
  releaseCall,
  releaseRecording,
} from './holds.ts';
import { openApiDocument } from './openapi.ts';
import { auditPlay } from './play-audit.ts';
import { playbackAddress } from './playback.ts';
import { ProblemError } from './problems.ts';
import { parametersOf, recordingsRequest } from './requests.ts';
import { findCopies, findRecording, searchRecordings } from './search.ts';

export interface HandlerDependencies {
  index: IndexTable;
  /** S3 client for the buckets of a region. */
  s3For: (region: string) => S3Client;
  /** This function's region: its copy is the nearest. */
  region: string;
  /** All regions of the deployment. */
  regions: string[];
  retention: Retention;
  logger: FateDependencies['logger'];
}

export function createHandlers(dependencies: HandlerDependencies): Handlers {
  const { index, s3For, region } = dependencies;
  const fates = (now: Date): FateDependencies => ({ ...dependencies, now: () => now });
  return {
    searchRecordings: async ({ caller, query: asked, now }) => {
      const { query, page } = recordingsRequest(asked, now);
      requireTenant(caller, query.tenant);
      const { items, last } = await searchRecordings(index, query, page, caller.tenants);
      const nextCursor = last && encodeCursor({ parameters: parametersOf(query), after: last });
      return { body: { items, ...(nextCursor && { nextCursor }) } };
    },

    getRecording: async ({ caller, path: { id }, now }) => {
      const [recording, copies] = await Promise.all([
        visibleRecording(index, caller, id),
        findCopies(index, id),
      ]);
      return { body: { ...recording, copies, ...(await describeFate(fates(now), recording)) } };
    },

    getAudio: async ({ caller, path: { id }, now }) => {
      const [recording, copies] = await Promise.all([
        visibleRecording(index, caller, id),
        findCopies(index, id),
      ]);
      const deletion = await readDeletion(index, id);
      if (isFinal(deletion))
        throw new ProblemError(404, `recording ${id} is being deleted (${deletion.why})`);
      const address = await playbackAddress({ s3For, region }, recording, copies, now);
      if (address) {
        await auditPlay(fates(now), caller, recording, address.region);
        return { body: address };
      }
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

    holdRecording: async ({ caller, path: { id }, body, now }) => {
      const holds = await orConflict(holdRecording(fates(now), caller, id, body));
      if (holds) return { body: { holds } };
      throw noRecording(id);
    },

    releaseRecording: async ({ caller, path: { id }, query, now }) => {
      const holds = await orConflict(releaseRecording(fates(now), caller, id, query));
      if (holds) return { body: { holds } };
      throw noRecording(id);
    },

    holdCall: async ({ caller, path: { id }, body, now }) => {
      const held = await orConflict(holdCall(fates(now), caller, id, body));
      if (held) return { body: held };
      throw noCall(id);
    },

    releaseCall: async ({ caller, path: { id }, query, now }) => {
      const holds = await orConflict(releaseCall(fates(now), caller, id, query));
      if (holds) return { body: { holds } };
      throw noCall(id);
    },

    deleteRecording: async ({ caller, path: { id }, query: { reason }, now }) => {
      const state = await orConflict(requestDeletion(fates(now), caller, id, reason));
      if (state) return { status: 202, body: state };
      throw noRecording(id);
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

const noRecording = (id: string) =>
  new ProblemError(404, `there is no recording ${id}, or it is not indexed yet`);

const noCall = (id: string) =>
  new ProblemError(404, `there is no recording of a call ${id}, or it is not indexed yet`);

/** What hold and deletion refuse each other. @throws ProblemError 409, or 404 without the hold to be released */
async function orConflict<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (CONFLICTS.some((kind) => error instanceof kind))
      throw new ProblemError(409, (error as Error).message);
    if (error instanceof NoSuchHoldError) throw new ProblemError(404, error.message);
    throw error;
  }
}

const CONFLICTS = [DeletionBegunError, HoldReleasedError, RecordingHeldError, RecordingLockedError];

/** Whether such a tenant exists is not said. */
function requireTenant(caller: Caller, tenant: string | undefined): void {
  if (tenant !== undefined && !seesTenant(caller, tenant))
    throw new ProblemError(403, `tenant=${tenant} is none of the tenants of ${caller.id}`);
}
