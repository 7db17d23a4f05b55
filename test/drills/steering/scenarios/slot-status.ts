/** What a recorder says of itself at its health port. */
import type { RunningSlot } from '../../../../local/cloud/slot.ts';

/** Recordings that run. */
export async function activeOn({ ports }: RunningSlot): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${ports.health}/status`);
  return ((await response.json()) as { activeRecordings: number }).activeRecordings;
}
