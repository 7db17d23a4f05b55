/** `npm start`: the whole platform on this machine, with calls, found again and checked. */
import { constants } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { DeploymentFileError } from '../core/deployment.ts';
import { LocalCloudError } from './cloud/errors.ts';
import { type LocalCloud, LocalCloudRun } from './cloud/local-cloud.ts';
import { UsageError } from './command-line.ts';
import { hints } from './hints.ts';
import { lookAtSlots, showSlots } from './live-view.ts';
import { runMainJob } from './main-job.ts';
import { type Options, readOptions, USAGE } from './options.ts';
import { showProgress } from './progress.ts';

const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** The news of a dead emulator may come later than the failures that it causes. */
const LOST_GRACE_MS = 1_000;

/** The user wants it to stop. */
class Interrupted extends Error {
  readonly exitCode: number;

  constructor(signal: (typeof STOP_SIGNALS)[number]) {
    super(signal);
    this.exitCode = 128 + constants.signals[signal]; // as shells do
  }
}

const progress = showProgress(process.stdout);

async function main(options: Options): Promise<number> {
  const interrupt = new AbortController();
  for (const name of STOP_SIGNALS)
    process.on(name, () => {
      if (!interrupt.signal.aborted) progress.say('\nstopping ...');
      interrupt.abort(new Interrupted(name));
    });
  const interrupted = new Promise<never>((_, reject) => {
    interrupt.signal.addEventListener('abort', () => reject(interrupt.signal.reason));
  });
  const run = new LocalCloudRun({
    deploymentFile: options.deployment,
    stateDirectory: options.state,
    installDirectory: options.install,
    ports: options.freePorts ? 'free' : 'fixed',
    fresh: options.fresh,
    healthTimeFactor: options.healthTimeFactor,
    onStep: progress.onStep,
    onIncident: (what) => progress.say(`  !  ${what.replaceAll('\n', '\n     ')}`),
  });
  try {
    const cloud = await Promise.race([run.start(), interrupted]);
    if (options.calls > 0) {
      const good = await unlessLost(cloud, runMainJob(cloud, options, progress, interrupt.signal));
      if (options.exit) return good ? 0 : 1;
    }
    if (options.exit) return 0;
    const seen = await lookAtSlots(cloud); // before anybody is asked to break something
    progress.say(hints(cloud));
    void showSlots(cloud, seen, progress, interrupt.signal);
    return await Promise.race([cloud.lost, interrupted.catch(() => 0)]);
  } finally {
    await run.stop();
  }
}

/** What fails because the emulator is gone should say so. */
function unlessLost<T>(cloud: LocalCloud, work: Promise<T>): Promise<T> {
  const explained = work.catch(async (error) => {
    await Promise.race([cloud.lost, delay(LOST_GRACE_MS)]);
    throw error;
  });
  return Promise.race([explained, cloud.lost]);
}

const EXPECTED = [LocalCloudError, DeploymentFileError];

/** @returns the exit code */
function explain(error: unknown): number {
  if (error instanceof Interrupted) return error.exitCode;
  if (error instanceof UsageError) {
    console.error(`${error.message}\n\n${USAGE}`);
    return 2;
  }
  const expected = EXPECTED.some((type) => error instanceof type);
  console.error(`\n${expected ? (error as Error).message : ((error as Error).stack ?? error)}`);
  return 1;
}

try {
  const options = readOptions(process.argv.slice(2));
  if (options === 'help') console.log(USAGE);
  else process.exitCode = await main(options);
} catch (error) {
  process.exitCode = explain(error);
}
process.exit();
