/**
 * Keeps the spool's disk from running full. When only its reserve is left no call is taken any more; below half of it the recordings
 * that run are ended, so that the other half is left to finish them: whoever waits for the disk to refuse has no room to
 * make audio of what it holds.
 */
import type { Logger } from 'pino';

export interface SpoolGuardDependencies {
  freeBytes: () => Promise<number>;
  reserveBytes: number;
  /** Told at every look whether only the reserve is left. */
  economise: (roomIsShort: boolean) => void;
  activeRecordings: () => number;
  /** Ends the recordings that run. */
  endAll: () => Promise<void>;
  logger: Logger;
}

/**
 * @returns a look at the disk, to be taken every second; never rejects. One that is not over yet is not repeated.
 */
export function spoolGuard(dependencies: SpoolGuardDependencies): () => Promise<void> {
  const { freeBytes, reserveBytes, economise, activeRecordings, endAll, logger } = dependencies;
  let looking: Promise<void> | undefined;
  let isBlind = false;

  const look = async () => {
    try {
      const free = await freeBytes();
      isBlind = false;
      economise(free <= reserveBytes);
      if (free >= reserveBytes / 2 || activeRecordings() === 0) return;
      logger.fatal(
        { freeBytes: free, reserveBytes, active: activeRecordings() },
        'the disk of the spool is full; running recordings are ended so that they can be finished',
      );
      await endAll();
    } catch (error) {
      if (!isBlind) logger.error({ err: error }, 'the disk of the spool cannot be looked at');
      isBlind = true;
    }
  };
  return () => {
    looking ??= look().finally(() => {
      looking = undefined;
    });
    return looking;
  };
}
