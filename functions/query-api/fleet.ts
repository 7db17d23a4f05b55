/** The slots of this function's region, as they report themselves and as steering has them in DNS. */
import { type DynamoDBDocumentClient, GetCommand } from '@aws-sdk/lib-dynamodb';
import { z } from 'zod';
import {
  FLEET_KEY,
  loadReportSchema,
  REPORT_STALE_SECONDS,
  STEERING_ITEM_ID,
  slotItemId,
  steeringSchema,
} from '../../core/fleet.ts';
import type { Fleet, FleetSlot } from './answers.ts';

/** JSON: the slots of the region, by availability zone. */
export const slotsByZoneSchema = z.record(z.string(), z.array(z.string()));

export interface FleetDependencies {
  table: DynamoDBDocumentClient;
  tableName: string;
  region: string;
  slotsByZone: z.infer<typeof slotsByZoneSchema>;
}

/** @throws the SDK's errors */
export async function readFleet(fleet: FleetDependencies, now: Date): Promise<Fleet> {
  const zones = Object.entries(fleet.slotsByZone).flatMap(([zone, slots]) =>
    slots.map((slot) => [slot, zone] as const),
  );
  const [steeringItem, ...items] = await Promise.all([
    readItem(fleet, STEERING_ITEM_ID),
    ...zones.map(([slot]) => readItem(fleet, slotItemId(slot))),
  ]);
  const steering = steeringSchema.safeParse(steeringItem).data;
  return {
    region: fleet.region,
    slots: zones.map(([slot, zone], index) => ({
      slot,
      zone,
      ...reported(items[index], slot, now),
      ...(steering?.weights?.[slot] !== undefined && { weight: steering.weights[slot] }),
      ...(steering?.changedAt[slot] && { weightChangedAt: steering.changedAt[slot] }),
    })),
  };
}

/** A slot whose report is old, unreadable or of another slot says nothing of now. */
function reported(item: unknown, slot: string, now: Date): Omit<FleetSlot, 'slot' | 'zone'> {
  const report = loadReportSchema.safeParse(item).data;
  if (!report || report.slot !== slot) return { state: 'silent' };
  const ageSeconds = Math.round((now.getTime() - Date.parse(report.reportedAt)) / 100) / 10;
  const { activeRecordings, callCapacity, cpuShare, loopDelayMs, rtpDrops, spoolFill } = report;
  return {
    state: Math.abs(ageSeconds) > REPORT_STALE_SECONDS ? 'silent' : report.state,
    reasons: report.reasons,
    reportedAt: report.reportedAt,
    reportAgeSeconds: ageSeconds,
    version: report.version,
    load: { activeRecordings, callCapacity, cpuShare, loopDelayMs, rtpDrops, spoolFill },
  };
}

async function readItem({ table, tableName }: FleetDependencies, id: string): Promise<unknown> {
  const { Item } = await table.send(new GetCommand({ TableName: tableName, Key: { [FLEET_KEY]: id } }));
  return Item;
}
