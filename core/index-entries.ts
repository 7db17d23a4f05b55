/**
 * The entries of the index: one item for each key by which a recording is found, with a summary of the recording, so that
 * a page of an answer is read in one go.
 *
 * Two indexes of the table hold all of them, with generic keys and one sort key, `<startedAt>#<recordingId>`:
 *
 * | index      | partition                                 | answers questions |
 * |------------|-------------------------------------------|-------------------|
 * | `byTime`   | `<kind>#<value>#<shard>` (`timePk`)       | over all tenants  |
 * | `byTenant` | `<tenant>#<kind>#<value>#<shard>` (`tenantPk`) | of one tenant |
 *
 * A partition takes 1,000 writes a second, and the present is where all writes go: kinds that all recordings share are
 * spread over shards. There are no partitions by day: a collection in an index has no limit of size, DynamoDB splits it
 * along its sort key, and a quiet tenant's year is read with one query per shard, not with one per day and shard.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { type IndexedRecording, indexedRecordingSchema, recordingKey, type TableKey } from './index-items.ts';
import { participantSchema } from './manifest.ts';
import { nameKey, nameWords } from './name-words.ts';
import { addressKey, aorNumberKeys, numberKeys } from './phone-number.ts';

export const BY_TIME_INDEX = 'byTime';
export const BY_TENANT_INDEX = 'byTenant';

const TIME_SHARDS = 4;

/** The kinds of key, with their number of shards. A number, a user, a group, a call, a slot or the beginning of a name is never too hot for one. */
export const ENTRY_SHARDS = {
  time: TIME_SHARDS,
  number: 1,
  user: 1,
  group: 1,
  call: 1,
  slot: 1,
  status: TIME_SHARDS,
  name: 1,
} as const;
export type EntryKind = keyof typeof ENTRY_SHARDS;

/** More are in the recording itself. A summary is written once for each key: of a large conference, its size counts squared. */
const MAX_LISTED = 20;

const ENTRY_SK_PREFIX = 'ENTRY#';

/** Longer values are keyed by their hash: a sort key has at most 1,024 bytes, and a SIP Call-ID may have any length. */
const MAX_VALUE_LENGTH = 200;

/** What a list says of a recording. `participants` and `correlationIds` are the first 20; `participantCount` tells how many there are. */
export const recordingSummarySchema = indexedRecordingSchema
  .pick({
    recordingId: true,
    revision: true,
    tenant: true,
    status: true,
    statusReasons: true,
    startedAt: true,
    endedAt: true,
    durationMs: true,
    homeRegion: true,
    slot: true,
    direction: true,
    callId: true,
    correlationIds: true,
    callSequence: true,
    sipCallId: true,
    source: true,
    audio: true,
  })
  .extend({
    participants: z.array(participantSchema.pick({ id: true, aors: true, names: true, number: true })),
    participantCount: z.number(),
    serviceProviderId: z.string().optional(),
    groupId: z.string().optional(),
    userId: z.string().optional(),
  });
export type RecordingSummary = z.infer<typeof recordingSummarySchema>;

/** An entry as it is read back; `timeSk` is its place in time. */
export const indexEntrySchema = z.object({
  timeSk: z.string(),
  revision: z.number(),
  /** Keys of the kind `user`: the summary has not all of them. */
  users: z.array(z.string()),
  /** Of all participants' names; none in an entry of a version that did not have them. */
  nameWords: z.array(z.string()).default([]),
  summary: recordingSummarySchema,
});
export type IndexEntry = z.infer<typeof indexEntrySchema>;

export type IndexEntryItem = IndexEntry & TableKey & { timePk: string; tenantPk: string };

export const isEntryKey = ({ sk }: TableKey): boolean => sk.startsWith(ENTRY_SK_PREFIX);

/** All entries of a recording. */
export function entryItems(recording: IndexedRecording): IndexEntryItem[] {
  const { recordingId, revision, startedAt, tenant } = recording;
  const values = entryValues(recording);
  const words = wordsOf(recording);
  const summary = summaryOf(recording);
  return Object.entries(values).flatMap(([name, ofKind]) =>
    ofKind.map((value) => {
      const kind = name as EntryKind;
      const partition = entryPartition(kind, value, shardOf(recordingId, ENTRY_SHARDS[kind]));
      return {
        ...recordingKey(recordingId),
        sk: `${ENTRY_SK_PREFIX}${kind}#${keyPart(value)}`,
        timePk: partition,
        tenantPk: tenantPartition(tenant, partition),
        timeSk: `${startedAt}#${recordingId}`,
        revision,
        users: values.user,
        nameWords: words,
        summary,
      };
    }),
  );
}

/** Every partition that holds a kind's entries of a value, of all tenants or of one. `value` is a key as `entryKey` makes it. */
export function entryPartitions(kind: EntryKind, value: string, tenant?: string): string[] {
  return Array.from({ length: ENTRY_SHARDS[kind] }, (_, shard) => {
    const partition = entryPartition(kind, value, shard);
    return tenant === undefined ? partition : tenantPartition(tenant, partition);
  });
}

/**
 * How what somebody asks for is written in the keys of a kind; undefined if it can be in none, as a `number` that is no
 * telephone number.
 */
export function entryKey(kind: EntryKind, asked: string): string | undefined {
  if (kind === 'number') return numberKeys(asked)[0];
  if (kind === 'user') return userKey(asked);
  if (kind === 'name') return nameWords(asked).map(nameKey)[0];
  return kind === 'group' ? groupKey(asked) : asked;
}

/** The keys under which a recording is found. */
function entryValues(recording: IndexedRecording): Record<EntryKind, string[]> {
  const { participants, broadWorks = {}, callId, correlationIds, slot, status } = recording;
  const { redirect = {}, acd = {} } = broadWorks;
  const aors = participants.flatMap((participant) => participant.aors);
  const numbers = [
    ...participants.map(({ number }) => number),
    broadWorks.callingPartyNumber,
    broadWorks.calledPartyNumber,
    broadWorks.dialedDigits,
    redirect.lastRedirectNumber,
    redirect.origCalledNumber,
    redirect.redirectedFromPartyNumber,
    redirect.redirectedToPartyNumber,
  ];
  return {
    time: [''],
    number: distinct([
      ...aors.flatMap(aorNumberKeys),
      // BroadWorks writes some of them as addresses.
      ...numbers.flatMap((number) => (number ? aorNumberKeys(number) : [])),
      ...(acd.number ? numberKeys(acd.number, acd.countryCode) : []),
    ]),
    user: userKeysOf(recording),
    group: distinct([broadWorks.groupId && groupKey(broadWorks.groupId)]),
    call: distinct([callId, ...correlationIds]),
    slot: [slot],
    status: [status],
    name: distinct(wordsOf(recording).map(nameKey)),
  };
}

/** The users of a recording as its entries of kind `user` have them: the recorded one, an agent, and all participants by address. */
export const userKeysOf = ({
  participants,
  broadWorks,
}: Pick<IndexedRecording, 'participants' | 'broadWorks'>): string[] =>
  distinct([
    ...[broadWorks?.userId, broadWorks?.acd?.userId].map((id) => id && userKey(id)),
    ...participants.flatMap(({ aors }) => aors.map(addressKey)),
  ]);

const distinct = (values: (string | undefined)[]): string[] => [
  ...new Set(values.flatMap((value) => value || [])),
];

const wordsOf = ({ participants }: IndexedRecording): string[] =>
  nameWords(participants.flatMap(({ names }) => names).join(' '));

const userKey = (id: string): string | undefined => addressKey(id) ?? (id.trim().toLowerCase() || undefined);

const groupKey = (id: string): string | undefined => id.trim().toLowerCase() || undefined;

/** Whether a recording is of a group, as `entryKey` writes it. */
export const isOfGroup = ({ groupId }: RecordingSummary, key: string): boolean =>
  groupId !== undefined && groupKey(groupId) === key;

export function summaryOf(recording: IndexedRecording): RecordingSummary {
  const { participants, broadWorks, correlationIds, ...rest } = recording;
  return recordingSummarySchema.parse({
    ...rest,
    correlationIds: correlationIds.slice(0, MAX_LISTED),
    participants: participants.slice(0, MAX_LISTED),
    participantCount: participants.length,
    serviceProviderId: broadWorks?.serviceProviderId,
    groupId: broadWorks?.groupId,
    userId: broadWorks?.userId,
  });
}

const entryPartition = (kind: EntryKind, value: string, shard: number): string =>
  `${kind}#${keyPart(value)}#${shard}`;

const tenantPartition = (tenant: string, partition: string): string => `${keyPart(tenant)}#${partition}`;

/** Without `#`, so that no value, and no tenant's name, can reach into another's partition. */
export function keyPart(value: string): string {
  const encoded = encodeURIComponent(value.toWellFormed());
  // `=` is never in encoded text.
  return encoded.length <= MAX_VALUE_LENGTH
    ? encoded
    : `=${createHash('sha256').update(value).digest('base64url')}`;
}

/** The last character of a ULID is random, base 32. */
const shardOf = (recordingId: string, shards: number): number =>
  recordingId.charCodeAt(recordingId.length - 1) % shards;
