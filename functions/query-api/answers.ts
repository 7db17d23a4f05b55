/** What the API answers with, as schemas: the OpenAPI document describes answers by them. */
import { z } from 'zod';
import { deletionSchema, holdFactSchema } from '../../core/fate-items.ts';
import { recordingSummarySchema } from '../../core/index-entries.ts';
import { indexedRecordingSchema, recordingCopySchema } from '../../core/index-items.ts';
import { problemSchema } from './problems.ts';

export const recordingPageSchema = z.object({
  items: z.array(recordingSummarySchema).describe('Newest first. May be few, even none, with more to come.'),
  nextCursor: z.string().optional().describe('There may be more: ask for it by this.'),
});

export const holdSchema = holdFactSchema
  .extend({ released: holdFactSchema.optional() })
  .describe('A legal hold as it was set, with its release, if it has been released.');

export const holdsSchema = z.object({ holds: z.array(holdSchema) });

export const heldCallSchema = holdsSchema.extend({
  recordings: z.array(z.string()).describe('Recordings of the call that are held by it; later ones will be.'),
  tooLate: z
    .array(z.string())
    .describe(
      'Recordings whose deletion had begun, or was being decided: the hold may be too late for them.',
    ),
});
export type HeldCall = z.infer<typeof heldCallSchema>;

export const deletionStateSchema = z.object({
  state: z
    .enum(['requested', 'deleting', 'deleted'])
    .describe(
      '`requested`: a hold still stops it; `deleting`: nothing stops it; `deleted`: proved in every region.',
    ),
  ...deletionSchema.pick({ why: true, by: true, reason: true, at: true, deletedAt: true }).shape,
  regions: deletionSchema.shape.regions.optional().describe('By region, once it has begun.'),
});
export type DeletionState = z.infer<typeof deletionStateSchema>;

export const recordingDetailSchema = indexedRecordingSchema.extend({
  copies: z.array(recordingCopySchema),
  holds: z.array(holdSchema).describe('On the recording and on its call, released ones too.'),
  isHeld: z.boolean().describe('Whether any of them holds.'),
  deletion: deletionStateSchema.optional(),
});

export const playbackSchema = z.object({
  url: z.string().describe('Presigned. `Range` works.'),
  expiresAt: z.iso.datetime(),
  contentType: z.string(),
  sha256: z.string().describe('Of the whole file, in hex, to check the download against.'),
  bytes: z.int(),
  region: z.string().describe('Of the copy that is played.'),
});
export type PlaybackAddress = z.infer<typeof playbackSchema>;

export const callSchema = z.object({
  correlationIds: z
    .array(z.string())
    .describe('Every id by which the recordings of the call know each other.'),
  recordings: z.array(recordingSummarySchema).describe('In order of their start.'),
  truncated: z.boolean().describe('Whether there are more than can be answered at once.'),
});
export type FoundCall = z.infer<typeof callSchema>;

/** Schemas that have a name in the OpenAPI document. */
export const COMPONENTS = {
  Problem: problemSchema,
  RecordingSummary: recordingSummarySchema,
  RecordingPage: recordingPageSchema,
  Copy: recordingCopySchema,
  Recording: recordingDetailSchema,
  Playback: playbackSchema,
  Call: callSchema,
  Hold: holdSchema,
  Holds: holdsSchema,
  HeldCall: heldCallSchema,
  Deletion: deletionStateSchema,
} as const satisfies Record<string, z.ZodType>;
