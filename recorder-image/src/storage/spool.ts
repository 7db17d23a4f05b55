/**
 * The spool: one directory per recording that is not yet safe in S3.
 *
 * `session.jsonl` (what happened), `stream-<n>.rtpdump` (journals), `metadata-<n>.xml` (as received); after the end of
 * the recording also `audio.wav` and `manifest.json`. A directory goes when S3 has confirmed the manifest.
 */
import {
  access,
  constants,
  type FileHandle,
  mkdir,
  open,
  readdir,
  rm,
  statfs,
  writeFile,
} from 'node:fs/promises';
import { basename, join } from 'node:path';
import { journalFile } from './journal-files.ts';
import {
  SESSION_RECORD_FILE,
  type SessionEvent,
  type SessionEventOf,
  toRecordedEvent,
} from './session-record.ts';
import { NO_KEYS, type SpoolKeys } from './spool-keys.ts';

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
   * Bytes that recordings may still take.
   * @throws Error with the errno as `code` if it is no directory that can be written to
   */
  async freeBytes(): Promise<number> {
    const directory = `${this.directory}/.`; // ENOTDIR for a file
    await access(directory, constants.W_OK);
    const { bavail, bsize } = await statfs(directory);
    return bavail * bsize;
  }

  /** Directories of all recordings in the spool, oldest first (ids sort by time). */
  async entries(): Promise<string[]> {
    const names = await readdir(this.directory);
    return names
      .filter((name) => /^[0-9A-HJKMNP-TV-Z]{26}$/.test(name))
      .sort()
      .map((name) => join(this.directory, name));
  }
}

/** The directory of one running recording. */
export class SpoolEntry {
  readonly directory: string;
  readonly #record: FileHandle;
  readonly #keys: SpoolKeys;
  #documents = 0;
  #journals = 0;
  /** Appends one after the other, in the order of the calls. */
  #tail: Promise<unknown> = Promise.resolve();

  constructor(directory: string, record: FileHandle, keys: SpoolKeys) {
    this.directory = directory;
    this.#record = record;
    this.#keys = keys;
  }

  /** Appends to the session record; on disk when it resolves. */
  append(event: SessionEvent): Promise<void> {
    const recorded = toRecordedEvent(event, basename(this.directory), this.#keys);
    return this.#inOrder(() => this.#record.appendFile(`${JSON.stringify(recorded)}\n`));
  }

  /** Keeps a metadata document as it was received, and its event. */
  addMetadata(xml: Buffer, at: string, charset?: string): Promise<void> {
    const file = `metadata-${++this.#documents}.xml`;
    return this.#inOrder(async () => {
      await writeFile(join(this.directory, file), xml, { mode: 0o600 });
      await this.#record.appendFile(
        `${JSON.stringify({ type: 'metadata', at, file, charset } satisfies SessionEvent)}\n`,
      );
    });
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
