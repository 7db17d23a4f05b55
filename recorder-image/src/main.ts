/**
 * The recorder's process: environment in, one recorder, and an end that loses nothing.
 * With `recover <dir>` no recorder, but the recordings of a spool: see `lifecycle/recover.ts`.
 */
import pino from 'pino';
import { readRecorderEnvironment } from '../../core/recorder-environment.ts';
import { recover } from './lifecycle/recover.ts';
import { startRecorder } from './recorder.ts';

const [command, ...args] = process.argv.slice(2);
if (command === 'recover') process.exit(await recover(args, process.env, console.log, console.error));
if (command !== undefined) {
  console.error(`${command} is no command: use recover <directory>, or none to start a recorder`);
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
  let stopping = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, () => {
      if (stopping) return;
      stopping = true;
      void recorder.stop(environment.SIPREC_DRAIN_SECONDS * 1000).then(() => process.exit(0));
    });
  if (environment.SIPREC_DRILLS === '1') process.on('SIGUSR2', () => void recorder.crashMediaWorker());
  const sip = await recorder.connected;
  logger.info({ ready: true, sip, healthPort: recorder.healthPort }, 'ready');
} catch (error) {
  logger.fatal({ err: error }, 'cannot start');
  process.exit(1);
}
