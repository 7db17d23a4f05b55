/**
 * A recording's fate: its legal holds, requests to delete it, and its deletion. Items of the index table.
 *
 * | item      | pk                       | sk                        | written by                                     |
 * |-----------|--------------------------|---------------------------|------------------------------------------------|
 * | hold      | `REC#<id>`, or `CALL#<tenant>#<id>` | `FATE#HOLD#<hold>#SET` | any region, once                       |
 * | release   | the same                 | `FATE#HOLD#<hold>#RELEASED` | any region, once                             |
 * | request   | `REC#<id>`               | `FATE#REQUEST#<request>`  | any region, once; removed by the home region   |
 * | deletion  | `REC#<id>`               | `FATE#DELETION`           | expire-recordings of the home region only      |
 * | due       | `DUE#<region>`           | `<time>#<pk>`             | who has work for that region; removed by it    |
 * | tenant    | `TENANTS`                | `<home region>#<tenant>`  | index-recording of the home region             |
 *
 * A global table keeps the last write of an item. So a fact is an item of its own, written once and never changed: a hold
 * that is released in one region while it is written in another cannot come out as anything but released.
 */
import { z } from 'zod';
import { keyPart } from './index-entries.ts';
import { recordingPartition, type TableKey } from './index-items.ts';

export const FATE_PREFIX = 'FATE#';
/** Of the partitions of calls, which have holds and nothing else. */
export const CALL_PREFIX = 'CALL#';
const HOLD_PREFIX = `${FATE_PREFIX}HOLD#`;
const REQUEST_PREFIX = `${FATE_PREFIX}REQUEST#`;
const DELETION_SK = `${FATE_PREFIX}DELETION`;

/** What a hold is on. A call is known by any of its ids, within a tenant. */
export const holdSubjectSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('recording'), recordingId: z.ulid() }),
  z.object({ kind: z.literal('call'), tenant: z.string().min(1), callId: z.string().min(1) }),
]);
export type HoldSubject = z.infer<typeof holdSubjectSchema>;

/** Chosen by who sets the hold: the number of a matter, for instance. */
export const holdIdSchema = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'write 1 to 64 of A-Z, a-z, 0-9, `.`, `_` and `-`');

/** `set`, or `released`: both are kept. */
export const holdFactSchema = z.object({
  fact: z.enum(['set', 'released']),
  holdId: holdIdSchema,
  by: z.string(),
  at: z.string(),
  reason: z.string(),
  /** Region that was asked. */
  region: z.string(),
});
export type HoldFact = z.infer<typeof holdFactSchema>;

/** A hold as it was set, with its release, if it has been released. */
export type Hold = HoldFact & { released?: HoldFact };

export const deletionRequestSchema = z.object({
  requestId: z.string(),
  by: z.string(),
  at: z.string(),
  reason: z.string(),
  region: z.string(),
});
export type DeletionRequest = z.infer<typeof deletionRequestSchema>;

/**
 * `intended`: announced to all regions, which take no hold any more, while their holds are looked for; it is withdrawn if there
 * is one, or if a region cannot be asked; `begun`: it cannot be stopped; `deleted`: proved in every region. The item stays
 * as a tombstone, so that nothing that comes late brings the recording back.
 */
export const DELETION_STATES = ['intended', 'begun', 'deleted'] as const;

const regionDeletionSchema = z.object({
  state: z.enum(['open', 'deleted']),
  at: z.string(),
  /** Why it is open. */
  trouble: z.string().optional(),
});

export const deletionSchema = z.object({
  recordingId: z.string(),
  tenant: z.string(),
  homeRegion: z.string(),
  /** Of all files, in every bucket. */
  prefix: z.string(),
  startedAt: z.string(),
  why: z.enum(['request', 'retention']),
  by: z.string(),
  reason: z.string(),
  at: z.string(),
  state: z.enum(DELETION_STATES),
  /** Of this intention: one that was withdrawn may still be seen in another region. */
  intentId: z.string(),
  /** By region. */
  regions: z.record(z.string(), regionDeletionSchema),
  deletedAt: z.string().optional(),
  /** When it was looked for again, in every region, and nothing was there. */
  recheckedAt: z.string().optional(),
});
export type Deletion = z.infer<typeof deletionSchema>;

export interface Fate {
  holds: Hold[];
  requests: DeletionRequest[];
  deletion?: Deletion;
}

export const subjectPartition = (subject: HoldSubject): string =>
  subject.kind === 'recording'
    ? recordingPartition(subject.recordingId)
    : `${CALL_PREFIX}${keyPart(subject.tenant)}#${keyPart(subject.callId)}`;

export const holdFactKey = (
  subject: HoldSubject,
  { holdId, fact }: Pick<HoldFact, 'holdId' | 'fact'>,
): TableKey => ({ pk: subjectPartition(subject), sk: `${HOLD_PREFIX}${holdId}#${fact.toUpperCase()}` });

export const holdFactItem = (subject: HoldSubject, fact: HoldFact): HoldFact & TableKey => ({
  ...holdFactKey(subject, fact),
  ...fact,
});

export const requestKey = (recordingId: string, requestId: string): TableKey => ({
  pk: recordingPartition(recordingId),
  sk: `${REQUEST_PREFIX}${requestId}`,
});

export const deletionKey = (recordingId: string): TableKey => ({
  pk: recordingPartition(recordingId),
  sk: DELETION_SK,
});

export const isFateKey = ({ sk }: TableKey): boolean => sk.startsWith(FATE_PREFIX);

/** Every item of a partition whose key begins with `FATE_PREFIX`, read. */
export function fateOf(items: readonly { sk?: unknown }[]): Fate {
  const facts: HoldFact[] = [];
  const fate: Fate = { holds: [], requests: [] };
  for (const item of items) {
    const sk = String(item.sk);
    if (sk === DELETION_SK) fate.deletion = deletionSchema.parse(item);
    else if (sk.startsWith(REQUEST_PREFIX)) fate.requests.push(deletionRequestSchema.parse(item));
    else if (sk.startsWith(HOLD_PREFIX)) facts.push(holdFactSchema.parse(item));
  }
  return { ...fate, holds: holdsOf(facts) };
}

/** Holds in order of their ids. A release whose hold has not arrived holds nothing. */
function holdsOf(facts: HoldFact[]): Hold[] {
  const releases = new Map(
    facts.filter(({ fact }) => fact === 'released').map((release) => [release.holdId, release]),
  );
  return facts
    .filter(({ fact }) => fact === 'set')
    .map((set) => {
      const released = releases.get(set.holdId);
      return released ? { ...set, released } : set;
    });
}

/** The facts that make a hold. */
export const factsOf = ({ released, ...set }: Hold): HoldFact[] => (released ? [set, released] : [set]);

export const activeHolds = (holds: Hold[]): Hold[] => holds.filter(({ released }) => !released);

/** Partition of what expire-recordings of a region has to look at. */
export const duePartition = (region: string): string => `DUE#${region}`;

export const dueItemSchema = z.object({ pk: z.string(), sk: z.string(), subject: holdSubjectSchema });
export type DueItem = z.infer<typeof dueItemSchema>;

/** Makes a region's expire-recordings look at a recording or a call, not before `at`. It may come more than once. */
export const dueItem = (region: string, subject: HoldSubject, at: Date): DueItem => ({
  pk: duePartition(region),
  sk: `${at.toISOString()}#${subjectPartition(subject)}`,
  subject,
});

export const TENANTS_PARTITION = 'TENANTS';

export const tenantItem = (homeRegion: string, tenant: string) => ({
  pk: TENANTS_PARTITION,
  sk: `${homeRegion}#${keyPart(tenant)}`,
  tenant,
});

/** Of all facts about one subject in a bucket. */
export const holdObjectsPrefix = (subject: HoldSubject): string =>
  subject.kind === 'recording'
    ? `${HOLDS_ROOT}recordings/${subject.recordingId}/`
    : `${HOLDS_ROOT}calls/${keyPart(subject.tenant)}/${keyPart(subject.callId)}/`;

/** Place of a fact in every region's bucket, from which an index that is lost gets it back. */
export const holdObjectKey = (
  subject: HoldSubject,
  { holdId, fact }: Pick<HoldFact, 'holdId' | 'fact'>,
): string => `${holdObjectsPrefix(subject)}${holdId}.${fact}.json`;

/** The holds that are set and not released, by the keys of their objects. */
export function activeHoldObjects(keys: readonly string[]): string[] {
  const there = new Set(keys);
  return keys.flatMap((key) => {
    const name = /^(.*\/([^/]+))\.set\.json$/.exec(key);
    return name?.[2] && !there.has(`${name[1]}.released.json`) ? name[2] : [];
  });
}

export const HOLDS_ROOT = 'holds/';

export const holdObjectSchema = z.object({ subject: holdSubjectSchema, fact: holdFactSchema });

/** While a deletion is under way, every region's bucket says so: an index that is lost must not bring the recording back. */
export const deletionObjectKey = (homeRegion: string, recordingId: string): string =>
  `${deletionsPrefix(homeRegion)}${recordingId}.json`;
export const DELETIONS_ROOT = 'deletions/';
export const deletionsPrefix = (homeRegion: string): string => `${DELETIONS_ROOT}${homeRegion}/`;
