/** What each operation of the API does. Other tenants' recordings are not there for a caller, in any of them. */
import type { S3Client } from '@aws-sdk/client-s3';
import { type Caller, seesTenant } from '../../core/access.ts';
import type { IndexedRecording } from '../../core/index-items.ts';
import type { IndexTable } from '../shared/aws-clients.ts';
import type { Handlers } from './api.ts';
import { findCall } from './calls.ts';
import { encodeCursor } from './cursor.ts';
import { openApiDocument } from './openapi.ts';
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
}

export function createHandlers({ index, s3For, region }: HandlerDependencies): Handlers {
  return {
    searchRecordings: async ({ caller, query: asked, now }) => {
      const { query, page } = recordingsRequest(asked, now);
      requireTenant(caller, query.tenant);
      const { items, last } = await searchRecordings(index, query, page, caller.tenants);
      const nextCursor = last && encodeCursor({ parameters: parametersOf(query), after: last });
      return { body: { items, ...(nextCursor && { nextCursor }) } };
    },

    getRecording: async ({ caller, path: { id } }) => {
      const [recording, copies] = await Promise.all([
        visibleRecording(index, caller, id),
        findCopies(index, id),
      ]);
      return { body: { ...recording, copies } };
    },

    getAudio: async ({ caller, path: { id }, now }) => {
      const [recording, copies] = await Promise.all([
        visibleRecording(index, caller, id),
        findCopies(index, id),
      ]);
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
