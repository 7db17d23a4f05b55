/** What the commands of this project have in common. */

/** The command line says something that cannot be; the message says what to write. */
export class UsageError extends Error {}

/**
 * Reads by `read`, which uses `parseArgs` of node:util.
 * @throws UsageError for what `parseArgs` refuses
 */
export function parseCommandLine<Parsed>(read: () => Parsed): Parsed {
  try {
    return read();
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

/** The value of an option. @throws UsageError unless it is a whole number from 1 to `max` */
export function wholeNumber(option: string, value: string, max: number): number {
  const parsed = /^\d+$/.test(value) ? Number(value) : Number.NaN;
  if (!(parsed >= 1 && parsed <= max))
    throw new UsageError(`${option} ${value}: expected a whole number from 1 to ${max}`);
  return parsed;
}

/** Runs a command and sets the exit code: what `main` returns, 2 for a UsageError, which is told with `usage`, 1 for any other. */
export async function runCommand(usage: string, main: () => Promise<number>): Promise<void> {
  try {
    process.exitCode = await main();
  } catch (error) {
    console.error(error instanceof UsageError ? `${error.message}\n\n${usage}` : (error as Error).message);
    process.exitCode = error instanceof UsageError ? 2 : 1;
  }
}
