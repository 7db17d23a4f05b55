/**
 * The operations of the API: one entry each, from which the resources of API Gateway (`api-stack.ts`), the routing and the
 * checks of requests (`api.ts`) and the OpenAPI document (`openapi.ts`) follow. What an operation does is in `handlers.ts`,
 * under the same name. No SDK is imported here: the CDK app reads this table too.
 */
import { z } from 'zod';
import type { Role } from '../../core/access.ts';
import { holdIdSchema } from '../../core/fate-items.ts';
import { manifestSchema } from '../../core/manifest.ts';
import {
  auditPageSchema,
  callSchema,
  deletionStateSchema,
  fleetSchema,
  healthSchema,
  heldCallSchema,
  holdsSchema,
  playbackSchema,
  recordingDetailSchema,
  recordingPageSchema,
  replicationSchema,
  vconSchema,
} from './answers.ts';
import { auditParameters } from './audit-requests.ts';
import { oneOf, text } from './parameters.ts';
import type { ProblemStatus } from './problems.ts';
import { searchParameters } from './requests.ts';

export const METHODS = ['GET', 'PUT', 'POST', 'DELETE'] as const;
export type Method = (typeof METHODS)[number];

export interface Operation {
  method: Method;
  /** As API Gateway and OpenAPI write it; parameters are whole segments. */
  path: `/${string}`;
  summary: string;
  /** For the OpenAPI document. */
  notes?: string;
  /**
   * Who may: a role; `caller`: anybody who has signed in; `public`: anybody at all. A role but `operate` is for recordings,
   * and nothing to somebody without a tenant.
   */
  access: Role | 'caller' | 'public';
  pathParameters: z.ZodObject;
  /** Strict: an unknown parameter is refused. */
  query: z.ZodObject;
  /** JSON; none is read when absent. */
  body?: z.ZodType;
  /** By status and media type; without a media type there is no content. */
  answers: Readonly<Record<number, Readonly<Record<string, z.ZodType>>>>;
  /** Those that only this operation has; `problemsOf` adds what all have. */
  problems: readonly ProblemStatus[];
}

const JSON_TYPE = 'application/json';
export const VCON_TYPE = 'application/vcon+json';

export const RECORDING_FORMATS = ['json', 'manifest', 'vcon'] as const;
const none = z.strictObject({});

const recordingId = z.strictObject({ id: z.string().describe('Id of a recording (a ULID).') });
const callId = z.strictObject({
  id: z.string().describe('`callId` or any correlation id, percent-encoded.'),
});

const holdId = holdIdSchema.describe('Chosen by the caller: a matter, for instance. It is what is released.');
const reason = text.describe('For the audit.');
const holdBody = z.strictObject({ holdId, reason });
const releaseQuery = z.strictObject({ holdId, reason });

export const OPERATIONS = {
  searchRecordings: {
    method: 'GET',
    path: '/recordings',
    summary: 'Recordings that fit, newest first, in pages',
    access: 'search',
    pathParameters: none,
    query: searchParameters,
    answers: { 200: { [JSON_TYPE]: recordingPageSchema } },
    problems: [],
  },
  getRecording: {
    method: 'GET',
    path: '/recordings/{id}',
    summary: 'One recording, who was there when, its gaps and its copies; or its manifest; or a vCon of it',
    notes: 'The manifest and the vCon need the role `listen` too.',
    access: 'search',
    pathParameters: recordingId,
    query: z.strictObject({
      format: oneOf(RECORDING_FORMATS)
        .optional()
        .describe(
          '`json`, the default; `manifest`: the manifest itself; `vcon`: draft-ietf-vcon-vcon-core-04, audio by reference.',
        ),
    }),
    answers: {
      200: {
        [JSON_TYPE]: z.union([recordingDetailSchema, manifestSchema]),
        [VCON_TYPE]: vconSchema,
      },
    },
    problems: [404, 503],
  },
  getAudio: {
    method: 'GET',
    path: '/recordings/{id}/audio',
    summary: 'Where the audio of a recording can be fetched for ten minutes',
    access: 'listen',
    pathParameters: recordingId,
    query: none,
    answers: { 200: { [JSON_TYPE]: playbackSchema } },
    problems: [404, 503],
  },
  getCall: {
    method: 'GET',
    path: '/calls/{id}',
    summary: 'All recordings of one call, in order of their start',
    access: 'search',
    pathParameters: callId,
    query: none,
    answers: { 200: { [JSON_TYPE]: callSchema } },
    problems: [404],
  },
  holdRecording: {
    method: 'PUT',
    path: '/recordings/{id}/hold',
    summary: 'Puts a recording under legal hold; again with the same id changes nothing',
    access: 'hold',
    pathParameters: recordingId,
    query: none,
    body: holdBody,
    answers: { 200: { [JSON_TYPE]: holdsSchema } },
    problems: [404, 409],
  },
  releaseRecording: {
    method: 'DELETE',
    path: '/recordings/{id}/hold',
    summary: 'Releases a hold on a recording; others on it stay',
    access: 'hold',
    pathParameters: recordingId,
    query: releaseQuery,
    answers: { 200: { [JSON_TYPE]: holdsSchema } },
    problems: [404],
  },
  holdCall: {
    method: 'PUT',
    path: '/calls/{id}/hold',
    summary: 'Puts all recordings of a call under legal hold, also those that arrive later',
    access: 'hold',
    pathParameters: callId,
    query: none,
    body: holdBody,
    answers: { 200: { [JSON_TYPE]: heldCallSchema } },
    problems: [404, 409],
  },
  releaseCall: {
    method: 'DELETE',
    path: '/calls/{id}/hold',
    summary: 'Releases a hold on a call, by the id of the call by which it was set',
    access: 'hold',
    pathParameters: callId,
    query: releaseQuery,
    answers: { 200: { [JSON_TYPE]: holdsSchema } },
    problems: [404],
  },
  deleteRecording: {
    method: 'DELETE',
    path: '/recordings/{id}',
    summary: 'Asks for the deletion of a recording in every region; again changes nothing',
    access: 'delete',
    pathParameters: recordingId,
    query: z.strictObject({ reason }),
    answers: { 202: { [JSON_TYPE]: deletionStateSchema } },
    problems: [404, 409],
  },
  listAudit: {
    method: 'GET',
    path: '/audit',
    summary: "Who did what with a tenant's recordings: plays, holds, deletions, oldest first, in pages",
    access: 'hold',
    pathParameters: none,
    query: auditParameters,
    answers: { 200: { [JSON_TYPE]: auditPageSchema } },
    problems: [],
  },
  getFleet: {
    method: 'GET',
    path: '/fleet',
    summary: "The slots of this region: state, load, weight in DNS. Another region's API has its own",
    access: 'operate',
    pathParameters: none,
    query: none,
    answers: { 200: { [JSON_TYPE]: fleetSchema } },
    problems: [],
  },
  getReplication: {
    method: 'GET',
    path: '/replication',
    summary: 'Lag, backlog and damage of each pair of regions, as the last sweep of each has reported',
    access: 'operate',
    pathParameters: none,
    query: none,
    answers: { 200: { [JSON_TYPE]: replicationSchema } },
    problems: [],
  },
  getHealth: {
    method: 'GET',
    path: '/health',
    summary: "Whether this region's API can read the index and the storage of its region",
    access: 'public',
    pathParameters: none,
    query: none,
    answers: { 200: { [JSON_TYPE]: healthSchema }, 503: { [JSON_TYPE]: healthSchema } },
    problems: [],
  },
  getOpenApi: {
    method: 'GET',
    path: '/openapi.json',
    summary: 'This document',
    access: 'caller',
    pathParameters: none,
    query: none,
    answers: { 200: { [JSON_TYPE]: z.looseObject({ openapi: z.string() }) } },
    problems: [],
  },
} as const satisfies Record<string, Operation>;

export type Operations = typeof OPERATIONS;
export type OperationId = keyof Operations;

/** All operations, each with its name. */
export const operationList = (): (Operation & { operationId: OperationId })[] =>
  Object.entries(OPERATIONS).map(([operationId, operation]) => ({
    operationId: operationId as OperationId,
    ...operation,
  }));

/** Those of every operation: of the function, or of API Gateway before it, which has limits of its own. */
const COMMON_PROBLEMS: readonly ProblemStatus[] = [400, 429, 500, 502, 504];

/** Every problem that an operation may answer with. */
export function problemsOf({ access, body, problems }: Operation): ProblemStatus[] {
  const ofAccess: readonly ProblemStatus[] = access === 'public' ? [] : [401, 403];
  const ofBody: readonly ProblemStatus[] = body ? [415] : [];
  const all = [...COMMON_PROBLEMS, ...ofAccess, ...ofBody, ...problems];
  return [...new Set(all)].sort((one, other) => one - other);
}
