/** What the API answers with, as schemas: the OpenAPI document describes answers by them. */
import { z } from 'zod';
import { auditEntrySchema } from '../../core/audit-items.ts';
import { deletionSchema, holdFactSchema } from '../../core/fate-items.ts';
import { loadReportSchema, SLOT_STATES } from '../../core/fleet.ts';
import { recordingSummarySchema } from '../../core/index-entries.ts';
import { indexedRecordingSchema, recordingCopySchema } from '../../core/index-items.ts';
import {
  GAP_CAUSES,
  gapSchema,
  HOLD_CAUSES,
  manifestSchema,
  transferSchema,
  unlistedGapSchema,
} from '../../core/manifest.ts';
import { replicationReportSchema } from '../../core/replication-report.ts';
import { problemSchema } from './problems.ts';

export const recordingPageSchema = z.object({
  items: z.array(recordingSummarySchema).describe('Newest first. May be few, even none, with more to come.'),
  nextCursor: z.string().optional().describe('There may be more: ask for it by this.'),
});

export const auditPageSchema = z.object({
  items: z.array(auditEntrySchema).describe('Oldest first.'),
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

const timelineEntrySchema = z.object({
  participantId: z.string(),
  fromMs: z.number(),
  toMs: z.number(),
});
export type TimelineEntry = z.infer<typeof timelineEntrySchema>;

const streamLabel = z.string();

/** Offsets are into the audio. */
const mediaDetailSchema = z.object({
  region: z.string().describe('Whose copy of the manifest says so.'),
  endedBy: z.string(),
  gaps: z.array(gapSchema.extend({ streamLabel, cause: z.enum(GAP_CAUSES) })),
  unlistedGaps: z
    .array(unlistedGapSchema.extend({ streamLabel }))
    .describe('Shorter ones, counted by cause.'),
  holds: z.array(z.object({ streamLabel, fromMs: z.number(), toMs: z.number(), cause: z.enum(HOLD_CAUSES) })),
  transfers: z.array(transferSchema.extend({ atMs: z.number() })),
});
export type MediaDetail = z.infer<typeof mediaDetailSchema>;

export const recordingDetailSchema = indexedRecordingSchema.extend({
  timeline: z.array(timelineEntrySchema).describe('Who was there when, in milliseconds into the audio.'),
  media: mediaDetailSchema
    .optional()
    .describe('What only the manifest says; absent when no copy of it can be read at the moment.'),
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

/** draft-ietf-vcon-vcon-core-04, unsigned form, as far as this API writes it. */
const partyIndex = z.int().min(0);
const partyEventSchema = z.object({
  party: partyIndex,
  time: z.iso.datetime(),
  event: z.enum(['join', 'drop']),
});

export const vconSchema = z.object({
  vcon: z.literal('0.4.0'),
  uuid: z.guid(),
  created_at: z.iso.datetime(),
  subject: z.string(),
  parties: z.array(
    z.object({ tel: z.string().optional(), sip: z.string().optional(), name: z.string().optional() }),
  ),
  dialog: z.array(
    z.object({
      type: z.enum(['recording', 'incomplete']),
      start: z.iso.datetime(),
      duration: z.number().describe('In seconds.'),
      parties: z
        .array(z.union([partyIndex, z.array(partyIndex), z.null()]))
        .describe('Of a recording with several channels: by channel.'),
      party_history: z.array(partyEventSchema),
      mediatype: z.string().optional(),
      filename: z.string().optional(),
      url: z.string().optional(),
      content_hash: z.string().optional(),
      disposition: z.literal('failed').optional(),
    }),
  ),
  analysis: z.array(z.never()),
  attachments: z.array(z.never()),
});
export type Vcon = z.infer<typeof vconSchema>;

/** `silent`: no report, or none for half a minute. */
export const FLEET_STATES = [...SLOT_STATES, 'silent'] as const;

const fleetSlotSchema = z.object({
  slot: z.string(),
  zone: z.string(),
  state: z.enum(FLEET_STATES),
  reasons: z.array(z.string()).optional().describe('Against new calls.'),
  reportedAt: z.iso.datetime().optional(),
  reportAgeSeconds: z.number().optional(),
  version: z.string().optional().describe('Of the recorder.'),
  load: loadReportSchema
    .pick({
      activeRecordings: true,
      callCapacity: true,
      cpuShare: true,
      loopDelayMs: true,
      rtpDrops: true,
      spoolFill: true,
    })
    .optional(),
  weight: z.int().optional().describe('In DNS, when steering last looked: the largest of the slot.'),
  weightChangedAt: z.iso.datetime().optional(),
});
export type FleetSlot = z.infer<typeof fleetSlotSchema>;

export const fleetSchema = z.object({ region: z.string(), slots: z.array(fleetSlotSchema) });
export type Fleet = z.infer<typeof fleetSchema>;

const checkSchema = z.object({ state: z.enum(['ok', 'failed']), latencyMs: z.int() });
export const healthSchema = z.object({
  status: z.enum(['healthy', 'unhealthy']),
  checks: z.object({ index: checkSchema, storage: checkSchema }),
});
export type Health = z.infer<typeof healthSchema>;

export const replicationSchema = z.object({
  pairs: z.array(
    replicationReportSchema
      .partial({ mode: true, at: true })
      .describe('Without `at`: its sweep has never run.'),
  ),
});

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
  Manifest: manifestSchema,
  Vcon: vconSchema,
  Fleet: fleetSchema,
  Health: healthSchema,
  Replication: replicationSchema,
} as const satisfies Record<string, z.ZodType>;
