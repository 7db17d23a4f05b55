/**
 * How soon a recording is found: `npm run bench:findable`. Calls by the BroadWorks simulator to the recorders of the local
 * cloud; somebody asks the query API for the newest recordings all the time. The last line of the output is one JSON object.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { serviceDomain } from '../../core/slot-plan.ts';
import { type ApiClientOptions, apiGet } from '../../local/api-client.ts';
import { type CallResult, placeCalls } from '../../local/broadworks/simulator.ts';
import { LocalCloudRun } from '../../local/cloud/local-cloud.ts';
import { parseCommandLine, runCommand, wholeNumber } from '../../local/command-line.ts';
import { table } from '../drills/report.ts';
import { INSTALLATION, ROOT } from '../e2e/npm-start-child.ts';
import { percentile } from './percentile.ts';

const USAGE = `Usage: npm run bench:findable -- [options]

  --calls N      two-stream calls, after as many as slots to warm up (default 60)
  --seconds N    length of each (default 5)
  --per-second N calls that begin in a second (default 2)

The last line of the output is one JSON object: {"bench":"findable","calls","found","p50","p95","most","withinReach"}, in
seconds from the answer to the BYE until GET /recordings shows the recording, in the region where it was not made as in the one
where it was. It is asked five times a second: as much of it may be the waiting for the next question.
Exit code: 0 all found, p95 under 5 s; 1 not; 2 wrong usage.`;

const REACH_SECONDS = 5;
const ASK_EVERY_MS = 200;
/** More than end between two questions. */
const NEWEST = '100';
const FIND_LIMIT_MS = 60_000;

const OPTIONS = {
  calls: { type: 'string', default: '60' },
  seconds: { type: 'string', default: '5' },
  'per-second': { type: 'string', default: '2' },
  help: { type: 'boolean', default: false },
} as const;

interface Watch {
  /** By Call-ID, in ms: when it was found first. */
  foundAt: ReadonlyMap<string, number>;
  /** Rejects if the API fails. */
  end: () => Promise<void>;
}

/** Asks until it is told to end. */
function watchNewest(api: ApiClientOptions, since: Date): Watch {
  const foundAt = new Map<string, number>();
  const enough = new AbortController();
  const asking = (async () => {
    while (!enough.signal.aborted) {
      const { items } = (await apiGet(api, '/recordings', { from: since.toISOString(), limit: NEWEST })) as {
        items: { sipCallId: string }[];
      };
      const now = Date.now();
      for (const { sipCallId } of items) if (!foundAt.has(sipCallId)) foundAt.set(sipCallId, now);
      await pause(ASK_EVERY_MS);
    }
  })();
  asking.catch(() => {}); // told at the end
  return {
    foundAt,
    async end() {
      enough.abort();
      await asking;
    },
  };
}

async function measure(run: LocalCloudRun, calls: number, durationMs: number, perSecond: number) {
  const cloud = await run.start();
  const { deployment, credentials } = cloud;
  const { name: region } = deployment.regions[0] as { name: string };
  const { name: service } = deployment.dns.services[0] as { name: string };
  const place = (count: number): Promise<CallResult[]> =>
    placeCalls({
      domain: serviceDomain(deployment, service),
      dnsServer: cloud.dns,
      transport: 'udp',
      calls: count,
      durationMs,
      intervalMs: 1000 / perSecond,
      log: () => {},
    });
  const watch = watchNewest({ url: cloud.apiUrl(region), region, credentials }, new Date());
  console.error('calls to warm up');
  await untilFound(watch, await place(cloud.slots.length));
  console.error(`${calls} calls, ${perSecond} a second`);
  const placed = await place(calls);
  await untilFound(watch, placed);
  await watch.end();
  return placed.map(({ sipCallId, endedAt, outcome, recorder }) => ({
    outcome,
    slot: recorder?.target.split('.')[0] ?? '-',
    seconds: ((watch.foundAt.get(sipCallId) ?? Number.POSITIVE_INFINITY) - Date.parse(endedAt)) / 1000,
  }));
}

/** Or a minute. */
async function untilFound({ foundAt }: Watch, calls: readonly CallResult[]): Promise<void> {
  const deadline = Date.now() + FIND_LIMIT_MS;
  while (Date.now() < deadline && !calls.every(({ sipCallId }) => foundAt.has(sipCallId)))
    await pause(ASK_EVERY_MS);
}

const rounded = (seconds: number): number => Math.round(seconds * 100) / 100;

async function main(): Promise<number> {
  const { values } = parseCommandLine(() => parseArgs({ args: process.argv.slice(2), options: OPTIONS }));
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const calls = wholeNumber('--calls', values.calls, 10_000);
  const durationMs = 1000 * wholeNumber('--seconds', values.seconds, 600);
  const perSecond = wholeNumber('--per-second', values['per-second'], 20);
  const directory = mkdtempSync(join(tmpdir(), 'siprec-ha-findable-'));
  const run = new LocalCloudRun({
    deploymentFile: join(ROOT, 'deployments/local.yaml'),
    stateDirectory: directory,
    installDirectory: INSTALLATION,
    ports: 'free',
    fresh: false,
    healthTimeFactor: 1,
    onStep: (what) => {
      console.error(what);
      return () => {};
    },
    onIncident: (what) => console.error(what),
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void run.stop());
  try {
    const found = await measure(run, calls, durationMs, perSecond);
    const seconds = found.map((call) => call.seconds).filter(Number.isFinite);
    const figures = {
      p50: percentile(seconds, 50),
      p95: percentile(seconds, 95),
      most: percentile(seconds, 100),
    };
    const bySlot = Map.groupBy(found, ({ slot }) => slot);
    console.log(
      table([
        ['BYE to findable, seconds', 'calls', 'p50', 'p95', 'most'],
        ...[...bySlot].sort().map(([slot, of]) => {
          const some = of.map((call) => call.seconds);
          return [slot, of.length, percentile(some, 50), percentile(some, 95), percentile(some, 100)];
        }),
      ]),
    );
    const withinReach = seconds.length === calls && figures.p95 < REACH_SECONDS;
    console.log(
      JSON.stringify({
        bench: 'findable',
        calls,
        found: seconds.length,
        p50: rounded(figures.p50),
        p95: rounded(figures.p95),
        most: rounded(figures.most),
        withinReach,
      }),
    );
    return withinReach ? 0 : 1;
  } finally {
    await run.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

await runCommand(USAGE, main);
