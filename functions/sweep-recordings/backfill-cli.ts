/** Orders a backfill, from the command line: `npm run replication:backfill`. */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { type Deployment, DeploymentFileError, readDeployment } from '../../core/deployment.ts';
import { indexTableName, recordingsBucketName } from '../../core/names.ts';
import { type ReplicationRule, rulesOf } from '../../core/replication-rules.ts';
import { documentClient, s3Client } from '../shared/aws-clients.ts';
import { estimateBackfill, firstDay, orderBackfill } from './backfill.ts';

const USAGE = `Usage: npm run replication:backfill -- --deployment FILE --from REGION --to REGION [options]

Orders the copies of older recordings for a target: one that is new in the deployment file, or whose filters take in more than
before. The sweep of the home region makes them from now on, oldest first, within the target's window and filters, and never has
more than 500 jobs in the queue for it; GET /replication shows how far it is. What has been copied is not copied again, and the
command may be repeated: an order that is on its way stays.

  --deployment FILE  the deployment file, as it is deployed
  --from REGION      home region of the recordings
  --to REGION        region that is to hold the copies, a target of --from in the file
  --since DAY        the first day, UTC, such as 2026-01-31 (default: that of the oldest recording)
  --dry-run          count what would be copied now, and order nothing

The last line of the output is one JSON object: {"from","to","since","isNew","day","requested"}, or with --dry-run
{"from","to","since","recordings","copies","bytes","unindexed"}.
Exit code: 0 done, 1 AWS failed, 2 wrong usage.`;

class UsageError extends Error {}

const OPTIONS = {
  deployment: { type: 'string' },
  from: { type: 'string' },
  to: { type: 'string' },
  since: { type: 'string' },
  'dry-run': { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

interface Options {
  deployment: Deployment;
  from: string;
  rule: ReplicationRule;
  since: string | undefined;
  isDry: boolean;
}

function readOptions(args: string[]): Options | 'help' {
  const values = parse(args);
  if (values.help) return 'help';
  const { deployment: file, from, to, since } = values;
  if (!file) throw new UsageError('--deployment is missing');
  if (!from) throw new UsageError('--from is missing');
  if (!to) throw new UsageError('--to is missing');
  if (since !== undefined && !z.iso.date().safeParse(since).success)
    throw new UsageError(`--since ${since}: write a day, such as 2026-01-31`);
  const deployment = deploymentIn(file);
  const rules = rulesOf(deployment, from);
  const rule = rules.find((candidate) => candidate.to === to);
  if (!rule) {
    const others = rules.map((candidate) => candidate.to).join(', ') || 'none';
    throw new UsageError(`${file} names no target ${to} of ${from} in replication; there are: ${others}`);
  }
  return { deployment, from, rule, since, isDry: values['dry-run'] };
}

function parse(args: string[]) {
  try {
    return parseArgs({ args, options: OPTIONS }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function deploymentIn(file: string): Deployment {
  try {
    return readDeployment(file, readFileSync, 'with --deployment');
  } catch (error) {
    throw error instanceof DeploymentFileError ? new UsageError(error.message) : error;
  }
}

const PAGE = 500;

async function run({ deployment, from, rule, since: wanted, isDry }: Options): Promise<void> {
  const now = new Date();
  const home = { s3: s3Client(from), bucket: recordingsBucketName(deployment, from), homeRegion: from };
  const index = { table: documentClient({ region: from }), tableName: indexTableName(deployment) };
  const since = wanted ?? (await firstDay(home));
  const pair = { from, to: rule.to, since };
  if (since === undefined) {
    console.log(`${home.bucket} holds no recording of ${from}: there is nothing to copy`);
    return;
  }
  if (isDry) {
    const onDay = (day: string, { copies, bytes }: { copies: number; bytes: number }): void => {
      if (day.endsWith('-01')) console.log(`up to ${day}: ${copies} copies of ${bytes} bytes`);
    };
    const estimate = await estimateBackfill(index, home, rule, { since, now, page: PAGE, onDay });
    console.log(JSON.stringify({ ...pair, ...estimate }));
    return;
  }
  const { backfill, isNew } = await orderBackfill(index, {
    homeRegion: from,
    target: rule.to,
    since,
    now,
  });
  console.log(isNew ? 'ordered: the next run of the sweep begins' : 'is on its way already: nothing changed');
  const { day, requested } = backfill;
  console.log(JSON.stringify({ ...pair, since: backfill.since, isNew, day, requested }));
}

try {
  const options = readOptions(process.argv.slice(2));
  if (options === 'help') console.log(USAGE);
  else await run(options);
} catch (error) {
  const isUsage = error instanceof UsageError;
  console.error(isUsage ? `${error.message}\n\n${USAGE}` : `stopped: ${(error as Error).message}`);
  process.exitCode = isUsage ? 2 : 1;
}
