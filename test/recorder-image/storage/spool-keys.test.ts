import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readSessionRecord } from '../../../recorder-image/src/storage/session-record.ts';
import { Spool } from '../../../recorder-image/src/storage/spool.ts';
import { SealedError, SpoolKeys } from '../../../recorder-image/src/storage/spool-keys.ts';
import { AT, openedEvent } from './support.ts';

const [one, other] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)] as [Buffer, Buffer];
const ID = '01KAX0000000000000000000AA';

describe('a sealed text', () => {
  it('is opened by the key that sealed it, also when that is not the first any more', () => {
    const sealed = new SpoolKeys([one]).seal('inline:secret', ID);
    expect(Buffer.from(sealed, 'base64').includes('secret')).toBe(false);
    expect(new SpoolKeys([one]).open(sealed, ID)).toBe('inline:secret');
    expect(new SpoolKeys([other, one]).open(sealed, ID)).toBe('inline:secret');
    expect(new SpoolKeys([one]).seal('inline:secret', ID)).not.toBe(sealed);
  });

  it.each<[string, SpoolKeys, (sealed: string) => string, string]>([
    ['another key', new SpoolKeys([other]), (sealed) => sealed, ID],
    ['no key', new SpoolKeys([]), (sealed) => sealed, ID],
    ['another recording', new SpoolKeys([one]), (sealed) => sealed, ID.replace('AA', 'AB')],
    ['a change', new SpoolKeys([one]), (sealed) => `${sealed.slice(0, -8)}AAAA${sealed.slice(-4)}`, ID],
    ['its end cut off', new SpoolKeys([one]), (sealed) => sealed.slice(0, 20), ID],
    ['nothing', new SpoolKeys([one]), () => '', ID],
  ])('is not opened under %s', (_, keys, change, recordingId) => {
    const sealed = new SpoolKeys([one]).seal('inline:secret, long enough to be changed', ID);
    expect(() => keys.open(change(sealed), recordingId)).toThrow(SealedError);
  });

  it('tells which key is wanted, and which are there', () => {
    const sealed = new SpoolKeys([one]).seal('x', ID);
    const message = (keys: Buffer[]): string => {
      try {
        return new SpoolKeys(keys).open(sealed, ID);
      } catch (error) {
        return (error as Error).message;
      }
    };
    expect(message([other])).toMatch(/^sealed with key [0-9a-f]{8}, .* SIPREC_SPOOL_KEY has [0-9a-f]{8};/);
    expect(message([])).toContain('SIPREC_SPOOL_KEY is not set');
    expect(message([other])).not.toContain(other.toString('base64'));
  });
});

describe('an offer in the session record', () => {
  const spool = mkdtempSync(join(tmpdir(), 'siprec-ha-spool-'));
  afterAll(() => rmSync(spool, { recursive: true, force: true }));

  async function recorded(keys: SpoolKeys, sdp: string) {
    const opened = openedEvent();
    const entry = await new Spool(spool, keys).begin(opened);
    await entry.append({ type: 'offer', at: AT, sdp });
    await entry.close();
    const text = readFileSync(join(entry.directory, 'session.jsonl'), 'utf8');
    return { text, directory: entry.directory };
  }
  const SECURE = 'v=0\r\nm=audio 6000 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0\r\n';

  it('is sealed if it has keys, and read as it was', async () => {
    const keys = new SpoolKeys([one]);
    const { text, directory } = await recorded(keys, SECURE);
    expect(text).not.toContain('c2VjcmV0');
    expect((await readSessionRecord(directory, keys)).events[1]).toEqual({
      type: 'offer',
      at: AT,
      sdp: SECURE,
    });
    await expect(readSessionRecord(directory)).rejects.toThrow(SealedError);
  });

  it('stays as it is without keys in it, or without a key to seal it with', async () => {
    const plain = SECURE.replace(/a=crypto.*\r\n/, '');
    expect((await recorded(new SpoolKeys([one]), plain)).text).toContain('RTP/SAVP');
    expect((await recorded(new SpoolKeys([]), SECURE)).text).toContain('c2VjcmV0');
  });
});
