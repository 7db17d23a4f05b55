/** What the API answers with, as schemas: the OpenAPI document describes answers by them. */
import { z } from 'zod';
import { recordingSummarySchema } from '../../core/index-entries.ts';
import { indexedRecordingSchema, recordingCopySchema } from '../../core/index-items.ts';
import { problemSchema } from './problems.ts';

export const recordingPageSchema = z.object({
  items: z.array(recordingSummarySchema).describe('Newest first. May be few, even none, with more to come.'),
  nextCursor: z.string().optional().describe('There may be more: ask for it by this.'),
});

export const recordingDetailSchema = indexedRecordingSchema.extend({ copies: z.array(recordingCopySchema) });

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
} as const satisfies Record<string, z.ZodType>;
