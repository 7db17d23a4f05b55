/** Holds and deletion as operations of the API. */
import type { Handlers } from './api.ts';
import { RecordingHeldError, RecordingLockedError, requestDeletion } from './deletions.ts';
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
import { noCall, noRecording, ProblemError } from './problems.ts';

export type FateHandlers = Pick<
  Handlers,
  'holdRecording' | 'releaseRecording' | 'holdCall' | 'releaseCall' | 'deleteRecording'
>;

export const createFateHandlers = (fates: (now: Date) => FateDependencies): FateHandlers => ({
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
});

/** What hold and deletion refuse each other. */
const CONFLICTS = [DeletionBegunError, HoldReleasedError, RecordingHeldError, RecordingLockedError];

/** @throws ProblemError 409, or 404 without the hold that is to be released */
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
