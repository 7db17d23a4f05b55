/** Spool directories as recorders leave them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ulid } from 'ulid';
import type { SessionEvent, SessionEventOf } from '../../../recorder-image/src/storage/session-record.ts';
import { Spool } from '../../../recorder-image/src/storage/spool.ts';
import { metadataFixture, sdpFixture } from '../../fixtures/load.ts';
import { EPOCH_MS, talk, writeJournal } from '../media/support.ts';

export const AT = new Date(EPOCH_MS).toISOString();

/** A spool for each test; gone after it. */
export function useSpool(): { readonly spool: Spool } {
  const used = { spool: new Spool('') };
  beforeEach(() => {
    used.spool = new Spool(mkdtempSync(join(tmpdir(), 'siprec-ha-spool-')));
  });
  afterEach(() => rmSync(used.spool.directory, { recursive: true, force: true }));
  return used;
}

export const openedEvent = (recordingId: string = ulid(EPOCH_MS)): SessionEventOf<'opened'> => ({
  type: 'opened',
  at: AT,
  recordingId,
  slot: 'use1-1',
  homeRegion: 'us-east-1',
  source: 'broadworks',
  sourceAddress: '192.0.2.10',
  sipCallId: 'BW1@192.0.2.10',
});

export const CLOSED: SessionEventOf<'closed'> = {
  type: 'closed',
  at: new Date(EPOCH_MS + 1000).toISOString(),
  endedBy: 'bye',
  counters: {},
};

export interface LeftRecording {
  id: string;
  directory: string;
}

/** A dual call of a second, from its offer on; `events` are what happened besides. */
export async function leaveRecording(
  spool: Spool,
  events: SessionEvent[] = [{ type: 'answered', at: AT }, CLOSED],
  packets = 50,
): Promise<LeftRecording> {
  const opened = openedEvent();
  const entry = await spool.begin(opened);
  await entry.append({ type: 'offer', at: AT, sdp: sdpFixture('broadworks-dual') });
  await entry.addMetadata(metadataFixture('broadworks-dual-origcall'), AT);
  for (const [mLine, label] of ['1', '2'].entries()) {
    const journal = entry.nextJournal();
    await entry.append({ type: 'stream', at: AT, mLine, label, journal, codecs: { 0: 'PCMU' } });
    writeJournal(join(entry.directory, journal), talk({ seed: mLine, packets }));
  }
  for (const event of events) await entry.append(event);
  await entry.close();
  return { id: opened.recordingId, directory: entry.directory };
}
