/**
 * The spool: one directory per recording that is not yet safe in S3.
 *
 * `session.jsonl` (what happened), `stream-<n>.rtpdump` (journals), `metadata-<n>.xml` (as received); after the end of
 * the recording also `audio.wav`, `manifest.json`, and `uploads.json` while large files are on their way. A directory goes
 * when S3 has confirmed the manifest. `unusable/` has what nobody can finish by itself, `lock` is for `spool-lock.ts`.
 */
import { existsSync } from 'node:fs';
import {
  access,
  constants,
  type FileHandle,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  statfs,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { decodeTime } from 'ulid';
import { journalFile } from './journal-files.ts';
import {
  SESSION_RECORD_FILE,
  type SessionEvent,
  type SessionEventOf,
  toRecordedEvent,
} from './session-record.ts';
import { NO_KEYS, type SpoolKeys } from './spool-keys.ts';

/** Of a directory that is not needed any more, and is being removed. */
const REMOVED = '.removed';
const RECORDING = /^[0-9A-HJKMNP-TV-Z]{26}$/;
const UNUSABLE = 'unusable';

export class Spool {
  readonly directory: string;
  readonly #keys: SpoolKeys;

  constructor(directory: string, keys: SpoolKeys = NO_KEYS) {
    this.directory = directory;
    this.#keys = keys;
  }

  /** Makes the spool if it is not there. */
  async prepare(): Promise<void> {
    await mkdir(this.directory, { recursive: true, mode: 0o700 });
  }

  /** Removes what a crash left of directories that were not needed any more. For whoever has the spool's lock. */
  async sweep(): Promise<void> {
    const names = await readdir(this.directory);
    for (const name of names.filter((candidate) => candidate.endsWith(REMOVED)))
      await rm(join(this.directory, name), { recursive: true, force: true });
  }

  /**
   * Begins a recording; its first event is on disk when this resolves.
   * @throws Error with the errno as `code` when the disk does not take it; then nothing is left behind
   */
  async begin(opened: SessionEventOf<'opened'>): Promise<SpoolEntry> {
    const directory = join(this.directory, opened.recordingId);
    await mkdir(directory, { mode: 0o700 });
    let record: FileHandle | undefined;
    try {
      record = await open(join(directory, SESSION_RECORD_FILE), 'a', 0o600);
      const entry = new SpoolEntry(directory, record, this.#keys);
      await entry.append(opened);
      return entry;
    } catch (error) {
      await record?.close();
      await rm(directory, { recursive: true, force: true });
      throw error;
    }
  }

  /**
   * Goes on with a recording of a recorder that died; a line that it left half-written is ended.
   * @throws Error with the errno as `code` when the disk does not take it
   */
  async reopen(directory: string): Promise<SpoolEntry> {
    const record = await open(join(directory, SESSION_RECORD_FILE), 'a+', 0o600);
    try {
      const { size } = await record.stat();
      const { buffer } = await record.read(Buffer.alloc(1), 0, 1, Math.max(0, size - 1));
      if (size > 0 && buffer.toString() !== '\n') await record.appendFile('\n');
      return new SpoolEntry(directory, record, this.#keys);
    } catch (error) {
      await record.close();
      throw error;
    }
  }

  /**
   * Bytes that recordings may still take, and those of the whole disk; without what the system keeps for itself.
   * @throws Error with the errno as `code` if it is no directory that can be written to
   */
  async space(): Promise<{ freeBytes: number; totalBytes: number }> {
    const directory = `${this.directory}/.`; // ENOTDIR for a file
    await access(directory, constants.W_OK);
    const { bavail, bfree, blocks, bsize } = await statfs(directory);
    return { freeBytes: bavail * bsize, totalBytes: (blocks - bfree + bavail) * bsize };
  }

  /** Directories of all recordings in the spool, oldest first (ids sort by time). */
  async entries(): Promise<string[]> {
    const names = await readdir(this.directory);
    return names
      .filter((name) => RECORDING.test(name))
      .sort()
      .map((name) => join(this.directory, name));
  }

  /** Directories of the recordings that nobody can finish by itself. */
  async unusable(): Promise<string[]> {
    const aside = join(this.directory, UNUSABLE);
    const names = await readdir(aside).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return [];
      throw error;
    });
    return names.sort().map((name) => join(aside, name));
  }
}

/** When the recording of a spool directory began; milliseconds since the epoch. Its id tells. */
export const recordedAt = (directory: string): number => decodeTime(basename(directory));

/**
 * Removes a recording's directory: all of it or, whenever the power goes, nothing. Half of one would be taken for a
 * recording of which half is missing, and would be written over the good one in S3. (The logs of ext4 and XFS keep the order of
 * what is done to names: no removal lasts without the renaming before it.)
 */
export async function removeRecording(directory: string): Promise<void> {
  const removed = directory + REMOVED;
  await rename(directory, removed);
  await rm(removed, { recursive: true, force: true });
}

/** Puts a recording where it is not tried again, for a person to look at. Returns where that is. */
export async function setAside(directory: string): Promise<string> {
  const aside = join(dirname(directory), UNUSABLE);
  await mkdir(aside, { recursive: true, mode: 0o700 });
  const unusable = join(aside, basename(directory));
  await rename(directory, unusable);
  return unusable;
}

/** What has been created, renamed or removed in it is so for good. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Appends events to the session record of a recording that has ended; none of them if it fails. A record that is not there
 * is not made: it says nothing without its beginning.
 * @throws NodeJS.ErrnoException
 */
export async function appendEvents(directory: string, events: readonly SessionEvent[]): Promise<void> {
  if (events.length === 0) return;
  const path = join(directory, SESSION_RECORD_FILE);
  if (!existsSync(path)) return;
  const record = await open(path, 'a');
  try {
    await appendLines(record, path, events);
    await record.sync();
  } finally {
    await record.close();
  }
}

/** A disk that is full may take the beginning of a line: that is taken back. */
async function appendLines(record: FileHandle, path: string, events: readonly SessionEvent[]): Promise<void> {
  try {
    await record.appendFile(events.map((event) => `${JSON.stringify(event)}\n`).join(''));
  } catch (error) {
    const text = await readFile(path).catch(() => undefined);
    if (text) await truncate(path, text.lastIndexOf('\n') + 1).catch(() => {}); // then its reader skips the rest
    throw error;
  }
}

/** The directory of one running recording. */
export class SpoolEntry {
  readonly directory: string;
  readonly #record: FileHandle;
  readonly #keys: SpoolKeys;
  #documents = 0;
  #journals = 0;
  /** Events that are written together, as soon as what is before them has been written. */
  #batch: { events: SessionEvent[]; written: Promise<void> } | undefined;
  /** Writes one after the other, in the order of the calls. */
  #tail: Promise<unknown> = Promise.resolve();

  constructor(directory: string, record: FileHandle, keys: SpoolKeys) {
    this.directory = directory;
    this.#record = record;
    this.#keys = keys;
  }

  /** Appends to the session record; on disk when it resolves. What comes while the disk is busy is written together. */
  append(event: SessionEvent): Promise<void> {
    const recorded = this.#recorded(event);
    if (this.#batch) {
      this.#batch.events.push(recorded);
      return this.#batch.written;
    }
    const events = [recorded];
    const written = this.#inOrder(() => {
      this.#batch = undefined;
      return this.#write(events);
    });
    this.#batch = { events, written };
    return written;
  }

  /** Keeps a metadata document as it was received, and its event. */
  addMetadata(xml: Buffer, at: string, charset?: string): Promise<void> {
    const file = `metadata-${++this.#documents}.xml`;
    this.#batch = undefined; // what is appended from now on comes after this
    return this.#inOrder(async () => {
      await writeFile(join(this.directory, file), xml, { mode: 0o600 });
      await this.#write([this.#recorded({ type: 'metadata', at, file, charset })]);
    });
  }

  #recorded(event: SessionEvent): SessionEvent {
    return toRecordedEvent(event, basename(this.directory), this.#keys);
  }

  #write(events: readonly SessionEvent[]): Promise<void> {
    return appendLines(this.#record, join(this.directory, SESSION_RECORD_FILE), events);
  }

  /** Name for the journal of the next stream. */
  nextJournal(): string {
    return journalFile(++this.#journals);
  }

  /** No more events. */
  async close(): Promise<void> {
    await this.#inOrder(() => this.#record.close());
  }

  /** Removes everything: a session that was never answered left no recording. */
  async discard(): Promise<void> {
    await this.close();
    await rm(this.directory, { recursive: true, force: true });
  }

  #inOrder(step: () => Promise<void>): Promise<void> {
    const result = this.#tail.then(step);
    this.#tail = result.catch(() => {}); // told to the caller of that step
    return result;
  }
}
