/**
 * The manifest: the JSON object, written last, that makes a recording exist.
 *
 * It is the only source of the index, so it carries everything that anybody may later search for, and the
 * SHA-256 of every file that belongs to the recording. Readers accept only the versions that they know.
 */
import { z } from 'zod';

export const MANIFEST_VERSION = 1;
export const MANIFEST_FILE = 'manifest.json';

const timestamp = z.iso.datetime({ precision: 3 });
const sha256Hex = z.string().regex(/^[0-9a-f]{64}$/);

/**
 * What the recording holds:
 * `complete`: every negotiated stream from the first packet to the end of the session, nothing missing;
 * `partial`: something is missing, `statusReasons` says what;
 * `recovered`: closed from the journals after the recorder died.
 */
export const RECORDING_STATUSES = ['complete', 'partial', 'recovered'] as const;
export type RecordingStatus = (typeof RECORDING_STATUSES)[number];

/** As the recorded user sees it: `outgoing` = the user called (origCall), `incoming` = the user was called (termCall). */
export const DIRECTIONS = ['outgoing', 'incoming', 'unknown'] as const;
export type Direction = (typeof DIRECTIONS)[number];

/**
 * How a recording session ended: by the SRC's BYE, by the recorder (it was stopped), because its dialog was lost with
 * the SIP server, because no RTP came for too long, at the longest time that a recording may take, because the disk of
 * the spool was full, or by a crash of the recorder: its dialog was lost then, also where the recording went on.
 */
export const RECORDING_ENDINGS = [
  'bye',
  'recorder',
  'sip-server-lost',
  'silence',
  'ceiling',
  'disk-full',
  'crash',
] as const;

/** Something irregular that did not stop the recording. `code` is stable (kebab-case); `detail` is for people. */
export const warningSchema = z.object({ code: z.string(), detail: z.string(), at: timestamp });
export type Warning = z.infer<typeof warningSchema>;

/** A stay in the session. Without `leftAt` it lasted until the recording ended. */
export const staySchema = z.object({ joinedAt: timestamp, leftAt: timestamp.optional() });
export type Stay = z.infer<typeof staySchema>;

/**
 * One person of the communication session (RFC 7865 6.5).
 * `aors` are kept as sent; `number` is the user part where that is a telephone number.
 * `streamLabels` are the labels of the streams that carry this participant's voice.
 * `stays`, in order, has more than one for somebody who came back; `joinedAt` is the first join, `leftAt` the last
 * departure, absent for somebody who was there at the end.
 */
export const participantSchema = z.object({
  id: z.string(),
  aors: z.array(z.string()),
  names: z.array(z.string()),
  number: z.string().optional(),
  streamLabels: z.array(z.string()),
  joinedAt: timestamp.optional(),
  leftAt: timestamp.optional(),
  stays: z.array(staySchema).optional(),
});
export type Participant = z.infer<typeof participantSchema>;

/** BroadWorks' extension of the metadata, by element name and not by version (`reference/siprec.md` 2.4). */
export const broadWorksSchema = z.object({
  version: z.string().optional(),
  extTrackingId: z.string().optional(),
  newExtTrackingId: z.string().optional(),
  serviceProviderId: z.string().optional(),
  groupId: z.string().optional(),
  userId: z.string().optional(),
  callId: z.string().optional(),
  recordingType: z.string().optional(),
  callingPartyNumber: z.string().optional(),
  calledPartyNumber: z.string().optional(),
  dialedDigits: z.string().optional(),
  redirect: z
    .object({
      lastRedirectNumber: z.string().optional(),
      origCalledNumber: z.string().optional(),
      numOfRedirections: z.string().optional(),
      redirectedFromPartyNumber: z.string().optional(),
      redirectedToPartyNumber: z.string().optional(),
    })
    .optional(),
  acd: z
    .object({
      userId: z.string().optional(),
      name: z.string().optional(),
      number: z.string().optional(),
      countryCode: z.string().optional(),
    })
    .optional(),
});
export type BroadWorksData = z.infer<typeof broadWorksSchema>;

/**
 * Why a stretch of a stream has no audio:
 * `lost`: packets did not arrive; `dropped`: they arrived, and the kernel dropped them because the recorder did not
 * take them in time; `crash`: the recorder, or a part of it, had died and nobody listened; `hold`: the stream was on hold;
 * `not-sent`: the sender left a pause; `undecoded`: the audio is in a journal and could not be decoded.
 */
export const GAP_CAUSES = ['lost', 'dropped', 'crash', 'hold', 'not-sent', 'undecoded'] as const;
export type GapCause = (typeof GAP_CAUSES)[number];

/** A stretch of a stream without audio, over 20 ms, in milliseconds from the start of the audio file. */
export const gapSchema = z.object({
  fromMs: z.number().nonnegative(),
  toMs: z.number().nonnegative(),
  cause: z.enum(GAP_CAUSES),
});
export type Gap = z.infer<typeof gapSchema>;

/** Gaps over 20 ms that are not listed one by one, for the longest are, and no more than 1,000 of a stream. */
export const unlistedGapSchema = z.object({
  cause: z.enum(GAP_CAUSES),
  count: z.number().int().positive(),
  totalMs: z.number().positive(),
});
export type UnlistedGap = z.infer<typeof unlistedGapSchema>;

/** A time in which a stream carried a participant's voice. Without `endedAt` it lasted until the recording ended. */
export const carriedSchema = z.object({
  participantId: z.string(),
  startedAt: timestamp,
  endedAt: timestamp.optional(),
});
export type Carried = z.infer<typeof carriedSchema>;

/**
 * Why a stream was on hold, as its SDP says:
 * `inactive`: `a=inactive`; `not-sending`: `a=recvonly`; `zero-address`: the old form, `c=0.0.0.0` (RFC 3264 8.4);
 * `removed`: port 0; `sendonly-dropped`: `a=sendonly` gone from a session that had it, which some BroadWorks releases
 * mean as a pause, but which alone proves none: the stream's packets tell.
 */
export const HOLD_CAUSES = [
  'inactive',
  'not-sending',
  'zero-address',
  'removed',
  'sendonly-dropped',
] as const;
export type HoldCause = (typeof HOLD_CAUSES)[number];

/**
 * A time in which a stream was on hold or paused: SIP tells the two from each other no better.
 * Without `endedAt` it lasted until the recording ended.
 */
export const holdSchema = z.object({
  streamLabel: z.string(),
  startedAt: timestamp,
  endedAt: timestamp.optional(),
  cause: z.enum(HOLD_CAUSES),
});
export type Hold = z.infer<typeof holdSchema>;

/**
 * The call went on with another party. `from` and `to` are numbers or aors, as far as they are known;
 * `newExtTrackingId` leads to the recordings that begin there.
 */
export const transferSchema = z.object({
  at: timestamp,
  from: z.string().optional(),
  to: z.string().optional(),
  newExtTrackingId: z.string().optional(),
});
export type Transfer = z.infer<typeof transferSchema>;

/** A key pressed (RFC 4733): `*` for each digit where digits are masked. From sample 0; negative before the first audio. */
export const dtmfSchema = z.object({
  digit: z.string(),
  atMs: z.number(),
  durationMs: z.number().nonnegative(),
});
export type DtmfEvent = z.infer<typeof dtmfSchema>;

/** One RTP stream. `channel` is its place in the audio file, from 0. Counts are packets. */
export const streamSchema = z.object({
  label: z.string(),
  channel: z.number().int().nonnegative(),
  codec: z.string(),
  payloadType: z.number().int(),
  ssrcs: z.array(z.number().int()),
  packets: z.number().int(),
  /** Missing by their sequence numbers, for whatever cause. */
  lostPackets: z.number().int(),
  /** Of those, what the kernel dropped because the recorder did not take it in time. */
  droppedPackets: z.number().int().optional(),
  duplicatePackets: z.number().int(),
  foreignPackets: z.number().int(),
  /** Interarrival jitter (RFC 3550 6.4.1) at its highest, in milliseconds. */
  jitterMs: z.number().nonnegative().optional(),
  /** Encrypted under none of the keys that the SRC gave. */
  unauthenticPackets: z.number().int().optional(),
  firstPacketAt: timestamp.optional(),
  lastPacketAt: timestamp.optional(),
  gaps: z.array(gapSchema),
  /** By cause. */
  unlistedGaps: z.array(unlistedGapSchema).optional(),
  dtmf: z.array(dtmfSchema).optional(),
  /** In order of time. */
  carried: z.array(carriedSchema).optional(),
});
export type RecordedStream = z.infer<typeof streamSchema>;

/** `journal`: the packets of a stream whose audio could not be decoded (rtpdump). */
export const FILE_ROLES = ['audio', 'metadata', 'journal'] as const;
export const manifestFileSchema = z.object({
  name: z.string().regex(/^[A-Za-z0-9._-]+$/),
  role: z.enum(FILE_ROLES),
  contentType: z.string(),
  bytes: z.number().int().nonnegative(),
  sha256: sha256Hex,
  /** Of a metadata document: when the SRC sent it. */
  receivedAt: timestamp.optional(),
});
export type ManifestFile = z.infer<typeof manifestFileSchema>;

export const manifestSchema = z.object({
  manifestVersion: z.literal(MANIFEST_VERSION),
  recordingId: z.ulid(),
  /** Grows with every rewrite of the manifest; the index keeps the highest. */
  revision: z.number().int().positive(),
  tenant: z.string().min(1),
  homeRegion: z.string().min(1),
  slot: z.string().min(1),
  recorderVersion: z.string(),
  status: z.enum(RECORDING_STATUSES),
  statusReasons: z.array(z.string()),
  /** From the 200 to the INVITE until the end of the recording session. */
  startedAt: timestamp,
  endedAt: timestamp,
  /** The recording session: the SIP dialog between SRC and recorder. */
  session: z.object({
    sipCallId: z.string(),
    source: z.string(),
    sourceAddress: z.string(),
    endedBy: z.enum(RECORDING_ENDINGS),
  }),
  /** The communication session that this recording belongs to; recordings with one `callId` belong together. */
  call: z.object({
    callId: z.string(),
    correlationIds: z.array(z.string()),
    /** Place among the recordings of the call, where the SRC numbers them. */
    sequence: z.number().int().nonnegative().optional(),
  }),
  direction: z.enum(DIRECTIONS),
  metadataDialect: z.string(),
  participants: z.array(participantSchema),
  broadWorks: broadWorksSchema.optional(),
  /** `startedAt` is the instant of sample 0. Absent when no packet arrived. */
  audio: z
    .object({
      file: z.string(),
      startedAt: timestamp,
      durationMs: z.number().nonnegative(),
      sampleRate: z.number().int(),
      channels: z.number().int(),
      encoding: z.enum(['pcmu', 'pcma', 'pcm16']),
    })
    .optional(),
  streams: z.array(streamSchema),
  holds: z.array(holdSchema).optional(),
  transfers: z.array(transferSchema).optional(),
  warnings: z.array(warningSchema),
  files: z.array(manifestFileSchema),
});
export type Manifest = z.infer<typeof manifestSchema>;

/** The manifest cannot be used: not JSON, an unknown version, or fields missing. `key` is the S3 key. */
export class InvalidManifestError extends Error {
  readonly key: string;

  constructor(key: string, reason: string, options?: ErrorOptions) {
    super(`manifest ${key} cannot be used: ${reason}`, options);
    this.name = 'InvalidManifestError';
    this.key = key;
  }
}

/**
 * Reads a manifest's text.
 * @param key the S3 key, only for the error
 * @throws InvalidManifestError if it is not a manifest of a known version
 */
export function parseManifest(text: string, key: string): Manifest {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new InvalidManifestError(key, 'it is not JSON', { cause });
  }
  const version = (json as { manifestVersion?: unknown } | null)?.manifestVersion;
  if (version !== MANIFEST_VERSION)
    throw new InvalidManifestError(
      key,
      `manifestVersion is ${JSON.stringify(version)}, this version reads ${MANIFEST_VERSION}`,
    );
  const result = manifestSchema.safeParse(json);
  if (!result.success) throw new InvalidManifestError(key, z.prettifyError(result.error));
  return result.data;
}
