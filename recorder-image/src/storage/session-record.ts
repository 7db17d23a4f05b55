/**
 * The session record: what happened in a recording session, one JSON event a line, beside the journals.
 *
 * Appended as things happen, so that a recording can be finished from the spool alone, by this process or, after
 * a crash, by the next. A line cut off by a crash is the last one, and is skipped.
 */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { CODEC_NAMES } from '../sdp/codecs.ts';
import { NO_KEYS, type SpoolKeys } from './spool-keys.ts';

export const SESSION_RECORD_FILE = 'session.jsonl';

/**
 * How a recording session ended; without this event the recorder died. `crash`: it had died, its successor went on with
 * the media, and that ended.
 */
const ENDINGS = ['bye', 'recorder', 'sip-server-lost', 'silence', 'ceiling', 'disk-full', 'crash'] as const;
export type Ending = (typeof ENDINGS)[number];

/** Code of the warning about a stream that was offered and could not be opened. */
export const STREAM_NOT_RECORDED = 'stream-not-recorded';

const at = z.iso.datetime({ precision: 3 });

/** What the capture counted for a stream, as far as assembly cannot see it in the journal. */
const countersSchema = z.object({
  foreignPackets: z.number(),
  malformedPackets: z.number(),
  /** Of a stream that is journaled in clear; otherwise assembly sees them. */
  unauthenticPackets: z.number().optional(),
  writeError: z.string().optional(),
  /** Packets that the kernel dropped because the socket's buffer was full, and when: milliseconds since the epoch. */
  drops: z
    .array(z.object({ fromMs: z.number(), toMs: z.number(), packets: z.number().int().positive() }))
    .optional(),
});
export type ClosedStreamCounters = z.infer<typeof countersSchema>;

const partyHeadersSchema = z.object({
  from: z.string(),
  to: z.string(),
  pAssertedIdentity: z.string().optional(),
  remotePartyId: z.string().optional(),
});

export const sessionEventSchema = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('opened'),
    at,
    recordingId: z.ulid(),
    slot: z.string(),
    homeRegion: z.string(),
    /** Name of the SRC in the deployment file, and the tenant that the file gives it. */
    source: z.string(),
    tenant: z.string().optional(),
    /** The source's DTMF digits are not to be told. */
    maskDigits: z.boolean().optional(),
    sourceAddress: z.string(),
    sipCallId: z.string(),
    correlationHeader: z.string().optional(),
    /** Headers of the INVITE that name people, for SRCs that send no metadata. */
    partyHeaders: partyHeadersSchema.optional(),
  }),
  z.object({ type: z.literal('offer'), at, sdp: z.string() }),
  /** An offer with keys in it, as it stands on disk; whoever reads the record gets the offer. */
  z.object({ type: z.literal('sealed-offer'), at, sealed: z.string() }),
  /** A metadata document as received, in a file of its own; `at` is that of the offer in the same request. */
  z.object({ type: z.literal('metadata'), at, file: z.string(), charset: z.string().optional() }),
  /** A stream and its journal; told again, with the same index, when something of it changes. */
  z.object({
    type: z.literal('stream'),
    at,
    mLine: z.number().int(),
    label: z.string(),
    journal: z.string(),
    /** Payload type to codec. */
    codecs: z.record(z.string(), z.enum(CODEC_NAMES)),
    /** Payload type to clock rate, Hz. */
    telephoneEvents: z.record(z.string(), z.number()).optional(),
    /** What a successor of the recorder needs, to go on receiving: the port, and who may send to it. */
    rtpPort: z.number().int().optional(),
    accept: z.array(z.string()).optional(),
    encrypted: z.boolean().optional(),
    /** The stream is journaled in clear, whatever it came under. */
    decrypted: z.boolean().optional(),
  }),
  /** Who sends to a stream, as the first packet of each SSRC tells. */
  z.object({
    type: z.literal('source'),
    at,
    journal: z.string(),
    ssrc: z.number().int(),
    address: z.string(),
    port: z.number().int(),
  }),
  z.object({ type: z.literal('answered'), at }),
  z.object({ type: z.literal('warning'), at, code: z.string(), detail: z.string() }),
  z.object({
    type: z.literal('closed'),
    at,
    endedBy: z.enum(ENDINGS),
    /** By journal. */
    counters: z.record(z.string(), countersSchema),
  }),
]);
export type SessionEvent = z.infer<typeof sessionEventSchema>;
export type SessionEventOf<Type extends SessionEvent['type']> = Extract<SessionEvent, { type: Type }>;

/** The session record has no usable beginning: nothing says what was recorded. */
export class SessionRecordError extends Error {
  constructor(directory: string, reason: string) {
    super(`${directory}/${SESSION_RECORD_FILE} cannot be used: ${reason}`);
    this.name = 'SessionRecordError';
  }
}

export interface SessionRecord {
  opened: SessionEventOf<'opened'>;
  events: SessionEvent[];
  /** Lines that could not be read: a tail cut off by a crash, or damage. */
  unreadableLines: number;
}

/** How an event is written down: an offer with keys is sealed where there is something to seal it with. */
export const toRecordedEvent = (event: SessionEvent, recordingId: string, keys: SpoolKeys): SessionEvent =>
  event.type === 'offer' && keys.canSeal && /^a=crypto:/im.test(event.sdp)
    ? { type: 'sealed-offer', at: event.at, sealed: keys.seal(event.sdp, recordingId) }
    : event;

/**
 * Reads the session record of a spool directory.
 * @throws SessionRecordError if its first event is not there
 * @throws SealedError if an offer was sealed with a key that is not one of `keys`
 * @throws NodeJS.ErrnoException if it cannot be read now
 */
export async function readSessionRecord(
  directory: string,
  keys: SpoolKeys = NO_KEYS,
): Promise<SessionRecord> {
  const text = await readFile(`${directory}/${SESSION_RECORD_FILE}`, 'utf8').catch(
    (error: NodeJS.ErrnoException) => {
      // Any other error may pass: too many open files, a disk that is being replaced.
      throw error.code === 'ENOENT' ? new SessionRecordError(directory, error.message) : error;
    },
  );
  const lines = text.split('\n').filter((line) => line !== '');
  const events = lines.flatMap((line) => parseEvent(line) ?? []);
  const opened = events.find((event) => event.type === 'opened');
  if (!opened) throw new SessionRecordError(directory, 'it does not begin with what was opened');
  return {
    opened,
    events: events.map((event) =>
      event.type === 'sealed-offer'
        ? { type: 'offer', at: event.at, sdp: keys.open(event.sealed, opened.recordingId) }
        : event,
    ),
    unreadableLines: lines.length - events.length,
  };
}

/** When a recording began, as its manifest says or will say; undefined if its record cannot be read. Needs no keys. */
export async function startedAtOf(directory: string): Promise<string | undefined> {
  const text = await readFile(`${directory}/${SESSION_RECORD_FILE}`, 'utf8').catch(() => '');
  const events = text.split('\n').flatMap((line) => parseEvent(line) ?? []);
  return startOf({ events });
}

/** The 200 to the INVITE; without one, what came before it. */
export const startOf = (record: Pick<SessionRecord, 'events'>): string | undefined =>
  (eventsOf(record, 'answered')[0] ?? eventsOf(record, 'opened')[0])?.at;

function parseEvent(line: string): SessionEvent | undefined {
  try {
    return sessionEventSchema.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}

/** Events of one type, in order. */
export const eventsOf = <Type extends SessionEvent['type']>(
  { events }: Pick<SessionRecord, 'events'>,
  type: Type,
): SessionEventOf<Type>[] => events.filter((event): event is SessionEventOf<Type> => event.type === type);
