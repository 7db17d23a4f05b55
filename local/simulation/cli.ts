/** Compares ways to steer calls by simulation, from the command line. */
import { mkdir, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { parseCommandLine, runCommand, UsageError, wholeNumber } from '../command-line.ts';
import { drawChart } from './chart.ts';
import { FleetSizeError, planFleet } from './fleet.ts';
import { POLICIES } from './policies.ts';
import { named, runAll, type Task, UnknownNameError } from './run-all.ts';
import { SCENARIOS } from './scenarios.ts';
import { REFERENCE_LOAD } from './simulate.ts';
import { formatTable } from './table.ts';
import { missedTargets } from './targets.ts';

const list = (all: readonly { name: string; what: string }[]): string =>
  all.map(({ name, what }) => `  ${name.padEnd(26)}${what}`).join('\n');

const USAGE = `Usage: npm run simulate:steering -- [options]

  --slots N             recorders, a multiple of 4; every 8 share an SRV name (default 4)
  --calls N             calls at the same time, at ${REFERENCE_LOAD * 100} % of the first priority (default 7000)
  --seed N              of all random numbers (default 1)
  --seeds N             runs each with so many seeds in succession (default 1)
  --scenario A,B        only these
  --policy A,B          only these
  --threads N           (default: one per processor)
  --out DIRECTORY       where steering.svg goes (default .local/simulation)

Scenarios:
${list(SCENARIOS)}

Policies:
${list(POLICIES)}

Prints a table, and as the last line one JSON object with every figure.
Exit code: 0 all targets reached, 1 one was missed, 2 wrong usage.`;

const OPTIONS = {
  slots: { type: 'string', default: '4' },
  calls: { type: 'string', default: '7000' },
  seed: { type: 'string', default: '1' },
  seeds: { type: 'string', default: '1' },
  scenario: { type: 'string' },
  policy: { type: 'string' },
  threads: { type: 'string' },
  out: { type: 'string', default: join('.local', 'simulation') },
  help: { type: 'boolean', default: false },
} as const;

interface Options {
  slots: number;
  calls: number;
  seed: number;
  seeds: number;
  scenarios: string[];
  /** All that belong to a scenario when absent. */
  policies?: string[];
  threads: number;
  out: string;
}

function readOptions(args: string[]): Options | 'help' {
  const values = parse(args);
  if (values.help) return 'help';
  const options: Options = {
    slots: wholeNumber('--slots', values.slots, 10_000),
    calls: wholeNumber('--calls', values.calls, 10_000_000),
    seed: wholeNumber('--seed', values.seed, 2 ** 31 - 1),
    seeds: wholeNumber('--seeds', values.seeds, 1_000),
    scenarios: names('--scenario', SCENARIOS, values.scenario),
    ...(values.policy !== undefined && { policies: names('--policy', POLICIES, values.policy) }),
    threads:
      values.threads === undefined ? availableParallelism() : wholeNumber('--threads', values.threads, 64),
    out: values.out,
  };
  try {
    planFleet(options.slots, options.calls / REFERENCE_LOAD);
  } catch (error) {
    throw error instanceof FleetSizeError
      ? new UsageError(`--slots ${values.slots} --calls ${values.calls}: ${error.message}`)
      : error;
  }
  return options;
}

const parse = (args: string[]) =>
  parseCommandLine(() => parseArgs({ args, options: OPTIONS, strict: true }).values);

function names(
  option: string,
  all: readonly { name: string }[],
  value = all.map(({ name }) => name).join(','),
): string[] {
  try {
    return value.split(',').map((name) => named(option, all, name).name);
  } catch (error) {
    throw error instanceof UnknownNameError ? new UsageError(error.message) : error;
  }
}

const policiesOf = (scenario: string): string[] =>
  POLICIES.filter(({ onlyIn }) => onlyIn?.includes(scenario) ?? true).map(({ name }) => name);

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  if (options === 'help') {
    console.log(USAGE);
    return 0;
  }
  const { slots, calls, seed, seeds, scenarios, policies, threads, out } = options;
  const tasks: Task[] = scenarios.flatMap((scenario) =>
    (policies ?? policiesOf(scenario)).flatMap((policy) =>
      Array.from({ length: seeds }, (_, index) => ({ scenario, policy, seed: seed + index, slots, calls })),
    ),
  );
  const startedAt = performance.now();
  const results = await runAll(tasks, threads, (task) =>
    console.error(`${task.scenario}, ${task.policy}, seed ${task.seed}`),
  );
  const seconds = (performance.now() - startedAt) / 1000;
  const figures = results.map((result) => result.figures);
  console.log(formatTable(figures));

  const chart = drawChart(
    `${slots} slots, ${calls} calls at ${REFERENCE_LOAD * 100} %, seed ${seed}`,
    results.flatMap(({ series, figures: { scenario, policy, seed: of } }) =>
      of === seed ? [{ scenario, policy, series }] : [],
    ),
  );
  await mkdir(out, { recursive: true });
  const chartFile = join(out, 'steering.svg');
  await writeFile(chartFile, chart);

  // Of the slots at the first priority, which are three of four.
  const missed = missedTargets(figures, { callsPerSlot: calls / (slots * 0.75) });
  const simulatedCalls = figures.reduce((sum, row) => sum + row.calls, 0);
  console.log(`\nchart: ${chartFile}`);
  const { user, system } = process.cpuUsage();
  console.log(
    `${simulatedCalls} calls in ${seconds.toFixed(1)} s on ${threads} threads, ` +
      `${((user + system) / 1e6).toFixed(1)} s of CPU, ${Math.round(process.resourceUsage().maxRSS / 1024)} MiB`,
  );
  for (const line of missed) console.log(`MISSED: ${line}`);
  console.log(
    JSON.stringify({
      simulation: 'steering',
      seed,
      seeds,
      slots,
      calls,
      passed: missed.length === 0,
      scenarios: figures,
    }),
  );
  return missed.length === 0 ? 0 : 1;
}

await runCommand(USAGE, main);
