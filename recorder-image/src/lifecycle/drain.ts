/** `drain`: tells the recorder that works on a spool to take no more calls, and to stop when the last one has ended. */
import { parseArgs } from 'node:util';
import { NoRecorderError, requestDrain } from './control-socket.ts';

const USAGE = `usage: drain [<directory>] [--wait]
  tells the recorder of a spool (default: SIPREC_SPOOL) to take no more calls, and to stop when those that run have ended
  --wait   returns when it has stopped
exit code: 0 if it drains (with --wait: if it has stopped), 1 if no recorder can be told, 2 if it was called wrongly`;

const EXIT = { done: 0, notTold: 1, usage: 2 } as const;

/**
 * @param args after `drain`
 * @returns the exit code
 */
export async function drain(
  args: string[],
  variables: NodeJS.ProcessEnv,
  print: (line: string) => void,
  complain: (line: string) => void,
): Promise<number> {
  let order: { directory: string; waits: boolean };
  try {
    order = readOrder(args, variables);
  } catch (error) {
    complain(`${(error as Error).message}\n${USAGE}`);
    return EXIT.usage;
  }
  try {
    await requestDrain(order.directory, (active) => print(inWords(active)), order.waits);
    if (order.waits) print('the recorder has stopped');
    return EXIT.done;
  } catch (error) {
    if (!(error instanceof NoRecorderError)) throw error;
    complain(error.message);
    return EXIT.notTold;
  }
}

const inWords = (active: number): string =>
  `the recorder takes no more calls; ${active} ${active === 1 ? 'recording runs' : 'recordings run'}`;

/** @throws Error naming what is wrong */
function readOrder(args: string[], variables: NodeJS.ProcessEnv): { directory: string; waits: boolean } {
  const { values, positionals } = parseArgs({
    args,
    options: { wait: { type: 'boolean', default: false } },
    allowPositionals: true,
  });
  const [directory = variables.SIPREC_SPOOL, ...more] = positionals;
  if (more.length > 0)
    throw new Error(`${positionals.length} directories are named: name the one of the spool`);
  if (!directory) throw new Error('no spool is named: name its directory, or set SIPREC_SPOOL');
  return { directory, waits: values.wait };
}
