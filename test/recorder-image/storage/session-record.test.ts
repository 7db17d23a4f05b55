import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ulid } from 'ulid';
import { SESSION_RECORD_FILE, startedAtOf } from '../../../recorder-image/src/storage/session-record.ts';

const OPENED = {
  type: 'opened',
  at: '2026-11-25T12:59:59.998Z',
  recordingId: ulid(),
  slot: 'use1-1',
  homeRegion: 'us-east-1',
  source: 'broadworks',
  sourceAddress: '198.51.100.10',
  sipCallId: 'BW1@198.51.100.10',
};
const ANSWERED = { type: 'answered', at: '2026-11-25T13:00:00.003Z' };

describe('when a recording began', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'siprec-ha-record-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));
  const write = (...lines: unknown[]) =>
    writeFileSync(
      join(directory, SESSION_RECORD_FILE),
      lines.map((line) => (typeof line === 'string' ? line : `${JSON.stringify(line)}\n`)).join(''),
    );

  it.each([
    ['was when it was answered, though it was opened in the hour before', [OPENED, ANSWERED], ANSWERED.at],
    ['was when it was opened, if nobody answered', [OPENED], OPENED.at],
    ['is known beside a line that a crash cut off', [OPENED, ANSWERED, '{"type":"off'], ANSWERED.at],
    ['is unknown without any event', ['{"type":"op'], undefined],
  ])('%s', async (_, lines, startedAt) => {
    write(...lines);
    expect(await startedAtOf(directory)).toBe(startedAt);
  });

  it('is unknown without a record', async () => {
    expect(await startedAtOf(directory)).toBeUndefined();
  });
});
