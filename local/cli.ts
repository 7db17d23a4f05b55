/** `npm start`: the whole platform on this machine, with calls, found again and checked. */
import { parseArgs } from 'node:util';
import { DeploymentFileError } from '../core/deployment.ts';
import { serviceDomain } from '../core/slot-plan.ts';
import { placeCalls } from './broadworks/simulator.ts';
import { LocalCloudError } from './cloud/errors.ts';
import { type LocalCloud, LocalCloudRun } from './cloud/local-cloud.ts';
import { hints } from './hints.ts';
import { reportTable } from './report.ts';
import { verifyCalls } from './verify.ts';

const USAGE = `Usage: npm start -- [options]

  --calls N           calls to place (default 4, 0 for none)
  --duration SECONDS  length of each call (default 5)
  --transport udp|tcp of the calls' signalling (default udp)
  --streams dual|single  BroadWorks' media stream mode (default dual)
  --exit              stop after the calls; exit code 1 if any is not recorded as it should be
  --fresh             forget the recordings and the state of earlier starts
  --free-ports        use free ports instead of the fixed ones
  --deployment FILE   (default deployments/local.yaml)
  --state DIRECTORY   (default .local)
  --health-time-factor N  divide the intervals of health checks by N (default 1)`;

const MAX_CALLS = 1_000;
const CALL_SPACING_MS = 100;

class UsageError extends Error {}

interface Options {
  calls: number;
  durationMs: number;
  transport: 'udp' | 'tcp';
  streams: 'dual' | 'single';
  exit: boolean;
  fresh: boolean;
  freePorts: boolean;
  deployment: string;
  state: string;
  healthTimeFactor: number;
}

function readOptions(args: string[]): Options | 'help' {
  let values: ReturnType<typeof parse>;
  try {
    values = parse(args);
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
  if (values.help) return 'help';
  return {
    calls: number('--calls', values.calls, 0, MAX_CALLS),
    durationMs: number('--duration', values.duration, 1, 3_600) * 1000,
    transport: oneOf('--transport', values.transport, ['udp', 'tcp']),
    streams: oneOf('--streams', values.streams, ['dual', 'single']),
    exit: values.exit,
    fresh: values.fresh,
    freePorts: values['free-ports'],
    deployment: values.deployment,
    state: values.state,
    healthTimeFactor: number('--health-time-factor', values['health-time-factor'], 1, 100),
  };
}

const parse = (args: string[]) =>
  parseArgs({
    args,
    options: {
      calls: { type: 'string', default: '4' },
      duration: { type: 'string', default: '5' },
      transport: { type: 'string', default: 'udp' },
      streams: { type: 'string', default: 'dual' },
      exit: { type: 'boolean', default: false },
      fresh: { type: 'boolean', default: false },
      'free-ports': { type: 'boolean', default: false },
      deployment: { type: 'string', default: 'deployments/local.yaml' },
      state: { type: 'string', default: '.local' },
      'health-time-factor': { type: 'string', default: '1' },
      help: { type: 'boolean', default: false },
    },
  }).values;

function number(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (!(Number.isInteger(value) && value >= min && value <= max))
    throw new UsageError(`${name} ${text}: write a whole number from ${min} to ${max}`);
  return value;
}

function oneOf<Choice extends string>(name: string, text: string, choices: readonly Choice[]): Choice {
  const choice = choices.find((candidate) => candidate === text);
  if (!choice) throw new UsageError(`${name} ${text}: write one of ${choices.join(', ')}`);
  return choice;
}

const say = (line: string): void => console.log(line);

/** A step of the start: its name when it begins to take long, its time when it is done. */
function onStep(what: string): () => void {
  const begun = performance.now();
  return () => say(`  ${((performance.now() - begun) / 1000).toFixed(1).padStart(5)} s  ${what}`);
}

/** Places calls, finds them again and checks them. @returns whether all were recorded as they should be */
async function mainJob(cloud: LocalCloud, options: Options, signal: AbortSignal): Promise<boolean> {
  const { calls, durationMs, transport, streams } = options;
  const service = (cloud.deployment.dns.services[0] as { name: string }).name;
  const since = new Date();
  const placed = onStep(`place ${calls} calls of ${durationMs / 1000} s by ${transport.toUpperCase()}`);
  const results = await placeCalls({
    domain: serviceDomain(cloud.deployment, service),
    dnsServer: cloud.dns,
    transport,
    streams,
    calls,
    durationMs,
    intervalMs: CALL_SPACING_MS,
    signal,
    log: () => {},
  });
  placed();
  const found = onStep('find the recordings through the API and check their audio');
  const region = (cloud.deployment.regions[0] as { name: string }).name;
  const api = { url: cloud.apiUrl(region), region, credentials: cloud.credentials };
  const verified = await verifyCalls(api, results, since, streams);
  found();
  say(`\n${reportTable(verified)}\n`);
  const incidents = cloud.slots.flatMap((slot) => slot.incident() ?? []);
  for (const incident of incidents) say(`  ${incident} during the run`);
  const wrong = verified.filter(({ problems }) => problems.length > 0).length;
  const recorded = results.length - wrong;
  say(`${recorded} of ${calls} calls recorded, found and checked${wrong > 0 ? `; ${wrong} WRONG` : ''}`);
  return recorded === calls && incidents.length === 0;
}

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  if (options === 'help') {
    say(USAGE);
    return 0;
  }
  const run = new LocalCloudRun({
    deploymentFile: options.deployment,
    stateDirectory: options.state,
    ports: options.freePorts ? 'free' : 'fixed',
    fresh: options.fresh,
    healthTimeFactor: options.healthTimeFactor,
    onStep,
    onIncident: (what) => say(`  !  ${what}`),
  });
  const interrupt = new AbortController();
  const interrupted = new Promise<'interrupted'>((resolve) => {
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
      process.on(name, () => {
        if (!interrupt.signal.aborted) say('\nstopping ...');
        interrupt.abort();
        resolve('interrupted');
      });
  });
  try {
    const started = run.start();
    started.catch(() => {}); // raced below; an interrupted start fails with nobody waiting
    const cloud = await Promise.race([started, interrupted]);
    if (cloud === 'interrupted') return 130;
    if (options.calls > 0) {
      const job = mainJob(cloud, options, interrupt.signal);
      const good = await Promise.race([job, cloud.lost]);
      if (options.exit) return good && !interrupt.signal.aborted ? 0 : 1;
    }
    if (options.exit || interrupt.signal.aborted) return interrupt.signal.aborted ? 130 : 0;
    say(hints(cloud));
    await Promise.race([interrupted, cloud.lost]);
    return 0;
  } finally {
    await run.stop();
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  const expected =
    error instanceof LocalCloudError || error instanceof DeploymentFileError || error instanceof UsageError;
  console.error(`\n${expected ? error.message : ((error as Error).stack ?? error)}`);
  if (error instanceof UsageError) console.error(`\n${USAGE}`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
process.exit();
