import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { ulid } from 'ulid';
import {
  eventsOf,
  readSessionRecord,
  SessionRecordError,
} from '../../../recorder-image/src/storage/session-record.ts';
import { appendEvents, recordedAt, setAside } from '../../../recorder-image/src/storage/spool.ts';
import { EPOCH_MS } from '../media/support.ts';
import { AT, CLOSED, openedEvent, useSpool } from './support.ts';

const used = useSpool();

describe('a recording in the spool', () => {
  it('is written in the order of the calls, and read again', async () => {
    const opened = openedEvent();
    const entry = await used.spool.begin(opened);
    await Promise.all([
      entry.append({ type: 'answered', at: AT }),
      entry.addMetadata(Buffer.from('<first/>'), AT),
      entry.append({ type: 'warning', at: AT, code: 'strange', detail: 'in between' }),
      entry.addMetadata(Buffer.from('<second/>'), AT),
    ]);
    await entry.close();
    const record = await readSessionRecord(entry.directory);
    expect(record).toEqual({
      opened,
      unreadableLines: 0,
      events: [
        opened,
        { type: 'answered', at: AT },
        { type: 'metadata', at: AT, file: 'metadata-1.xml' },
        { type: 'warning', at: AT, code: 'strange', detail: 'in between' },
        { type: 'metadata', at: AT, file: 'metadata-2.xml' },
      ],
    });
    expect(eventsOf(record, 'metadata').map(({ file }) => file)).toEqual([
      'metadata-1.xml',
      'metadata-2.xml',
    ]);
    expect(readFileSync(join(entry.directory, 'metadata-2.xml'), 'utf8')).toBe('<second/>');
  });

  it('is gone when it is discarded', async () => {
    const entry = await used.spool.begin(openedEvent());
    await entry.discard();
    expect(readdirSync(used.spool.directory)).toEqual([]);
  });

  it('is not begun twice, and the first is left alone', async () => {
    const opened = openedEvent();
    const entry = await used.spool.begin(opened);
    await expect(used.spool.begin(opened)).rejects.toMatchObject({ code: 'EEXIST' });
    await entry.close();
    expect((await readSessionRecord(entry.directory)).opened).toEqual(opened);
  });

  it('cannot be begun without a spool', async () => {
    rmSync(used.spool.directory, { recursive: true });
    await expect(used.spool.begin(openedEvent())).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(used.spool.space()).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

it('lists recordings, oldest first, and nothing else', async () => {
  const ids = ['01K00000000000000000000002', '01K00000000000000000000001'];
  for (const id of ids) await (await used.spool.begin(openedEvent(id))).close();
  writeFileSync(join(used.spool.directory, 'lost+found'), '');
  expect(await used.spool.entries()).toEqual(ids.sort().map((id) => join(used.spool.directory, id)));
});

it('lists what nobody can finish apart from it', async () => {
  expect(await used.spool.unusable()).toEqual([]);
  const entry = await used.spool.begin(openedEvent());
  await entry.close();
  const aside = await setAside(entry.directory);
  expect(await used.spool.unusable()).toEqual([aside]);
  expect(await used.spool.entries()).toEqual([]);
  expect((await readSessionRecord(aside)).opened.recordingId).toBe(basename(entry.directory));
});

it('knows from its name when a recording began', () => {
  expect(recordedAt(`/spool/${ulid(EPOCH_MS)}`)).toBe(EPOCH_MS);
});

describe('events of a recording that has ended', () => {
  it('are appended to its record', async () => {
    const entry = await used.spool.begin(openedEvent());
    await entry.close();
    await appendEvents(entry.directory, [{ type: 'answered', at: AT }, CLOSED]);
    await appendEvents(entry.directory, []);
    const { events } = await readSessionRecord(entry.directory);
    expect(events.slice(1)).toEqual([{ type: 'answered', at: AT }, CLOSED]);
  });

  it('make no record where there is none', async () => {
    const entry = await used.spool.begin(openedEvent());
    await entry.close();
    rmSync(join(entry.directory, 'session.jsonl'));
    await appendEvents(entry.directory, [CLOSED]);
    expect(readdirSync(entry.directory)).toEqual([]);
  });
});

describe('a session record', () => {
  const write = async (text: string): Promise<string> => {
    writeFileSync(join(used.spool.directory, 'session.jsonl'), text);
    return used.spool.directory;
  };
  const line = (event: unknown): string => `${JSON.stringify(event)}\n`;

  it('is read without a last line that is cut off', async () => {
    const record = await readSessionRecord(
      await write(`${line(openedEvent())}${line({ type: 'answered', at: AT })}{"type":"clo`),
    );
    expect(record.events.map(({ type }) => type)).toEqual(['opened', 'answered']);
    expect(record.unreadableLines).toBe(1);
  });

  it('is read without events that nobody knows', async () => {
    const record = await readSessionRecord(
      await write(`${line(openedEvent())}${line({ type: 'future', at: AT })}`),
    );
    expect(record.unreadableLines).toBe(1);
  });

  it.each([
    ['empty', ''],
    ['cut off in its first line', line(openedEvent()).slice(0, 40)],
    ['without its first line', line({ type: 'answered', at: AT })],
    ['binary', '\0\0\0\n\xff'],
  ])('cannot be used if it is %s', async (_how, text) => {
    const directory = await write(text);
    await expect(readSessionRecord(directory)).rejects.toThrow(SessionRecordError);
  });

  it('cannot be used if it is not there', async () => {
    await expect(readSessionRecord(used.spool.directory)).rejects.toThrow(SessionRecordError);
  });

  it('may be read later if it cannot be read now', async () => {
    rmSync(join(used.spool.directory, 'session.jsonl'), { force: true });
    await expect(readSessionRecord(`${used.spool.directory}/${'x'.repeat(300)}`)).rejects.toMatchObject({
      code: 'ENAMETOOLONG',
    });
  });
});
