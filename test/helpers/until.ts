/** For what happens without telling anybody: files that grow, other programs' states. */
import { setTimeout as pause } from 'node:timers/promises';

const EVERY_MS = 20;

/** Resolves as soon as `condition` holds; the test's own timeout ends it otherwise. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await pause(EVERY_MS);
}
