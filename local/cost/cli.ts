/** What a deployment costs in a month, from the command line. */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { readDeployment } from '../../core/deployment.ts';
import { parseCommandLine, runCommand, UsageError, wholeNumber } from '../command-line.ts';
import { estimate, type Load } from './model.ts';
import { formatEstimate } from './report.ts';

const USAGE = `Usage: npm run cost -- DEPLOYMENT-FILE --calls N [options]

  --calls N           recordings a day (a recorded call between two recorded users makes two)
  --minutes N         mean length of a recording (default 3)
  --busy-hour N       per cent of a day's recordings in its busiest hour (default 15)
  --queries N         requests to the API a day (default 1000)
  --played N          per cent of the recordings that somebody plays (default 5)
  --json              one JSON object instead of the table

Prices are in local/cost/prices.ts, with their date; how the quantities come about: docs/cost.md.
Exit code: 0, 1 the file cannot be used, 2 wrong usage.`;

const OPTIONS = {
  calls: { type: 'string' },
  minutes: { type: 'string', default: '3' },
  'busy-hour': { type: 'string', default: '15' },
  queries: { type: 'string', default: '1000' },
  played: { type: 'string', default: '5' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

runCommand(USAGE, async () => {
  const { values, positionals } = parseCommandLine(() =>
    parseArgs({ options: OPTIONS, allowPositionals: true }),
  );
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const [file, ...more] = positionals;
  if (!file || more.length > 0) throw new UsageError('name one deployment file');
  if (values.calls === undefined) throw new UsageError('--calls is missing: say how many recordings a day');
  const deployment = readDeployment(file, readFileSync, 'as the first argument');
  const load: Load = {
    recordingsPerDay: wholeNumber('--calls', values.calls, 100_000_000),
    minutes: wholeNumber('--minutes', values.minutes, 1_440),
    busyHourShare: wholeNumber('--busy-hour', values['busy-hour'], 100) / 100,
    queriesPerDay: wholeNumber('--queries', values.queries, 100_000_000),
    playedShare: wholeNumber('--played', values.played, 100) / 100,
    retentionDays: deployment.retention.days,
  };
  const result = estimate(deployment, load);
  console.log(values.json ? JSON.stringify({ load, ...result }) : formatEstimate(result));
  return 0;
});
