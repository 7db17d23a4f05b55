/** The main job of `npm start`: places calls, finds their recordings again, and checks them. */
import { unconditionalTargets } from '../core/replication-rules.ts';
import { serviceDomain } from '../core/slot-plan.ts';
import { placeCalls } from './broadworks/simulator.ts';
import type { LocalCloud } from './cloud/local-cloud.ts';
import type { Options } from './options.ts';
import type { Progress } from './progress.ts';
import { reportTable } from './report.ts';
import { verifyCalls } from './verify.ts';

const CALL_SPACING_MS = 100;

/**
 * Says what it does, and at its end what became of each call.
 * @returns whether all calls were recorded as they should be, and no process of the cloud ended meanwhile
 * @throws the signal's reason, after the calls have been hung up
 */
export async function runMainJob(
  cloud: LocalCloud,
  { calls, durationMs, transport, streams }: Options,
  { say, onStep }: Progress,
  signal: AbortSignal,
): Promise<boolean> {
  const { deployment, credentials, slots, dns } = cloud;
  const service = (deployment.dns.services[0] as { name: string }).name;
  const region = (deployment.regions[0] as { name: string }).name;
  const since = new Date();
  const placed = onStep(`place ${calls} calls of ${durationMs / 1000} s by ${transport.toUpperCase()}`);
  const results = await placeCalls({
    domain: serviceDomain(deployment, service),
    dnsServer: dns,
    transport,
    streams,
    calls,
    durationMs,
    intervalMs: CALL_SPACING_MS,
    signal,
    log: () => {},
  });
  signal.throwIfAborted();
  placed();
  const found = onStep('find the recordings and their copies through the API and check their audio');
  const api = { url: cloud.apiUrl(region), region, credentials };
  const verified = await verifyCalls(api, results, {
    since,
    streams,
    signal,
    targetsOf: (homeRegion) => unconditionalTargets(deployment, homeRegion),
  });
  found();

  say(`\n${reportTable(verified)}\n`);
  say(`  In the API: ${api.url}/recordings/<recording>\n`);
  const incidents = slots.flatMap((slot) => slot.incident() ?? []);
  for (const incident of incidents) say(`  ${incident} during the calls`);
  if (incidents.length > 0)
    say(
      '  What a dead recorder had received is on its disk: the next start with the same --state finishes it.\n',
    );
  const good = verified.filter(({ problems }) => problems.length === 0).length;
  const bad = calls - good;
  say(`${good} of ${calls} calls recorded, found and checked${bad > 0 ? `; ${bad} WRONG` : ''}`);
  return bad === 0 && incidents.length === 0;
}
