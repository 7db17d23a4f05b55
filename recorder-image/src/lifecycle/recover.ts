/**
 * `recover <dir>`: finishes what a spool holds, without a recorder: as when a volume has outlived its host. It is the walk
 * that every recording goes, from the same code, and it can be broken off and repeated at any time.
 */
import { statSync } from 'node:fs';
import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import { destination, pino } from 'pino';
import { manifestKey } from '../../../core/keys.ts';
import type { Manifest } from '../../../core/manifest.ts';
import { type RecoveryEnvironment, readRecoveryEnvironment } from '../../../core/recorder-environment.ts';
import packageJson from '../../../package.json' with { type: 'json' };
import type { BegunUpload } from '../storage/begun-uploads.ts';
import { Finisher, type Outcome } from '../storage/finisher.ts';
import { recordingsClient } from '../storage/s3-client.ts';
import { Spool } from '../storage/spool.ts';
import { SpoolKeys } from '../storage/spool-keys.ts';
import { lockSpool } from '../storage/spool-lock.ts';

const USAGE = `usage: recover <directory> [--retry-for SECONDS]
  finishes every recording of a spool directory and puts it into S3
  --retry-for SECONDS   tries so long again what S3 or the disk refuses; default 0: each recording once
  environment: SIPREC_BUCKET, AWS_REGION, credentials as the AWS SDK finds them; SIPREC_SPOOL_KEY if calls were encrypted;
    LOG_LEVEL (default: no log)
exit code: 0 if all recordings are in S3, 1 if some are not, 2 if it was called wrongly`;

const EXIT = { done: 0, left: 1, usage: 2 } as const;

/** Of one recording, as it is counted in the end. */
type Fate = 'in S3' | 'with nothing to keep' | 'unusable' | 'left in the spool';

interface Order {
  directory: string;
  retryForMs: number;
  environment: RecoveryEnvironment;
}

/**
 * @param args after `recover`
 * @param print one line for each recording, and a summary; `complain` what stands against it all
 * @returns the exit code
 */
export async function recover(
  args: string[],
  variables: NodeJS.ProcessEnv,
  print: (line: string) => void,
  complain: (line: string) => void,
): Promise<number> {
  let order: Order;
  try {
    order = readOrder(args, variables);
  } catch (error) {
    complain(`${(error as Error).message}\n${USAGE}`);
    return EXIT.usage;
  }
  try {
    return (await finishAll(order, print)) ? EXIT.done : EXIT.left;
  } catch (error) {
    complain((error as Error).message);
    return EXIT.left;
  }
}

/** @throws Error naming what is wrong */
function readOrder(args: string[], variables: NodeJS.ProcessEnv): Order {
  const { values, positionals } = parseArgs({
    args,
    options: { 'retry-for': { type: 'string', default: '0' } },
    allowPositionals: true,
  });
  const seconds = values['retry-for'];
  if (!/^\d{1,6}$/.test(seconds))
    throw new Error(`--retry-for ${seconds}: write a whole number of seconds, below a million`);
  const [directory, ...more] = positionals;
  if (directory === undefined || more.length > 0)
    throw new Error(`${positionals.length} directories are named: name the one of the spool`);
  if (!statSync(directory, { throwIfNoEntry: false })?.isDirectory())
    throw new Error(`${directory} is no directory`);
  return {
    directory,
    retryForMs: Number(seconds) * 1000,
    environment: readRecoveryEnvironment(variables),
  };
}

/**
 * @returns whether nothing is left that is not in S3
 * @throws SpoolInUseError
 */
async function finishAll(
  { directory, retryForMs, environment }: Order,
  print: (line: string) => void,
): Promise<boolean> {
  const keys = SpoolKeys.from(environment.SIPREC_SPOOL_KEY);
  const spool = new Spool(directory, keys);
  const lock = lockSpool(directory);
  const s3 = recordingsClient();
  const logger = pino({ level: environment.LOG_LEVEL ?? 'silent' }, destination(2));
  const bucket = environment.SIPREC_BUCKET;
  const counts = new Map<Fate, number>();
  const tell = (path: string, fate: Fate, detail: string) => {
    counts.set(fate, (counts.get(fate) ?? 0) + 1);
    print(`${basename(path)}  ${detail}`);
  };
  const orphans: string[] = [];
  try {
    await spool.sweep();
    for (const path of await spool.unusable())
      tell(path, 'unusable', `unusable since an earlier try: ${path}`);

    /** What has no fate yet, and why its last try failed. */
    const open = new Map((await spool.entries()).map((path) => [path, undefined as Error | undefined]));
    const settled = Promise.withResolvers<void>();
    let isOver = retryForMs === 0;
    const check = () => {
      if ([...open.values()].every((error) => isOver && error)) settled.resolve();
    };
    const onOutcome = (outcome: Outcome) => {
      const { directory: path, kind } = outcome;
      open.delete(path);
      if (kind === 'stored')
        tell(path, 'in S3', `${inWords(outcome.manifest)}: s3://${bucket}/${keyOf(outcome.manifest)}`);
      else if (kind === 'nothing')
        tell(path, 'with nothing to keep', 'nothing to keep: it was never answered');
      else if (kind === 'unusable') tell(path, 'unusable', `unusable: ${outcome.error.message}`);
      else open.set(path, outcome.error);
      check();
    };
    const target = {
      s3,
      bucket,
      retention: environment.SIPREC_RETENTION,
      onOrphan: ({ uploadId }: BegunUpload) => orphans.push(uploadId),
    };
    const finisher = new Finisher(
      { target, recorderVersion: packageJson.version, keys },
      logger,
      undefined,
      onOutcome,
    );
    const deadline = setTimeout(() => {
      isOver = true;
      check();
    }, retryForMs);
    for (const path of [...open.keys()]) finisher.add(path);
    check();
    await settled.promise;
    clearTimeout(deadline);
    await finisher.stop();
    for (const [path, error] of open) tell(path, 'left in the spool', `not finished: ${error?.message}`);
  } finally {
    s3.destroy();
    lock.release();
  }
  for (const uploadId of orphans) print(`multipart upload ${uploadId} could not be aborted`);
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  print(
    [
      `${total} ${total === 1 ? 'recording' : 'recordings'}`,
      ...[...counts].map(([fate, count]) => `${count} ${fate}`),
    ].join(', '),
  );
  return !counts.has('unusable') && !counts.has('left in the spool');
}

const keyOf = ({ homeRegion, recordingId, startedAt }: Manifest): string =>
  manifestKey({ homeRegion, recordingId, startedAt: new Date(startedAt) });

const inWords = ({ status, statusReasons }: Manifest): string =>
  statusReasons.length > 0 ? `${status} (${statusReasons.join('; ')})` : status;
