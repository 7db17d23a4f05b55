/**
 * The rules of replication: which recordings a target gets, when, and before which other targets. They are part of the
 * deployment file, and travel to the functions of a home region as JSON.
 */
import { z } from 'zod';
import type { Deployment } from './deployment.ts';
import { entryKey, userKeysOf } from './index-entries.ts';
import type { IndexedRecording } from './index-items.ts';
import { DIRECTIONS, type Manifest } from './manifest.ts';
import { REPLICATION_MODES } from './replication-report.ts';
import { timeWindowSchema, type WindowState, windowState } from './time-window.ts';

const names = (what: string) =>
  z
    .array(z.string().trim().min(1, `write ${what}`))
    .min(1, 'name at least one, or leave the key out for all');

const durationRemedy = 'write a whole number of milliseconds from 1 to 86400000';

/** A recording must meet all that are given; of a list, one value is enough. */
const filtersSchema = z.strictObject({
  tenants: names('a tenant').optional(),
  /** As BroadWorks names it; upper and lower case are the same, also of groups and users. */
  serviceProviders: names('a serviceProviderID of BroadWorks').optional(),
  groups: names('a groupID of BroadWorks').optional(),
  /** The recorded user's id, that of an agent, or the address of any participant, unless that is a telephone number. */
  users: names('a user id or an address, such as alice@example.com').optional(),
  directions: z
    .array(z.enum(DIRECTIONS, `write ${DIRECTIONS.join(', ')}`))
    .min(1, 'name at least one, or leave the key out for all')
    .optional(),
  /** From the beginning to the end of the recording. */
  minDurationMs: z
    .int(durationRemedy)
    .min(1, durationRemedy)
    .max(24 * 3_600_000, durationRemedy)
    .optional(),
});
export type ReplicationFilters = z.infer<typeof filtersSchema>;

export const DEFAULT_PRIORITY = 50;
const priorityRemedy = 'write a whole number from 0 to 100; the lower goes first';

/** Of one target. `window` is there if, and only if, the mode is `window`: the reader of the deployment file sees to that. */
export const replicationRuleSchema = z.strictObject({
  to: z.string(),
  mode: z.enum(REPLICATION_MODES, `write ${REPLICATION_MODES.join(' or ')}`),
  window: timeWindowSchema.optional(),
  filters: filtersSchema.optional(),
  /** Among the targets of one region: what a run of the sweep may ask for goes to the lowest first. */
  priority: z.int(priorityRemedy).min(0, priorityRemedy).max(100, priorityRemedy).default(DEFAULT_PRIORITY),
});
export type ReplicationRule = z.infer<typeof replicationRuleSchema>;

/** The rules of what a region copies, the lowest priority first, else in the file's order. */
export const rulesOf = (
  { replication }: Pick<Deployment, 'replication'>,
  homeRegion: string,
): ReplicationRule[] =>
  replication
    .filter(({ from }) => from === homeRegion)
    .map(({ from, ...rule }) => rule)
    .toSorted((a, b) => a.priority - b.priority);

/** Targets that get every recording of a region as soon as it is complete. */
export const unconditionalTargets = (
  deployment: Pick<Deployment, 'replication'>,
  homeRegion: string,
): string[] =>
  rulesOf(deployment, homeRegion)
    .filter(({ mode, filters }) => mode === 'onCompletion' && filters === undefined)
    .map(({ to }) => to);

/** What filters look at, of a manifest or of the index. */
export type FilteredRecording = Pick<
  IndexedRecording,
  'tenant' | 'direction' | 'durationMs' | 'broadWorks' | 'participants'
>;

export const filteredManifest = (manifest: Manifest): FilteredRecording => ({
  ...manifest,
  durationMs: Date.parse(manifest.endedAt) - Date.parse(manifest.startedAt),
});

/** Whether a target is to have a recording. */
export function isWanted({ filters = {} }: ReplicationRule, recording: FilteredRecording): boolean {
  const { tenants, serviceProviders, groups, users, directions, minDurationMs } = filters;
  const { tenant, direction, durationMs, broadWorks = {} } = recording;
  const has = (
    listed: string[] | undefined,
    own: (string | undefined)[],
    key: (text: string) => string | undefined,
  ) => listed === undefined || listed.some((value) => own.includes(key(value)));
  return (
    has(tenants, [tenant], (name) => name) &&
    has(serviceProviders, [broadWorks.serviceProviderId && folded(broadWorks.serviceProviderId)], folded) &&
    has(groups, [broadWorks.groupId && entryKey('group', broadWorks.groupId)], (id) =>
      entryKey('group', id),
    ) &&
    has(users, users ? userKeysOf(recording) : [], (id) => entryKey('user', id)) &&
    (directions?.includes(direction) ?? true) &&
    durationMs >= (minDurationMs ?? 0)
  );
}

const folded = (text: string): string => text.trim().toLowerCase();

/** Of a rule without a window: always open, and without a beginning. */
export const isOpen = ({ window }: ReplicationRule, at: Date): boolean =>
  window === undefined || windowState(window, at).isOpen;

export const windowOf = ({ window }: ReplicationRule, at: Date): WindowState | undefined =>
  window && windowState(window, at);

/** From when on a copy of a recording is late, by the recording's end: at once, or from the next opening of the window. */
export function dueAt({ window }: ReplicationRule, endedAt: Date): Date {
  const state = window && windowState(window, endedAt);
  return state?.isOpen === false ? state.opensAt : endedAt;
}

/** Lambda's limit for all environment variables of a function, names included. */
export const MAX_ENVIRONMENT_BYTES = 4096;
/** Everything but the rules: names, the table, two queues; and bucket and key of each region. */
const OTHER_BYTES = 1_000;
const BYTES_PER_REGION = 250;

/** Bytes that the rules of a region have as JSON, and how many fit beside what else its functions must know. */
export const rulesSize = (rules: ReplicationRule[]): { bytes: number; limit: number } => ({
  bytes: Buffer.byteLength(JSON.stringify(rules)),
  limit: MAX_ENVIRONMENT_BYTES - OTHER_BYTES - BYTES_PER_REGION * (rules.length + 1),
});
