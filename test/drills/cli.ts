/** Plays a drill from the command line: `npm run drill -- <name>`. The last line of its output is one JSON object. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { startTestEmulator } from '../helpers/emulator.ts';
import { type DrillOptions, runDrill } from './drill.ts';
import { DRILLS } from './drills.ts';

const names = [...DRILLS.values()].map(({ name, what }) => `  ${name.padEnd(15)} ${what}`).join('\n');

const USAGE = `Usage: npm run drill -- NAME [options]

${names}

  --calls N       two-stream calls at the same time (default 200)
  --seconds N     how long they talk before anything breaks (default 10)
  --seed N        of all that is random (default: by the clock)

Where DRACHTIO_SERVER names a drachtio-server, it is the SIP server. The last line of the output is one JSON object:
{"drill","passed","calls","manifests","maxMsMissing","recoverySeconds"}; maxMsMissing is that of the stream that lost most,
besides the time in which no process listened.
Exit code: 0 passed, 1 not passed, 2 wrong usage.`;

class UsageError extends Error {}

const OPTIONS = {
  calls: { type: 'string', default: '200' },
  seconds: { type: 'string', default: '10' },
  seed: { type: 'string' },
  help: { type: 'boolean', default: false },
} as const;

function parse(args: string[]) {
  try {
    return parseArgs({ args, options: OPTIONS, allowPositionals: true });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function number(option: string, value: string, max: number): number {
  const parsed = /^\d+$/.test(value) ? Number(value) : Number.NaN;
  if (!(parsed >= 1 && parsed <= max))
    throw new UsageError(`${option} ${value}: expected a whole number from 1 to ${max}`);
  return parsed;
}

function chosen(positionals: string[]): string {
  const [name, ...others] = positionals;
  if (name === undefined) throw new UsageError('which drill?');
  if (others.length > 0) throw new UsageError(`one drill at a time, not also ${others.join(' ')}`);
  return name;
}

/** Set for the command that runs in a namespace of its own. */
const IN_NAMESPACE = 'SIPREC_DRILL_IN_NAMESPACE';

/** The same command where anybody may mount a file system, which goes with it: in a user namespace of its own (unshare(1)). */
async function inOwnNamespace(): Promise<number> {
  const command = ['--map-root-user', '--mount', process.execPath, ...process.argv.slice(1)];
  const child = spawn('unshare', command, { stdio: 'inherit', env: { ...process.env, [IN_NAMESPACE]: '1' } });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal));
  const [code] = await once(child, 'exit');
  return code ?? 1;
}

async function main(): Promise<number> {
  const { values, positionals } = parse(process.argv.slice(2));
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const name = chosen(positionals);
  const drill = DRILLS.get(name);
  if (!drill) throw new UsageError(`there is no drill ${name}`);
  if (drill.mounts && process.env[IN_NAMESPACE] !== '1') return inOwnNamespace();
  const startedAt = performance.now();
  const options: DrillOptions = {
    calls: number('--calls', values.calls, 400),
    talkMs: 1000 * number('--seconds', values.seconds, 3_600),
    seed: values.seed === undefined ? Date.now() % 1e9 : number('--seed', values.seed, 1e9),
    log: (line) =>
      console.error(`${((performance.now() - startedAt) / 1000).toFixed(1).padStart(6)} s  ${line}`),
  };
  const interrupt = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => interrupt.abort(new Error(`broken off by ${signal}`)));
  options.log(`${name}: ${drill.what}; seed ${options.seed}`);
  const emulator = await startTestEmulator();
  try {
    interrupt.signal.throwIfAborted();
    const { result, failures, losses } = await runDrill(drill, emulator, options, interrupt.signal);
    console.log(losses);
    for (const failure of failures) console.log(`NOT AS EXPECTED: ${failure}`);
    console.log(JSON.stringify(result));
    return result.passed ? 0 : 1;
  } finally {
    await emulator.stop();
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  if (error instanceof UsageError) {
    console.error(`${error.message}\n\n${USAGE}`);
    process.exitCode = 2;
  } else {
    console.error((error as Error).message);
    process.exitCode = 1;
  }
}
