/** What `npm start` shows while it stays up: where calls would go, and every change of it. */
import { z } from 'zod';
import { SLOT_STATES } from '../core/fleet.ts';
import { srvName } from '../core/slot-plan.ts';
import type { LocalCloud } from './cloud/local-cloud.ts';
import type { RunningSlot } from './cloud/slot.ts';
import { pause } from './dns-server/pause.ts';
import type { Progress } from './progress.ts';
import { slotsInDns } from './slots-in-dns.ts';

const EVERY_MS = 1_000;
/** Of a recorder that hangs. */
const STATUS_TIMEOUT_MS = 500;

/** A slot as it is seen from outside. */
export interface SlotView {
  name: string;
  /** In DNS; absent when the answer does not name the slot. */
  weight?: number;
  /** What the recorder says of itself; absent when it does not answer. */
  recorder?: { state: (typeof SLOT_STATES)[number]; reasons: string[]; activeRecordings: number };
}

const statusSchema = z.object({
  state: z.enum(SLOT_STATES),
  reasons: z.array(z.string()),
  activeRecordings: z.int(),
});

/**
 * Looks every second until stopped. Never throws: what cannot be seen is shown as such.
 * @param seen what was there before
 */
export async function showSlots(
  cloud: LocalCloud,
  seen: readonly SlotView[],
  { say, status }: Progress,
  stop: AbortSignal,
): Promise<void> {
  let before = seen;
  while (!stop.aborted) {
    status(statusLine(before));
    await pause(EVERY_MS, stop);
    const now = await lookAtSlots(cloud);
    if (stop.aborted) return; // what stops now is no news
    for (const change of changesBetween(before, now))
      say(`  ${new Date().toTimeString().slice(0, 8)}  ${change}`);
    before = now;
  }
}

/** All slots as they are now. */
export async function lookAtSlots(cloud: LocalCloud): Promise<SlotView[]> {
  const weights = await weightsInDns(cloud);
  return Promise.all(
    cloud.slots.map(async (slot) => {
      const [weight, recorder] = [weights.get(slot.name), await recorderStatus(slot)];
      return { name: slot.name, ...(weight !== undefined && { weight }), ...(recorder && { recorder }) };
    }),
  );
}

/** By slot; nothing if DNS does not answer. */
async function weightsInDns({ deployment, dns }: LocalCloud): Promise<Map<string, number>> {
  const [service] = deployment.dns.services;
  const [transport] = service?.transports ?? [];
  if (!service || !transport) return new Map();
  return slotsInDns(dns, srvName(deployment, service.name, transport)).catch(() => new Map());
}

async function recorderStatus({ ports }: RunningSlot): Promise<SlotView['recorder']> {
  try {
    const signal = AbortSignal.timeout(STATUS_TIMEOUT_MS);
    const response = await fetch(`http://127.0.0.1:${ports.health}/status`, { signal });
    return statusSchema.parse(await response.json());
  } catch {
    return undefined; // dead, frozen or cut off: that is what is shown
  }
}

/** In words, for each slot what is different. Pure. */
export function changesBetween(before: readonly SlotView[], after: readonly SlotView[]): string[] {
  return after.flatMap((now) => {
    const old = before.find(({ name }) => name === now.name);
    if (!old) return [];
    const [was, is] = [stateWords(old), stateWords(now)];
    return [...(was === is ? [] : [`${now.name} ${is}`]), ...dnsChange(old, now)];
  });
}

function stateWords({ recorder }: SlotView): string {
  if (!recorder) return 'does not answer';
  const why = recorder.reasons.length > 0 ? ` (${recorder.reasons.join(', ')})` : '';
  return `is ${recorder.state}${why}`;
}

function dnsChange({ weight: was }: SlotView, { name, weight }: SlotView): string[] {
  if (was === weight) return [];
  if (weight === undefined) return [`${name} has left DNS`];
  return [
    was === undefined ? `${name} is in DNS again, weight ${weight}` : `${name}: weight ${was} -> ${weight}`,
  ];
}

/** All slots in one line: `use1-1 3 calls, weight 97`. */
export const statusLine = (slots: readonly SlotView[]): string =>
  slots
    .map(({ name, weight, recorder }) =>
      [
        name,
        recorder ? `${recorder.activeRecordings} calls,` : 'no answer,',
        weight === undefined ? 'not in DNS' : `weight ${weight}`,
      ].join(' '),
    )
    .join(' | ');
