/**
 * The index: the items of the one DynamoDB table. All that belongs to a recording is one item collection.
 *
 * | item      | pk         | sk                       | written by |
 * |-----------|------------|--------------------------|------------|
 * | recording | `REC#<id>` | `META`                   | index-recording of the home region only (DESIGN.md 4.9) |
 * | copy      | `REC#<id>` | `COPY#<region>`          | replicate-recording of the home region; the home copy by index-recording |
 * | entry     | `REC#<id>` | `ENTRY#<kind>#<value>`   | index-recording of the home region only: one for each key that finds the recording (`index-entries.ts`) |
 * | keys      | `KEYS#<issuer>` | `<region>`          | query-api of that region: public keys of the OpenID provider, for when it cannot be reached |
 */
import { z } from 'zod';
import { recordingPrefix } from './keys.ts';
import {
  broadWorksSchema,
  DIRECTIONS,
  type Manifest,
  manifestFileSchema,
  participantSchema,
  RECORDING_STATUSES,
  warningSchema,
} from './manifest.ts';

const recordingPk = (recordingId: string): string => `REC#${recordingId}`;
const RECORDING_SK = 'META';
/** Of the sort keys of all copies of a recording: its other items need not be read with them. */
export const COPY_KEY_PREFIX = 'COPY#';

/** What the index says of a recording; everything but its keys. */
export const indexedRecordingSchema = z.object({
  recordingId: z.string(),
  revision: z.number(),
  tenant: z.string(),
  status: z.enum(RECORDING_STATUSES),
  statusReasons: z.array(z.string()),
  startedAt: z.string(),
  endedAt: z.string(),
  durationMs: z.number(),
  homeRegion: z.string(),
  slot: z.string(),
  direction: z.enum(DIRECTIONS),
  callId: z.string(),
  correlationIds: z.array(z.string()),
  /** Place among the recordings of the call, where the SRC numbers them. */
  callSequence: z.number().optional(),
  sipCallId: z.string(),
  source: z.string(),
  participants: z.array(participantSchema),
  broadWorks: broadWorksSchema.optional(),
  audio: z
    .object({
      file: z.string(),
      startedAt: z.string(),
      durationMs: z.number(),
      channels: z.number(),
      encoding: z.string(),
    })
    .optional(),
  streams: z.array(
    z.object({
      label: z.string(),
      channel: z.number(),
      codec: z.string(),
      packets: z.number(),
      lostPackets: z.number(),
      gapMs: z.number(),
    }),
  ),
  warnings: z.array(warningSchema),
  files: z.array(manifestFileSchema),
});
export type IndexedRecording = z.infer<typeof indexedRecordingSchema>;

/**
 * `verified`: every file is what the manifest says (the home copy: S3 checked each as it was uploaded);
 * `damaged`: the sweep found a file missing or changed, and the copy is being made again. Nothing is played from it.
 */
export const COPY_STATES = ['verified', 'damaged'] as const;

/** Where one copy of a recording lies. `prefix` is that of all its files. */
export const recordingCopySchema = z.object({
  recordingId: z.string(),
  /** Of the manifest that the copy holds. */
  revision: z.number(),
  region: z.string(),
  bucket: z.string(),
  prefix: z.string(),
  bytes: z.number(),
  role: z.enum(['home', 'replica']),
  state: z.enum(COPY_STATES).default('verified'),
  /** Of a replica: when every file at the target was last compared with the manifest. */
  verifiedAt: z.string().optional(),
  /** Of a replica: SHA-256 of its manifest in hex, which holds those of the other files. */
  manifestSha256: z.string().optional(),
});
export type RecordingCopy = z.infer<typeof recordingCopySchema>;

export interface TableKey {
  pk: string;
  sk: string;
}

export const recordingKey = (recordingId: string): TableKey => ({
  pk: recordingPk(recordingId),
  sk: RECORDING_SK,
});

/** The partition that holds a recording and all its copies. */
export const recordingPartition = recordingPk;

/** Of the partitions with the keys of OpenID providers, which are no recordings'. */
export const ISSUER_KEYS_PREFIX = 'KEYS#';

export const issuerKeysKey = (issuer: string, region: string): TableKey => ({
  pk: `${ISSUER_KEYS_PREFIX}${issuer}`,
  sk: region,
});

export const isCopyKey = ({ sk }: TableKey): boolean => sk.startsWith(COPY_KEY_PREFIX);

/** The recording item of a manifest, with its keys. */
export function recordingItem(manifest: Manifest): IndexedRecording & TableKey {
  const { recordingId, startedAt, endedAt } = manifest;
  return {
    ...recordingKey(recordingId),
    recordingId,
    revision: manifest.revision,
    tenant: manifest.tenant,
    status: manifest.status,
    statusReasons: manifest.statusReasons,
    startedAt,
    endedAt,
    durationMs: Date.parse(endedAt) - Date.parse(startedAt),
    homeRegion: manifest.homeRegion,
    slot: manifest.slot,
    direction: manifest.direction,
    callId: manifest.call.callId,
    correlationIds: manifest.call.correlationIds,
    callSequence: manifest.call.sequence,
    sipCallId: manifest.session.sipCallId,
    source: manifest.session.source,
    participants: manifest.participants,
    broadWorks: manifest.broadWorks,
    audio: manifest.audio && {
      file: manifest.audio.file,
      startedAt: manifest.audio.startedAt,
      durationMs: manifest.audio.durationMs,
      channels: manifest.audio.channels,
      encoding: manifest.audio.encoding,
    },
    streams: manifest.streams.map(({ label, channel, codec, packets, lostPackets, gaps, unlistedGaps }) => ({
      label,
      channel,
      codec,
      packets,
      lostPackets,
      gapMs: [
        ...gaps.map(({ fromMs, toMs }) => toMs - fromMs),
        ...(unlistedGaps ?? []).map(({ totalMs }) => totalMs),
      ].reduce((sum, ms) => sum + ms, 0),
    })),
    warnings: manifest.warnings,
    files: manifest.files,
  };
}

export const copyKey = (recordingId: string, region: string): TableKey => ({
  pk: recordingPk(recordingId),
  sk: `${COPY_KEY_PREFIX}${region}`,
});

/** The item of the copy that the recorder itself made. */
export const homeCopyItem = (manifest: Manifest, bucket: string): RecordingCopy & TableKey =>
  copyItem(manifest, manifest.homeRegion, bucket, 'home');

/** The item of a copy that was made and verified. `manifestSha256` is in hex. */
export const replicaCopyItem = (
  manifest: Manifest,
  {
    region,
    bucket,
    ...verified
  }: { region: string; bucket: string; verifiedAt: string; manifestSha256: string },
): RecordingCopy & TableKey => ({ ...copyItem(manifest, region, bucket, 'replica'), ...verified });

/** The item of a copy, as far as its manifest and its place tell. */
export function copyItem(
  manifest: Manifest,
  region: string,
  bucket: string,
  role: RecordingCopy['role'],
): RecordingCopy & TableKey {
  const { recordingId, homeRegion } = manifest;
  return {
    ...copyKey(recordingId, region),
    recordingId,
    revision: manifest.revision,
    region,
    bucket,
    // The home region's, whichever region the copy is in.
    prefix: recordingPrefix({ homeRegion, recordingId, startedAt: new Date(manifest.startedAt) }),
    bytes: manifest.files.reduce((sum, { bytes }) => sum + bytes, 0),
    role,
    state: 'verified',
  };
}
