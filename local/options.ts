/** The command line of `npm start`. */
import { parseArgs } from 'node:util';
import { parseCommandLine, UsageError } from './command-line.ts';

export const USAGE = `Usage: npm start -- [options]

  --calls N           calls to place (default 4, 0 for none)
  --duration SECONDS  length of each call (default 5)
  --transport udp|tcp of the calls' signalling (default udp)
  --streams dual|single  BroadWorks' media stream mode (default dual)
  --exit              stop after the calls; exit code 1 if any is not recorded as it should be
  --fresh             forget the recordings and the state of earlier starts
  --free-ports        use free ports instead of the fixed ones
  --deployment FILE   (default deployments/local.yaml)
  --state DIRECTORY   recordings, logs and the emulator's state (default .local)
  --install DIRECTORY where the AWS emulator is installed (default .local/emulator)
  --health-time-factor N  divide the intervals of health checks by N (default 1)`;

const MAX_CALLS = 1_000;

export interface Options {
  calls: number;
  durationMs: number;
  transport: 'udp' | 'tcp';
  streams: 'dual' | 'single';
  exit: boolean;
  fresh: boolean;
  freePorts: boolean;
  deployment: string;
  state: string;
  install: string;
  healthTimeFactor: number;
}

/** @throws UsageError */
export function readOptions(args: string[]): Options | 'help' {
  const values = parse(args);
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
    install: values.install,
    healthTimeFactor: number('--health-time-factor', values['health-time-factor'], 1, 100),
  };
}

const parse = (args: string[]) =>
  parseCommandLine(
    () =>
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
          install: { type: 'string', default: '.local/emulator' },
          'health-time-factor': { type: 'string', default: '1' },
          help: { type: 'boolean', default: false },
        },
      }).values,
  );

function number(name: string, text: string, min: number, max: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= min && value <= max))
    throw new UsageError(`${name} ${text}: write a whole number from ${min} to ${max}`);
  return value;
}

function oneOf<Choice extends string>(name: string, text: string, choices: readonly Choice[]): Choice {
  const choice = choices.find((candidate) => candidate === text);
  if (!choice) throw new UsageError(`${name} ${text}: write one of ${choices.join(', ')}`);
  return choice;
}
