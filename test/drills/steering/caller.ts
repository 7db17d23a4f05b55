/** BroadWorks at work: new calls at a steady pace for as long as a drill lasts, by a DNS cache of its own. */
import { DnsCache } from '../../../local/broadworks/dns-cache.ts';
import { type CallResult, placeCalls } from '../../../local/broadworks/simulator.ts';
import type { LocalCloud } from '../../../local/cloud/local-cloud.ts';

const CALLS_PER_SECOND = 2;
/** More than any drill places. */
const MANY = 100_000;

export interface Caller {
  /** Calls that have ended, as they end. */
  results: readonly CallResult[];
  /** Places no more, and waits for the ends of those that run. */
  finish: () => Promise<void>;
  /** Ends all calls now. */
  stop: () => Promise<void>;
}

export function startCaller(cloud: LocalCloud, domain: string, durationMs: number): Caller {
  const results: CallResult[] = [];
  const [enough, broken] = [new AbortController(), new AbortController()];
  const placing = placeCalls({
    domain,
    dnsServer: cloud.dns,
    dnsCache: new DnsCache(),
    transport: 'udp',
    calls: MANY,
    durationMs,
    concurrency: 135,
    intervalMs: 1000 / CALLS_PER_SECOND,
    until: enough.signal,
    signal: broken.signal,
    onResult: (result) => results.push(result),
    log: () => {},
  });
  placing.catch(() => {}); // `finish` tells
  const ended = async (by: AbortController): Promise<void> => {
    by.abort();
    await placing;
  };
  return { results, finish: () => ended(enough), stop: () => ended(broken) };
}

export interface Load {
  /** Calls that the slot has taken, or refused. */
  results: readonly CallResult[];
  stop: () => Promise<void>;
}

/** Calls straight to one recorder, which DNS knows nothing of, until stopped. */
export function loadSlot(sipPort: number, calls: number): Load {
  const broken = new AbortController();
  const results: CallResult[] = [];
  const placing = placeCalls({
    domain: '127.0.0.1',
    port: sipPort,
    dnsServer: { address: '127.0.0.1', port: 53 }, // not asked: the domain is an address
    transport: 'udp',
    calls,
    durationMs: 3_600_000,
    intervalMs: 20,
    signal: broken.signal,
    onResult: (result) => results.push(result),
    log: () => {},
  });
  placing.catch(() => {});
  return {
    results,
    async stop() {
      broken.abort();
      await placing;
    },
  };
}
