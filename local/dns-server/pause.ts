import { setTimeout as timeout } from 'node:timers/promises';

/** Waits; resolves early when stopped, so that loops look at their signal in one place. */
export async function pause(durationMs: number, stop: AbortSignal): Promise<void> {
  try {
    await timeout(durationMs, undefined, { signal: stop });
  } catch (error) {
    if (!stop.aborted) throw error;
  }
}
