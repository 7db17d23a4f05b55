/**
 * The fleet table of a region: what its slots say of themselves, and what steering remembers. One writer per item: a recorder
 * writes the item of its own slot, `steer-traffic` the one of steering.
 */
import { z } from 'zod';
import type { Deployment } from './deployment.ts';

/** Attribute of the partition key; there is no sort key. */
export const FLEET_KEY = 'id';
/** Attribute with the time, in seconds since the epoch, from which on DynamoDB may remove the item. */
export const FLEET_TTL = 'expiresAt';

export const fleetTableName = ({ name }: Deployment): string => `${name}-fleet`;

/** Name of the SSM parameter by which an operator closes and opens a region. It is of the region that it lies in. */
export const regionSwitchName = ({ name }: Deployment): string => `/${name}/region`;
export const REGION_SWITCH_VALUES = ['open', 'closed'] as const;
export type RegionSwitch = (typeof REGION_SWITCH_VALUES)[number];

export const REPORT_INTERVAL_SECONDS = 5;
/** A report that is older says nothing of now. */
export const REPORT_STALE_SECONDS = 30;
/** After so long without a report the item of a slot goes away by itself. */
export const REPORT_EXPIRY_SECONDS = 24 * 3_600;

/**
 * `serving`: takes new calls; `unhealthy`: would, but for the reasons in the report; `draining`: is about to stop; `closed`:
 * its region is closed.
 */
export const SLOT_STATES = ['serving', 'unhealthy', 'draining', 'closed'] as const;
export type SlotState = (typeof SLOT_STATES)[number];

export const slotItemId = (slot: string): string => `slot#${slot}`;
export const STEERING_ITEM_ID = 'steering';

/** What a slot says of itself every 5 s; the item in the table is this with the key. */
export const loadReportSchema = z.object({
  slot: z.string(),
  region: z.string(),
  state: z.enum(SLOT_STATES),
  /** True in the first report after the state has changed: what the stream's filter looks for. */
  stateChanged: z.boolean(),
  /** Reasons against new calls, as in the body of `/healthz`. */
  reasons: z.array(z.string()),
  /** RFC 3339, UTC, milliseconds. */
  reportedAt: z.iso.datetime(),
  activeRecordings: z.int().min(0),
  callCapacity: z.int().min(1),
  /** Of all processors of the host since the last report, 0 to 1. */
  cpuShare: z.number().min(0),
  /** Of the event loop since the last report, 99th percentile. */
  loopDelayMs: z.number().min(0),
  /** RTP packets that the kernel dropped since the recorder started. */
  rtpDrops: z.int().min(0),
  /** Of the room that recordings may take on the spool's disk, 0 to 1. */
  spoolFill: z.number().min(0).max(1),
  /** Of the recorder. */
  version: z.string(),
  expiresAt: z.int(),
});

export type LoadReport = z.infer<typeof loadReportSchema>;

/** What steering did last, by slot. It reads weights from the zone itself each time; here they are for whoever wants to see them. */
export const steeringSchema = z.object({
  /** The largest weight of each slot's records, when steering last looked. */
  weights: z.record(z.string(), z.int().min(0)).optional(),
  /** RFC 3339: when the slot's weight was changed last. */
  changedAt: z.record(z.string(), z.iso.datetime()),
  /** Of the last change, as long as it may be PENDING. */
  changeId: z.string().optional(),
});

export type Steering = z.infer<typeof steeringSchema>;
