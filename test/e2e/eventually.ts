import { setTimeout as delay } from 'node:timers/promises';

const DEADLINE_MS = 60_000;
const POLL_MS = 50;

/**
 * Looks until there is something to see, for what tells nobody that it has happened (processes, an index).
 * @throws after a minute, naming what did not come
 */
export async function eventually<T>(
  what: string,
  look: () => T | undefined | Promise<T | undefined>,
): Promise<T> {
  const deadline = Date.now() + DEADLINE_MS;
  while (Date.now() < deadline) {
    const seen = await look();
    if (seen !== undefined) return seen;
    await delay(POLL_MS);
  }
  throw new Error(`${what} did not come within ${DEADLINE_MS / 1000} s`);
}
