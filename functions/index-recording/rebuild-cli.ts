/** Restores the index from a bucket, from the command line: `npm run index:rebuild`. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { documentClient, s3Client } from '../shared/aws-clients.ts';
import { type RebuildProgress, rebuildIndex } from './rebuild.ts';

const USAGE = `Usage: npm run index:rebuild -- --bucket NAME --table NAME [options]

Writes the items of every manifest in the bucket into the index; what the index has in a higher revision stays. Run it for the
bucket of each region: every one has the copies of the others besides its own recordings.

  --bucket NAME        bucket of recordings
  --table NAME         index table
  --region NAME        region of the bucket (default: AWS_REGION)
  --table-region NAME  where to write the table (default: the region of the bucket)
  --checkpoint FILE    where to note how far it is (default .local/index-rebuild/<table>/<bucket>.json); a run that was
                       stopped goes on from there, and a finished one removes it
  --parallel N         recordings written at once (default 16)

The last line of the output is one JSON object: {"bucket","table","manifests","restored","newer","deleted","fates","gone","invalid"}.
Exit code: 0 all restored, 1 some manifests cannot be read (their keys are named), or AWS failed, 2 wrong usage.`;

class UsageError extends Error {}

const OPTIONS = {
  bucket: { type: 'string' },
  table: { type: 'string' },
  region: { type: 'string' },
  'table-region': { type: 'string' },
  checkpoint: { type: 'string' },
  parallel: { type: 'string', default: '16' },
  help: { type: 'boolean', default: false },
} as const;

interface Options {
  bucket: string;
  table: string;
  region: string;
  tableRegion: string;
  checkpoint: string;
  parallel: number;
}

function readOptions(args: string[]): Options | 'help' {
  const values = parse(args);
  if (values.help) return 'help';
  const { bucket, table, region = process.env.AWS_REGION, checkpoint, parallel } = values;
  if (!bucket) throw new UsageError('--bucket is missing');
  if (!table) throw new UsageError('--table is missing');
  if (!region) throw new UsageError('--region is missing, and AWS_REGION is not set');
  if (!/^[1-9]\d{0,2}$/.test(parallel)) throw new UsageError(`--parallel ${parallel}: write 1 to 999`);
  return {
    bucket,
    table,
    region,
    tableRegion: values['table-region'] ?? region,
    checkpoint: checkpoint ?? join('.local', 'index-rebuild', table, `${bucket}.json`),
    parallel: Number(parallel),
  };
}

function parse(args: string[]) {
  try {
    return parseArgs({ args, options: OPTIONS }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

const checkpointSchema = z.object({ bucket: z.string(), table: z.string(), lastKey: z.string() });

/** Key to go on behind; undefined for a new run. */
function readCheckpoint({ checkpoint, bucket, table }: Options): string | undefined {
  let text: string;
  try {
    text = readFileSync(checkpoint, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const result = checkpointSchema.safeParse(parseJson(text));
  if (result.success && result.data.bucket === bucket && result.data.table === table)
    return result.data.lastKey;
  throw new UsageError(
    `${checkpoint} is not the checkpoint of this bucket and table: remove it to begin anew`,
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function run(options: Options): Promise<number> {
  const { bucket, table, region, tableRegion, checkpoint, parallel } = options;
  const startAfter = readCheckpoint(options);
  if (startAfter) console.log(`going on behind ${startAfter} (${checkpoint})`);
  mkdirSync(dirname(checkpoint), { recursive: true });
  const note = ({ manifests, lastKey }: RebuildProgress): void => {
    writeFileSync(checkpoint, JSON.stringify({ bucket, table, lastKey }));
    if (manifests % 1000 < parallel) console.log(`${manifests} manifests, up to ${lastKey}`);
  };
  const { lastKey, ...result } = await rebuildIndex(
    { s3: s3Client(region), table: documentClient({ region: tableRegion }), tableName: table },
    { bucket, region, parallel, onProgress: note, ...(startAfter && { startAfter }) },
  );
  rmSync(checkpoint, { force: true });
  for (const key of result.invalid) console.error(`cannot be read: ${key}`);
  console.log(JSON.stringify({ bucket, table, ...result, invalid: result.invalid.length }));
  return result.invalid.length > 0 ? 1 : 0;
}

try {
  const options = readOptions(process.argv.slice(2));
  if (options === 'help') console.log(USAGE);
  else process.exitCode = await run(options);
} catch (error) {
  const isUsage = error instanceof UsageError;
  console.error(
    isUsage ? `${error.message}\n\n${USAGE}` : `stopped: ${(error as Error).message}; the next run goes on`,
  );
  process.exitCode = isUsage ? 2 : 1;
}
