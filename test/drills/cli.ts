/** Plays a drill from the command line: `npm run drill -- <name>`. The last line of its output is one JSON object. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { installEmulator } from '../../local/cloud/emulator.ts';
import { parseCommandLine, runCommand, UsageError, wholeNumber } from '../../local/command-line.ts';
import { INSTALLATION } from '../e2e/npm-start-child.ts';
import { startTestEmulator } from '../helpers/emulator.ts';
import { type Drill, runDrill } from './drill.ts';
import { DRILLS } from './drills.ts';
import { type RecordingsDrill, runRecordingsDrill } from './recordings/recordings-drill.ts';
import { RECORDINGS_DRILLS } from './recordings/recordings-drills.ts';
import { startRecordingsStage } from './recordings/recordings-stage.ts';
import { runSteeringDrill, type SteeringDrill } from './steering/steering-drill.ts';
import { STEERING_DRILLS } from './steering/steering-drills.ts';

const list = (drills: Iterable<{ name: string; what: string }>): string =>
  Array.from(drills, ({ name, what }) => `  ${name.padEnd(20)} ${what}`).join('\n');

const USAGE = `Usage: npm run drill -- NAME [options]

No audio is lost: one recorder, many calls.
${list(DRILLS.values())}

  --calls N       two-stream calls at the same time (default 200)
  --seconds N     how long they talk before anything breaks (default 10)
  --seed N        of all that is random (default: by the clock)

Their last line is one JSON object: {"drill","passed","calls","manifests","maxMsMissing","recoverySeconds"}; maxMsMissing is
that of the stream that lost most, besides the time in which no process listened.

No call is lost: the local cloud, with two new calls a second.
${list(STEERING_DRILLS.values())}

  --seconds N     length of each call (default 10)
  --time-factor N divides the intervals of health checks (default 1: Route 53's time)

Their last line: {"drill","passed","newCalls","recorded","failedOver","lost","secondsToLeaveDns","cut"}.

Every recording arrives: the deployed stacks, without recorders.
${list(RECORDINGS_DRILLS.values())}

  --recordings N  synthetic recordings (default 500)

Their last line: {"drill","passed","recordings","indexed","copiesDue","copiesVerified","repairSeconds"}.

Where DRACHTIO_SERVER names a drachtio-server, it is the SIP server.
Exit code: 0 passed, 1 not passed, 2 wrong usage.`;

const OPTIONS = {
  calls: { type: 'string', default: '200' },
  seconds: { type: 'string', default: '10' },
  seed: { type: 'string' },
  'time-factor': { type: 'string', default: '1' },
  recordings: { type: 'string', default: '500' },
  help: { type: 'boolean', default: false },
} as const;

const parse = (args: string[]) =>
  parseCommandLine(() => parseArgs({ args, options: OPTIONS, allowPositionals: true }));

function chosen(positionals: string[]): string {
  const [name, ...others] = positionals;
  if (name === undefined) throw new UsageError('which drill?');
  if (others.length > 0) throw new UsageError(`one drill at a time, not also ${others.join(' ')}`);
  return name;
}

/** Set for the command that runs in a namespace of its own. */
const IN_NAMESPACE = 'SIPREC_DRILL_IN_NAMESPACE';

/** The same command where anybody may do what only root may otherwise, which ends with it: in namespaces of its own (unshare(1)). */
async function inOwnNamespace(kind: '--mount' | '--net'): Promise<number> {
  const command = ['sh', '-c', kind === '--net' ? 'ip link set lo up && exec "$@"' : 'exec "$@"', 'sh'];
  const args = ['--map-root-user', kind, ...command, process.execPath, ...process.argv.slice(1)];
  const child = spawn('unshare', args, { stdio: 'inherit', env: { ...process.env, [IN_NAMESPACE]: '1' } });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
  const [code] = await once(child, 'exit');
  return code ?? 1;
}

/** What a drill prints, of either kind. */
interface Played {
  result: { passed: boolean };
  failures: string[];
  /** For people. */
  table: string;
}

interface Context {
  values: ReturnType<typeof parse>['values'];
  log: (line: string) => void;
  signal: AbortSignal;
}

async function playDrill(drill: Drill, { values, log, signal }: Context): Promise<Played> {
  const options = {
    calls: wholeNumber('--calls', values.calls, 400),
    talkMs: 1000 * wholeNumber('--seconds', values.seconds, 3_600),
    seed: values.seed === undefined ? Date.now() % 1e9 : wholeNumber('--seed', values.seed, 1e9),
    log,
  };
  log(`${drill.name}: ${drill.what}; seed ${options.seed}`);
  const emulator = await startTestEmulator();
  try {
    signal.throwIfAborted();
    const { losses, ...report } = await runDrill(drill, emulator, options, signal);
    return { ...report, table: losses };
  } finally {
    await emulator.stop();
  }
}

async function playSteeringDrill(drill: SteeringDrill, { values, log, signal }: Context): Promise<Played> {
  const options = {
    callMs: 1000 * wholeNumber('--seconds', values.seconds, 60),
    timeFactor: wholeNumber('--time-factor', values['time-factor'], 100),
    log,
  };
  log(`${drill.name}: ${drill.what}`);
  return runSteeringDrill(drill, options, signal);
}

async function playRecordingsDrill(
  drill: RecordingsDrill,
  { values, log, signal }: Context,
): Promise<Played> {
  const recordings = wholeNumber('--recordings', values.recordings, 10_000);
  log(`${drill.name}: ${drill.what}`);
  const stage = await startRecordingsStage(log, signal);
  try {
    return await runRecordingsDrill(drill, stage, recordings);
  } finally {
    await stage.stop();
  }
}

async function main(): Promise<number> {
  const { values, positionals } = parse(process.argv.slice(2));
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const name = chosen(positionals);
  const drill = DRILLS.get(name);
  const steeringDrill = STEERING_DRILLS.get(name);
  const recordingsDrill = RECORDINGS_DRILLS.get(name);
  if (!drill && !steeringDrill && !recordingsDrill) throw new UsageError(`there is no drill ${name}`);
  const kind = drill?.mounts ? '--mount' : steeringDrill?.dropsPackets ? '--net' : undefined;
  if (kind && process.env[IN_NAMESPACE] !== '1') {
    await installEmulator(INSTALLATION); // inside, there may be no network
    return inOwnNamespace(kind);
  }
  const startedAt = performance.now();
  const interrupt = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => interrupt.abort(new Error(`broken off by ${signal}`)));
  const context: Context = {
    values,
    log: (line) =>
      console.error(`${((performance.now() - startedAt) / 1000).toFixed(1).padStart(6)} s  ${line}`),
    signal: interrupt.signal,
  };
  const { result, failures, table } = drill
    ? await playDrill(drill, context)
    : steeringDrill
      ? await playSteeringDrill(steeringDrill, context)
      : await playRecordingsDrill(recordingsDrill as RecordingsDrill, context);
  console.log(table);
  for (const failure of failures) console.log(`NOT AS EXPECTED: ${failure}`);
  console.log(JSON.stringify(result));
  return result.passed ? 0 : 1;
}

await runCommand(USAGE, main);
