/**
 * Who may work on a spool: one process at a time, a recorder or `recover`. Two of them would finish, and remove, the same
 * recordings.
 *
 * The lock is SQLite's, on a file without content: a lock of the kernel on that file, the same from every container and
 * process namespace of the host. It ends with its process, however that ends, so that nothing stale is ever in the way.
 */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

export const LOCK_FILE = 'lock';

const SQLITE_BUSY = 5;

/** A database that nobody refers to is closed by the garbage collector, and the lock is gone. */
const held = new Set<DatabaseSync>();

/** Another process works on the spool. */
export class SpoolInUseError extends Error {
  constructor(directory: string) {
    super(
      `spool ${directory} is in use by another process: stop the recorder (or recover) that works on it, or use another spool`,
    );
    this.name = 'SpoolInUseError';
  }
}

export interface SpoolLock {
  release(): void;
}

/**
 * Takes the lock of a spool.
 * @throws SpoolInUseError at once if another has it
 * @throws Error if the lock file cannot be had
 */
export function lockSpool(directory: string): SpoolLock {
  const path = join(directory, LOCK_FILE);
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path);
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE'); // nothing is written, on a full disk neither
  } catch (error) {
    database?.close();
    const { errcode, message } = error as Error & { errcode?: number };
    if (errcode === SQLITE_BUSY) throw new SpoolInUseError(directory);
    throw new Error(`spool ${directory} cannot be locked: ${path}: ${message}`, { cause: error });
  }
  held.add(database);
  return {
    release() {
      held.delete(database);
      database.close();
    },
  };
}
