/** What DNS says of the recording platform, over time: asked like an SRC without a memory would, several times a second. */
import { setTimeout as pause } from 'node:timers/promises';
import type { DnsServerAddress } from '../../../local/broadworks/dns-client.ts';
import { slotsInDns } from '../../../local/slots-in-dns.ts';
import { until } from '../../helpers/until.ts';

const EVERY_MS = 100;

/** The answer from `atMs` (milliseconds since the epoch) on: weights by slot. */
export interface SeenAnswer {
  atMs: number;
  weights: ReadonlyMap<string, number>;
}

export interface DnsWatch {
  /** Changes of the answer, in the order of time. */
  history: readonly SeenAnswer[];
  weightOf: (slot: string) => number | undefined;
  /** Resolves when the answer does not name these slots any more, with the time. */
  untilGone: (...slots: string[]) => Promise<number>;
  /** Resolves when the answer names these slots. */
  untilBack: (...slots: string[]) => Promise<number>;
  stop: () => Promise<void>;
}

/** @param name of the SRV records, `_sip._udp.siprec.rec.example.com` */
export async function watchDns(server: DnsServerAddress, name: string): Promise<DnsWatch> {
  const history: SeenAnswer[] = [];
  const stop = new AbortController();
  const ask = async (): Promise<void> => {
    const weights = await slotsInDns(server, name);
    const atMs = Date.now();
    const last = history.at(-1)?.weights;
    if (!last || JSON.stringify([...last]) !== JSON.stringify([...weights])) history.push({ atMs, weights });
  };
  await ask();
  const watching = (async () => {
    while (!stop.signal.aborted) {
      await pause(EVERY_MS);
      await ask();
    }
  })();
  watching.catch(() => {}); // `stop` tells
  const now = (): ReadonlyMap<string, number> => history.at(-1)?.weights as ReadonlyMap<string, number>;
  const untilNow = async (condition: () => boolean): Promise<number> => {
    await Promise.race([until(condition), watching]);
    return history.at(-1)?.atMs as number;
  };
  return {
    history,
    weightOf: (slot) => now().get(slot),
    untilGone: (...slots) => untilNow(() => slots.every((slot) => !now().has(slot))),
    untilBack: (...slots) => untilNow(() => slots.every((slot) => now().has(slot))),
    async stop() {
      stop.abort();
      await watching;
    },
  };
}
