/**
 * The recorder's process: environment in, one recorder, and an end that loses nothing.
 * With `recover <dir>` no recorder, but the recordings of a spool: see `lifecycle/recover.ts`. With `drain` none either, but a
 * word to the one that runs: see `lifecycle/drain.ts`.
 */
import pino from 'pino';
import { readRecorderEnvironment } from '../../core/recorder-environment.ts';
import { drain } from './lifecycle/drain.ts';
import { recover } from './lifecycle/recover.ts';
import { startRecorder } from './recorder.ts';

const [name, ...args] = process.argv.slice(2);
if (name !== undefined) {
  const command = new Map([
    ['recover', recover],
    ['drain', drain],
  ]).get(name);
  if (command) process.exit(await command(args, process.env, console.log, console.error));
  console.error(`${name} is no command: use recover <directory>, drain, or none to start a recorder`);
  process.exit(2);
}

let environment: ReturnType<typeof readRecorderEnvironment>;
try {
  environment = readRecorderEnvironment(process.env);
} catch (error) {
  console.error((error as Error).message);
  process.exit(1);
}
const logger = pino({ level: environment.LOG_LEVEL, base: { slot: environment.SIPREC_SLOT } });

// A crash costs nothing that is in the spool, and a process in an unknown state could.
process.on('uncaughtException', (error) => {
  logger.fatal({ err: error }, 'crashed; the next start finishes what the spool holds');
  process.exit(1);
});

try {
  const recorder = await startRecorder(environment, logger);
  const drainMs = environment.SIPREC_DRAIN_SECONDS * 1000;
  let stopping = false;
  // Once: who says it again gets nothing faster, and cuts nothing short.
  const stop = (why: string, ceilingMs = drainMs) => {
    if (stopping) return;
    stopping = true;
    logger.info({ why, ceilingMs }, 'told to stop');
    void recorder.stop(Math.min(ceilingMs, drainMs)).then(() => process.exit(0));
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stop(signal));
  void recorder.drainRequested.then(({ why, ceilingMs }) => stop(why, ceilingMs));
  if (environment.SIPREC_DRILLS === '1') process.on('SIGUSR2', () => void recorder.crashMediaWorker());
  const sip = await recorder.connected;
  logger.info({ ready: true, sip, healthPort: recorder.healthPort }, 'ready');
} catch (error) {
  logger.fatal({ err: error }, 'cannot start');
  process.exit(1);
}
