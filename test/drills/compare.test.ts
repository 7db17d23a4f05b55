import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compare } from './compare.ts';
import { type Damage, damage } from './damage.ts';
import { randomOf } from './random.ts';
import { table } from './report.ts';
import { PAYLOAD_BYTES, SILENCE, voiceAt, writePayload } from './voice.ts';

const STREAM = 300;
const SENT = 50;

/** The bytes of packets, silence for those left out. */
function channelOf(packets: number, { without = [] as number[], stream = STREAM, lead = 0 } = {}): Buffer {
  const channel = Buffer.alloc(lead + packets * PAYLOAD_BYTES, SILENCE);
  for (let packet = 0; packet < packets; packet++)
    if (!without.includes(packet)) writePayload(channel, lead + packet * PAYLOAD_BYTES, stream, packet);
  return channel;
}

const NOTHING_WRONG = {
  sent: SENT,
  missing: [],
  differingMs: 0,
  strangerMs: 0,
  unlistedMs: 0,
  wronglyListedMs: 0,
  causes: new Set(),
};
const gap = (fromMs: number, toMs: number, cause: 'crash' | 'lost' = 'crash') => ({ fromMs, toMs, cause });

describe('a payload', () => {
  it('tells its stream and packet, and is never silent', () => {
    const payload = Buffer.alloc(PAYLOAD_BYTES);
    writePayload(payload, 0, 12_345, 1_000_000);
    expect(voiceAt(payload, 0)).toEqual({ stream: 12_345, packet: 1_000_000 });
    expect(payload.includes(SILENCE)).toBe(false);
    payload[100] = (payload[100] as number) ^ 1;
    expect(voiceAt(payload, 0)).toBeUndefined();
  });

  it('is unlike that of any neighbour', () => {
    const payloads = [0, 1, 2].flatMap((stream) =>
      [0, 1, 2].map((packet) => {
        const payload = Buffer.alloc(PAYLOAD_BYTES);
        writePayload(payload, 0, stream, packet);
        return payload.subarray(5).toString('hex');
      }),
    );
    expect(new Set(payloads).size).toBe(9);
  });
});

describe('a channel that is compared with what was sent', () => {
  it('is as it should be, wherever it begins', () => {
    expect(compare(channelOf(SENT), STREAM, SENT, [])).toEqual(NOTHING_WRONG);
    expect(compare(channelOf(SENT, { lead: 77 }), STREAM, SENT, [])).toEqual(NOTHING_WRONG);
    expect(compare(channelOf(SENT).subarray(3 * PAYLOAD_BYTES), STREAM, SENT, [])).toEqual({
      ...NOTHING_WRONG,
      missing: [0, 1, 2], // before the file, where no gap can be
    });
  });

  it('lacks packets that a gap lists', () => {
    const channel = channelOf(SENT, { without: [10, 11, 12, 30] });
    expect(compare(channel, STREAM, SENT, [gap(200, 260)])).toEqual({
      ...NOTHING_WRONG,
      missing: [10, 11, 12, 30], // one alone is no gap
      causes: new Set(['crash']),
    });
  });

  it('lacks packets that no gap lists, or only in part', () => {
    const channel = channelOf(SENT, { without: [10, 11, 12] });
    expect(compare(channel, STREAM, SENT, []).unlistedMs).toBe(60);
    expect(compare(channel, STREAM, SENT, [gap(200, 240)]).unlistedMs).toBe(20);
    expect(compare(Buffer.alloc(0), STREAM, SENT, [])).toMatchObject({
      missing: { length: SENT },
      unlistedMs: 0,
    });
    expect(compare(Buffer.alloc(8_000, SILENCE), STREAM, SENT, [])).toMatchObject({
      missing: { length: SENT },
      unlistedMs: 1_000,
    });
  });

  it('holds what a gap says is missing', () => {
    expect(compare(channelOf(SENT), STREAM, SENT, [gap(190, 230)]).wronglyListedMs).toBe(40);
  });

  it('holds what was never sent', () => {
    const channel = channelOf(SENT);
    for (let index = 0; index < 80; index++)
      channel[16 * PAYLOAD_BYTES + index] = 0x7f ^ (channel[index] as number);
    channel[20 * PAYLOAD_BYTES + 50] = (channel[20 * PAYLOAD_BYTES + 50] as number) ^ 1;
    expect(compare(channel, STREAM, SENT, []).differingMs).toBeCloseTo(81 / 8, 0);
    const longer = Buffer.concat([channelOf(SENT), Buffer.alloc(16, 1)]);
    expect(compare(longer, STREAM, SENT, []).differingMs).toBe(2);
  });

  it('holds what another stream sent', () => {
    const channel = channelOf(SENT);
    writePayload(channel, 5 * PAYLOAD_BYTES, STREAM + 1, 5);
    expect(compare(channel, STREAM, SENT, []).strangerMs).toBe(20);
    expect(compare(channelOf(SENT, { stream: STREAM + 1 }), STREAM, SENT, [])).toMatchObject({
      missing: { length: SENT },
      strangerMs: SENT * 20,
      differingMs: SENT * 20,
    });
  });

  it('is displaced in the middle', () => {
    const channel = channelOf(SENT);
    const shifted = Buffer.concat([
      channel.subarray(0, 20 * PAYLOAD_BYTES),
      Buffer.alloc(8, SILENCE),
      channel.subarray(20 * PAYLOAD_BYTES),
    ]);
    expect(compare(shifted, STREAM, SENT, []).differingMs).toBeGreaterThan(500);
  });
});

describe('damage to a journal', () => {
  const HEADER = Buffer.concat([Buffer.from('#!rtpplay1.0 127.0.0.1/10000\n'), Buffer.alloc(16)]);
  const RECORD_BYTES = 8 + 12 + PAYLOAD_BYTES;

  function journalOf(packets: number): Buffer {
    const records = Array.from({ length: packets }, (_, packet) => {
      const record = Buffer.alloc(RECORD_BYTES);
      record.writeUInt16BE(RECORD_BYTES, 0);
      record.writeUInt16BE(RECORD_BYTES - 8, 2);
      writePayload(record, 20, STREAM, packet);
      return record;
    });
    return Buffer.concat([HEADER, ...records]);
  }

  const folder = mkdtempSync(join(tmpdir(), 'siprec-ha-damage-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  /** What the seed does to a journal of 50 packets, and the file after it. */
  function damaged(seed: number): { done: Damage; bytes: Buffer } {
    const path = join(folder, 'stream-1.rtpdump');
    writeFileSync(path, journalOf(SENT));
    const done = damage(path, randomOf(seed));
    return { done, bytes: readFileSync(path) };
  }

  it('tells which packets it has destroyed, and leaves the others as they were', () => {
    const journal = journalOf(SENT);
    for (let seed = 1; seed <= 50; seed++) {
      const { done, bytes } = damaged(seed);
      const recordOf = (file: Buffer, packet: number) =>
        file.subarray(HEADER.length + packet * RECORD_BYTES, HEADER.length + (packet + 1) * RECORD_BYTES);
      const destroyed = Array.from({ length: SENT }, (_, packet) => packet).filter(
        (packet) => !recordOf(bytes, packet).equals(recordOf(journal, packet)),
      );
      const told = destroyed.filter((packet) => packet >= done.cutAt || done.spoiled.includes(packet));
      expect(told).toEqual(destroyed);
      expect(destroyed.length > 0).toBe(done.kind !== 'intact');
    }
  });

  it('is of every kind, and the same for the same seed', () => {
    const kinds = Array.from({ length: 20 }, (_, seed) => damaged(seed).done.kind);
    expect(new Set(kinds)).toEqual(new Set(['intact', 'cut off', 'bits flipped']));
    expect(damaged(7)).toEqual(damaged(7));
  });
});

it('prints numbers to the right, words to the left', () => {
  expect(
    table([
      ['what', 'ms'],
      ['missing', 12.345],
      ['x', 0],
    ]),
  ).toBe('what       ms\nmissing  12.3\nx           0');
});
