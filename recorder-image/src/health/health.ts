/**
 * Whether this recorder should get new calls. Local facts only: were it to depend on S3 or DynamoDB, all slots would
 * turn red together and steering would be lost (DESIGN.md 4.4).
 *
 * Two answers are made of the facts. `shortages` decides over one INVITE, by what is so at this moment. `judge` decides over
 * health, by which DNS leads calls here for minutes: there a reason that has begun stays until the facts are well clear of it, so
 * that health does not flap around a limit.
 */
import type { SlotState } from '../../../core/fleet.ts';

/** What a recording needs, at one moment. */
export interface Resources {
  /** Threads that receive media. */
  mediaWorkers: number;
  /** They do not keep up with the packets, for want of CPU or because the disk is slow; or did not, 10 s ago. */
  mediaOverloaded: boolean;
  freeRtpPortPairs: number;
  freeSpoolBytes: number;
  /** What the recordings that run need to end and be finished. */
  spoolReserveBytes: number;
}

/** All that is looked at. */
export interface LocalFacts extends Omit<Resources, 'freeSpoolBytes'> {
  sipServerConnected: boolean;
  draining: boolean;
  /** An operator has closed the region. */
  regionClosed: boolean;
  activeRecordings: number;
  callCapacity: number;
  /** Free or not. */
  rtpPortPairs: number;
  /** Absent if the disk does not tell, or not in time; */
  freeSpoolBytes?: number;
  /** then why not. */
  diskError?: string;
  /** The spool's disk will be full soon. Calls that still come are taken: there is room, and nobody else may have more. */
  spoolIsFilling: boolean;
  /** 99th percentile in the last second. */
  loopDelayMs: number;
  maxLoopDelayMs: number;
}

/** A call of two streams takes two pairs of ports. */
const MIN_FREE_PORT_PAIRS = 2;

/** So much of the ports must be free again, and more than one call's worth, before they are short no more. */
const CALM_PORT_SHARE = 0.05;
/** The room above the reserve that ends `disk-full`, of the reserve. */
const CALM_DISK_SHARE = 0.1;

const calmPortPairs = (total: number): number =>
  Math.min(total, Math.max(2 * MIN_FREE_PORT_PAIRS, Math.ceil(total * CALM_PORT_SHARE)));

interface Rule {
  reason: string;
  /** The reason begins when this holds */
  isBad: (facts: LocalFacts) => boolean;
  /** for so long (default: at once), */
  beginsAfterMs?: number;
  /** and ends when this holds (default: when it is not bad any more) */
  isCalm?: (facts: LocalFacts) => boolean;
  /** for so long (default: at once). */
  endsAfterMs?: number;
}

/** In the order in which reasons are told. */
const RULES: readonly Rule[] = [
  { reason: 'sip-server-gone', isBad: ({ sipServerConnected }) => !sipServerConnected },
  { reason: 'draining', isBad: ({ draining }) => draining },
  { reason: 'region-closed', isBad: ({ regionClosed }) => regionClosed },
  {
    // Over as soon as one call fits: a full slot that stays away fills the others, and so on. The simulation of steering refuses
    // 60 times as many INVITEs near capacity where this ends at 5 % free (docs/steering-simulation.md).
    reason: 'full',
    isBad: ({ activeRecordings, callCapacity }) => activeRecordings >= callCapacity,
  },
  { reason: 'spool-filling', isBad: ({ spoolIsFilling }) => spoolIsFilling }, // its forecast has calm limits of its own
  {
    // One late turn is nobody's trouble; Route 53 waits for an answer for 2 s, and SRCs for less.
    reason: 'event-loop-delay',
    isBad: ({ loopDelayMs, maxLoopDelayMs }) => loopDelayMs > maxLoopDelayMs,
    beginsAfterMs: 3_000,
    isCalm: ({ loopDelayMs, maxLoopDelayMs }) => loopDelayMs <= maxLoopDelayMs / 2,
    endsAfterMs: 10_000,
  },
  { reason: 'media-workers-gone', isBad: ({ mediaWorkers }) => mediaWorkers === 0 },
  { reason: 'media-overloaded', isBad: ({ mediaOverloaded }) => mediaOverloaded }, // remembered by `worker-pulse.ts`
  {
    reason: 'rtp-ports-short',
    isBad: ({ freeRtpPortPairs }) => freeRtpPortPairs < MIN_FREE_PORT_PAIRS,
    isCalm: ({ freeRtpPortPairs, rtpPortPairs }) => freeRtpPortPairs >= calmPortPairs(rtpPortPairs),
  },
  {
    reason: 'disk-full',
    isBad: ({ freeSpoolBytes, spoolReserveBytes }) =>
      freeSpoolBytes !== undefined && freeSpoolBytes <= spoolReserveBytes,
    isCalm: ({ freeSpoolBytes = 0, spoolReserveBytes }) =>
      freeSpoolBytes > spoolReserveBytes * (1 + CALM_DISK_SHARE),
  },
  { reason: 'disk-unusable', isBad: ({ freeSpoolBytes }) => freeSpoolBytes === undefined },
];

/** All reasons that there can be. */
export const REASONS: readonly string[] = RULES.map(({ reason }) => reason);

interface Standing {
  stands: boolean;
  /** The facts have spoken for the opposite since then. */
  oppositeSinceMs?: number;
}

/** What is remembered from one look to the next, by reason; empty at first. */
export type Memory = ReadonlyMap<string, Standing>;

/**
 * What stands against new calls, by what stood before and the facts of now. Pure.
 * @param atMs on a clock that never jumps
 */
export function judge(memory: Memory, facts: LocalFacts, atMs: number): Memory {
  return new Map(RULES.map((rule) => [rule.reason, next(rule, memory.get(rule.reason), facts, atMs)]));
}

function next(
  { isBad, beginsAfterMs = 0, isCalm = (facts) => !isBad(facts), endsAfterMs = 0 }: Rule,
  { stands, oppositeSinceMs }: Standing = { stands: false },
  facts: LocalFacts,
  atMs: number,
): Standing {
  if (stands ? !isCalm(facts) : !isBad(facts)) return { stands };
  const sinceMs = oppositeSinceMs ?? atMs;
  const isDue = atMs - sinceMs >= (stands ? endsAfterMs : beginsAfterMs);
  return isDue ? { stands: !stands } : { stands, oppositeSinceMs: sinceMs };
}

/** Reasons against new calls; none means healthy. */
export const reasonsIn = (memory: Memory): string[] =>
  [...memory].filter(([, { stands }]) => stands).map(([reason]) => reason);

/** What a slot with these reasons tells the others. */
export function slotState(reasons: readonly string[]): SlotState {
  if (reasons.includes('draining')) return 'draining';
  if (reasons.includes('region-closed')) return 'closed';
  return reasons.length > 0 ? 'unhealthy' : 'serving';
}

const RESOURCE_CHECKS: readonly [isBad: (resources: Resources) => boolean, reason: string][] = [
  [({ mediaWorkers }) => mediaWorkers === 0, 'media-workers-gone'],
  [({ mediaOverloaded }) => mediaOverloaded, 'media-overloaded'],
  [({ freeRtpPortPairs }) => freeRtpPortPairs < MIN_FREE_PORT_PAIRS, 'rtp-ports-short'],
  [({ freeSpoolBytes, spoolReserveBytes }) => freeSpoolBytes <= spoolReserveBytes, 'disk-full'],
];

/** What is missing for one more recording, at this moment. */
export const shortages = (resources: Resources): string[] =>
  RESOURCE_CHECKS.filter(([isBad]) => isBad(resources)).map(([, reason]) => reason);
