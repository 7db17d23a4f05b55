/**
 * Going on with the recordings of a recorder that died: the SRC does not know of it, and its RTP still comes to the
 * ports that the dead one answered with. They are opened again, first of all; where the known sources still send, the
 * recording goes on until its media ends, and only the time between is missing.
 */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { decodeTime } from 'ulid';
import { MANIFEST_FILE } from '../../../core/manifest.ts';
import type { MediaCapture, StreamCounters, StreamSource } from '../media/capture.ts';
import type { ProtectionPeriod } from '../media/decrypt-journal.ts';
import { CODECS } from '../sdp/codecs.ts';
import { type ClosedSession, closeRecording } from '../sip/recording-session.ts';
import type { RunningRecording } from '../sip/srs.ts';
import { protectionPeriods } from '../storage/protection.ts';
import {
  type Ending,
  eventsOf,
  readSessionRecord,
  SESSION_RECORD_FILE,
  type SessionEvent,
  type SessionEventOf,
  type SessionRecord,
} from '../storage/session-record.ts';
import type { Spool, SpoolEntry } from '../storage/spool.ts';
import type { SpoolKeys } from '../storage/spool-keys.ts';

/** Code of the warning in the manifest. */
export const RECORDER_RESTARTED = 'recorder-restarted';

/** Session records that are read at once. */
const CONCURRENCY = 32;

export interface ResumeDependencies {
  capture: MediaCapture;
  spool: Spool;
  keys: SpoolKeys;
  now: () => Date;
  logger: Logger;
}

export interface Resumption {
  resumed: RunningRecording[];
  /** Directories of recordings that are over, or of which no port can be opened: to be finished as they are. */
  over: string[];
}

/**
 * Opens the ports of all recordings that may still be going on. Never rejects: what cannot be resumed is over.
 * @param directories of the spool
 * @param maxCallMs no recording is longer
 */
export async function resumeRecordings(
  directories: readonly string[],
  maxCallMs: number,
  dependencies: ResumeDependencies,
): Promise<Resumption> {
  const resumption: Resumption = { resumed: [], over: [] };
  const youngestFirst = [...directories].sort().reverse();
  const oldestMs = dependencies.now().getTime() - maxCallMs;
  const lane = async () => {
    for (let directory = youngestFirst.shift(); directory !== undefined; directory = youngestFirst.shift()) {
      const recording = await resumeRecording(directory, oldestMs, dependencies).catch((error) => {
        dependencies.logger.warn(
          { err: error, directory },
          'recording does not go on; it is finished as it is',
        );
        return undefined;
      });
      if (recording) resumption.resumed.push(recording);
      else resumption.over.push(directory);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, lane));
  resumption.over.sort();
  return resumption;
}

async function resumeRecording(
  directory: string,
  oldestMs: number,
  dependencies: ResumeDependencies,
): Promise<RunningRecording | undefined> {
  if (!(await mayGoOn(directory, oldestMs))) return undefined;
  const record = await readSessionRecord(directory, dependencies.keys);
  const openings = openingsOf(record);
  if (eventsOf(record, 'answered').length === 0 || openings.length === 0) return undefined;

  const entry = await dependencies.spool.reopen(directory);
  const recording = new ResumedRecording(record.opened, entry, dependencies);
  const opened = await Promise.allSettled(openings.map((opening) => recording.openStream(opening)));
  const failures = opened.flatMap((outcome) =>
    outcome.status === 'rejected' ? [outcome.reason as Error] : [],
  );
  if (failures.length === openings.length) {
    await entry.close();
    throw failures[0];
  }
  for (const { message } of failures)
    await recording.warn(RECORDER_RESTARTED, `a stream could not be opened again: ${message}`);
  await recording.warn(
    RECORDER_RESTARTED,
    'the recorder died and was started again; the recording went on, until its media ended',
  );
  return recording;
}

/** A look that is cheap: thousands of recordings may wait for an S3 that is away. */
async function mayGoOn(directory: string, oldestMs: number): Promise<boolean> {
  const recordingId = directory.slice(-26);
  if (decodeTime(recordingId) < oldestMs || existsSync(join(directory, MANIFEST_FILE))) return false;
  const text = await readFile(join(directory, SESSION_RECORD_FILE), 'utf8');
  return !text.includes('"type":"closed"');
}

interface StreamToReopen {
  journal: string;
  rtpPort: number;
  accept: readonly string[];
  knownSsrcs: number[];
  clockRates: Map<number, number>;
  encrypted: boolean;
  decrypt?: readonly ProtectionPeriod[];
}

/** Each journal as its last event tells of it. A stream whose m-line was removed is opened, too: it hears nothing. */
function openingsOf(record: SessionRecord): StreamToReopen[] {
  const latest = new Map(eventsOf(record, 'stream').map((event) => [event.journal, event]));
  return [...latest.values()].flatMap(({ journal, mLine, rtpPort, accept, codecs, ...stream }) =>
    rtpPort === undefined || accept === undefined
      ? []
      : {
          journal,
          rtpPort,
          accept,
          encrypted: stream.encrypted ?? false,
          ...(stream.decrypted && { decrypt: protectionPeriods(record, mLine) }),
          knownSsrcs: eventsOf(record, 'source')
            .filter((source) => source.journal === journal)
            .map(({ ssrc }) => ssrc),
          clockRates: new Map(
            Object.entries(codecs).map(([type, codec]) => [Number(type), CODECS[codec].clockRate]),
          ),
        },
  );
}

/** A recording without a dialog. */
class ResumedRecording implements RunningRecording {
  readonly id: string;
  readonly sipCallId: string;
  readonly openedAt: number;
  /** Whoever is on hold cannot be taken off it without a dialog: silence ends this recording all the same. */
  readonly isOnHold = false;
  heardAt: number;
  readonly #entry: SpoolEntry;
  readonly #dependencies: ResumeDependencies;
  readonly #streams: { streamId: number; journal: string }[] = [];
  #closing: Promise<ClosedSession> | undefined;

  constructor(opened: SessionEventOf<'opened'>, entry: SpoolEntry, dependencies: ResumeDependencies) {
    this.id = opened.recordingId;
    this.sipCallId = opened.sipCallId;
    this.openedAt = Date.parse(opened.at);
    this.#entry = entry;
    this.#dependencies = dependencies;
    this.heardAt = dependencies.now().getTime();
  }

  async openStream({ journal, clockRates, encrypted, ...opening }: StreamToReopen): Promise<void> {
    const { streamId } = await this.#dependencies.capture.reopenStream({
      ...opening,
      journalPath: join(this.#entry.directory, journal),
      rtcp: { clockRates, ...(encrypted && { encrypted }) },
      onSource: (source) => this.#tellSource(journal, source, opening.knownSsrcs),
    });
    this.#streams.push({ streamId, journal });
  }

  heard(counters: ReadonlyMap<number, StreamCounters>): void {
    const times = this.#streams.map(({ streamId }) => counters.get(streamId)?.lastPacketAt ?? 0);
    this.heardAt = Math.max(this.heardAt, ...times);
  }

  warn(code: string, detail: string): Promise<void> {
    return this.#entry.append({ type: 'warning', at: this.#now(), code, detail });
  }

  has(streamId: number): boolean {
    return this.#streams.some((stream) => stream.streamId === streamId);
  }

  close(endedBy: Ending): Promise<ClosedSession | undefined> {
    if (this.#closing) return this.#closing.then(() => undefined);
    this.#closing = closeRecording(
      this.#entry,
      this.#streams,
      { at: this.#now(), endedBy },
      this.#dependencies,
    );
    return this.#closing;
  }

  #tellSource(journal: string, source: StreamSource, known: readonly number[]): void {
    if (!this.#closing && !known.includes(source.ssrc))
      void this.#append({ type: 'source', at: this.#now(), journal, ...source });
  }

  /** What the disk does not take, the journals still tell. */
  async #append(event: SessionEvent): Promise<void> {
    await this.#entry.append(event).catch((error) => {
      this.#dependencies.logger.error(
        { err: error, recordingId: this.id, type: event.type },
        'event not written down',
      );
    });
  }

  #now(): string {
    return this.#dependencies.now().toISOString();
  }
}
