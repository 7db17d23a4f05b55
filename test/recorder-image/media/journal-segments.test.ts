import { appendFileSync, readFileSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { type Assembly, assemble } from '../../../recorder-image/src/media/assemble.ts';
import type { G711Codec } from '../../../recorder-image/src/media/g711.ts';
import { JournalReader, JournalWriter } from '../../../recorder-image/src/media/journal.ts';
import { JournalSegments } from '../../../recorder-image/src/media/journal-segments.ts';
import { keyingOf, protectRtp } from './srtp-support.ts';
import type { Arrival, Wav } from './support.ts';
import { channelOf, EPOCH_MS, readWav, rtcpPacket, speech, talk, useTemporaryDirectory } from './support.ts';

const inDirectory = useTemporaryDirectory();

const CODECS: ReadonlyMap<number, G711Codec> = new Map([[0, 'PCMU']]);
const RECORD_BYTES = 8 + 12 + 160;
const HEADER_BYTES = '#!rtpplay1.0 127.0.0.1/20000\n'.length + 16;

/** Writes a segment that was begun `startedAt` after the epoch, or with its first packet. */
function segment(name: string, arrivals: readonly Arrival[], startedAt = arrivals[0]?.atMs ?? 0): string {
  const path = inDirectory(name);
  const header = { address: '127.0.0.1', port: 20_000, startedAtMs: EPOCH_MS + startedAt };
  const journal = new JournalWriter(path, header, ({ message }) => {
    throw new Error(message);
  });
  for (const { atMs, packet, rtcp = false } of arrivals)
    journal.append(packet, packet.length, EPOCH_MS + atMs, rtcp);
  journal.close();
  return path;
}

const assembleSegments = (...streams: string[][]) => assembleAfter({ endedByCrash: false }, ...streams);

async function assembleAfter(
  end: { endedByCrash: boolean },
  ...streams: string[][]
): Promise<Assembly & { wav: Wav }> {
  const outPath = inDirectory('audio.wav');
  const assembly = await assemble({
    outPath,
    ...end,
    streams: streams.map((journalPaths, index) => ({
      label: String(index + 1),
      journalPaths,
      openedAtMs: EPOCH_MS,
      codecs: CODECS,
    })),
  });
  return { ...assembly, wav: readWav(outPath) };
}

/** One without a packet, of a recorder that was started later. */
const segmentAfter = (name = 'after'): string => segment(name, [], 4000);

/** One talk of 100 packets, of which those from `from` to `to` found nobody who listened. */
const interrupted = (seed: number, from: number, to: number): [Arrival[], Arrival[]] => {
  const sent = talk({ seed, packets: 100, sequence: 65_500, timestamp: 2 ** 32 - 50 * 160 });
  return [sent.slice(0, from), sent.slice(to)];
};

const withSilence = (audio: Buffer, fromPacket: number, toPacket: number): Buffer =>
  Buffer.from(audio).fill(0xff, fromPacket * 160, toPacket * 160);

describe('a stream in segments', () => {
  it('goes on after a crash where its timestamps say, with the crash as its only gap', async () => {
    const [before, after] = interrupted(1, 30, 80);
    const { audio, streams, wav } = await assembleSegments([segment('1', before), segment('1.2', after)]);
    expect(audio?.durationMs).toBe(2000);
    expect(wav.data).toEqual(withSilence(speech(1, 0, 16_000), 30, 80));
    expect(streams[0]).toMatchObject({
      ssrcs: [0x1234],
      packets: 50,
      lostPackets: 50,
      truncatedJournal: false,
      gaps: [{ fromMs: 600, toMs: 1600, cause: 'crash' }],
    });
  });

  it('has a crash as the cause also where no packet is missing by its number', async () => {
    const paths = [
      segment('1', talk({ seed: 1, packets: 10 })),
      segment('1.2', talk({ seed: 1, packets: 10, atMs: 400, sequence: 11, timestamp: 3200 })),
    ];
    const { streams } = await assembleSegments(paths);
    expect(streams[0]).toMatchObject({
      lostPackets: 0,
      gaps: [{ fromMs: 200, toMs: 400, cause: 'crash' }],
    });
  });

  it('tells what a crash may have cost a stream that had no packet after it, or before', async () => {
    const [before, after] = interrupted(1, 30, 60);
    const { streams } = await assembleSegments(
      [segment('1', before), segment('1.2', after, 1100)],
      [segment('2', before.slice(0, 10)), segment('2.2', [], 1100)],
      [segment('3', []), segment('3.2', after.slice(20), 1100)],
    );
    expect(streams.map(({ gaps }) => gaps)).toEqual([
      [{ fromMs: 600, toMs: 1200, cause: 'crash' }],
      [
        { fromMs: 200, toMs: 1100, cause: 'crash' },
        { fromMs: 1100, toMs: 2000, cause: 'not-sent' },
      ],
      [
        { fromMs: 0, toMs: 1100, cause: 'crash' },
        { fromMs: 1100, toMs: 1600, cause: 'not-sent' },
      ],
    ]);
  });

  it.each([
    ['which a successor opened again', { endedByCrash: false }, [segmentAfter]],
    ['which nobody opened again', { endedByCrash: true }, []],
  ])('lacks what had not reached the journal at a crash, up to a second, %s', async (_, end, more) => {
    const other = segment('other', talk({ seed: 2, packets: 150 }));
    const gapsOf = async (packets: number) => {
      const path = segment(`${packets}`, talk({ seed: 1, packets }));
      return (await assembleAfter(end, [path, ...more.map((make) => make(`${packets}.2`))], [other]))
        .streams[0]?.gaps;
    };
    expect(await gapsOf(125)).toEqual([{ fromMs: 2500, toMs: 3000, cause: 'crash' }]);
    expect(await gapsOf(50)).toEqual([
      { fromMs: 1000, toMs: 1980, cause: 'not-sent' },
      { fromMs: 1980, toMs: 3000, cause: 'crash' },
    ]);
    expect(await gapsOf(148)).toEqual([{ fromMs: 2960, toMs: 3000, cause: 'crash' }]);
  });

  it('lacks by no crash what comes before its journal, or after it where nobody died', async () => {
    const other = segment('other', talk({ seed: 2, packets: 150 }));
    const late = segment('late', talk({ seed: 1, packets: 50, atMs: 2000 }));
    const { streams } = await assembleAfter({ endedByCrash: true }, [late], [other]);
    expect(streams[0]?.gaps).toEqual([{ fromMs: 0, toMs: 2000, cause: 'not-sent' }]);
    const early = segment('early', talk({ seed: 1, packets: 125 }));
    const whole = await assembleSegments([early], [other]);
    expect(whole.streams[0]?.gaps).toEqual([{ fromMs: 2500, toMs: 3000, cause: 'not-sent' }]);
  });

  it('is cut off by the crash where its journal is', async () => {
    const path = segment('cut', talk({ seed: 1, packets: 50 }));
    truncateSync(path, HEADER_BYTES + 20 * RECORD_BYTES + 9);
    const other = segment('other', talk({ seed: 2, packets: 150 }));
    const { streams } = await assembleSegments([path, segmentAfter()], [other]);
    expect(streams[0]?.gaps).toEqual([{ fromMs: 400, toMs: 3000, cause: 'crash' }]);
  });

  it('is decrypted on, although its rollover counter grew in the dark', async () => {
    const keying = keyingOf('AES_CM_128_HMAC_SHA1_80', 3);
    const [before, after] = interrupted(1, 30, 40); // the sequence numbers wrap at the 36th packet
    const protect = (arrivals: Arrival[], rollovers: number): Arrival[] =>
      arrivals.map(({ packet, ...arrival }) => ({
        ...arrival,
        packet: protectRtp(keying, packet, rollovers),
      }));
    const outPath = inDirectory('audio.wav');
    const { streams } = await assemble({
      outPath,
      streams: [
        {
          label: '1',
          journalPaths: [segment('1', protect(before, 0)), segment('1.2', protect(after, 1))],
          codecs: CODECS,
          protection: [{ fromMs: EPOCH_MS, keying }],
        },
      ],
    });
    expect(readWav(outPath).data).toEqual(withSilence(speech(1, 0, 16_000), 30, 40));
    expect(streams[0]).toMatchObject({ packets: 90, unauthenticPackets: 0 });
  });

  it.each<[string, (path: string) => void, number, number]>([
    ['a tail that is cut off', (path) => truncateSync(path, HEADER_BYTES + 20 * RECORD_BYTES - 7), 19, 173],
    ['rubbish at its end', (path) => appendFileSync(path, Buffer.alloc(70_000, 0xff)), 20, 70_000],
    ['no byte at all', (path) => truncateSync(path, 0), 0, 0],
    ['only rubbish', (path) => writeFileSync(path, Buffer.alloc(5000, 0x41)), 0, 5000],
  ])('has all other segments where one has %s', async (_what, spoil, packets, unreadBytes) => {
    const sent = talk({ seed: 1, packets: 60 });
    const paths = [
      segment('1', sent.slice(0, 20)),
      segment('1.2', sent.slice(20, 40)),
      segment('1.3', sent.slice(40)),
    ];
    spoil(paths[1] as string);
    const { streams, wav } = await assembleSegments(paths);
    expect(wav.data).toEqual(withSilence(speech(1, 0, 9600), 20 + packets, 40));
    expect(streams[0]).toMatchObject({
      packets: 40 + packets,
      truncatedJournal: packets < 20 || unreadBytes > 0,
      ...(unreadBytes > 0 && { unreadBytes }),
    });
    expect(streams[0]?.gaps.every(({ cause }) => cause === 'crash')).toBe(true);
  });

  it('is placed by what else is known of its beginning where the header is spoiled', async () => {
    const path = segment('1', talk({ seed: 1, packets: 50 }));
    const other = segment('2', talk({ seed: 2, packets: 50 }));
    const whole = readFileSync(path);
    for (const place of [0, HEADER_BYTES - 17, HEADER_BYTES - 15]) {
      const file = Buffer.from(whole);
      file.writeUInt8((file[place] as number) ^ 0x40, place);
      writeFileSync(path, file);
      const { audio, streams, wav } = await assembleSegments([path], [other]);
      expect(audio).toMatchObject({ startedAtMs: EPOCH_MS, durationMs: 1000 });
      expect(channelOf(wav, 0)).toEqual(speech(1, 0, 8000));
      expect(streams[0]).toMatchObject({ packets: 50, unreadBytes: HEADER_BYTES, gaps: [] });
    }
  });
});

describe('a spoiled part', () => {
  it('costs what it covers, and is told', async () => {
    const sent = talk({ seed: 1, packets: 100 });
    const path = segment('1', sent);
    const file = readFileSync(path);
    file.fill(0xa5, HEADER_BYTES + 40 * RECORD_BYTES + 3, HEADER_BYTES + 45 * RECORD_BYTES - 20);
    writeFileSync(path, file);
    const { streams, wav } = await assembleSegments([path]);
    expect(wav.data).toEqual(withSilence(speech(1, 0, 16_000), 40, 45));
    expect(streams[0]).toMatchObject({
      packets: 95,
      unreadBytes: 5 * RECORD_BYTES,
      truncatedJournal: false,
      gaps: [{ fromMs: 800, toMs: 900, cause: 'undecoded' }],
    });
  });

  it.each(Array.from({ length: 8 }, (_, place) => place))(
    'of one bit in byte %i of a record header costs no more than that record',
    (place) => {
      const sent = talk({ seed: 1, packets: 30 });
      sent.splice(15, 0, { atMs: 300, packet: rtcpPacket(), rtcp: true });
      const path = segment('1', sent);
      const whole = readFileSync(path);
      for (let bit = 0; bit < 8; bit++) {
        const file = Buffer.from(whole);
        const at = HEADER_BYTES + 10 * RECORD_BYTES + place;
        file.writeUInt8((file[at] as number) ^ (1 << bit), at);
        writeFileSync(path, file);
        const reader = new JournalReader(path);
        const packets = Array.from(reader.packets(), ({ packet, arrivalMs }) => ({
          packet: Buffer.from(packet),
          atMs: arrivalMs - EPOCH_MS,
        }));
        const isLost = place < 4;
        expect(packets.map(({ packet }) => packet)).toEqual(
          sent.filter((_, index) => !isLost || index !== 10).map(({ packet }) => packet),
        );
        expect(reader.skippedBytes).toBe(isLost ? RECORD_BYTES : 0);
        for (const [index, { atMs }] of packets.entries())
          if (index !== 10 || isLost) expect(packets[index + 1]?.atMs ?? atMs).toBeGreaterThanOrEqual(atMs);
      }
    },
  );

  it('of a time of arrival does not make the call longer than its journal was written', () => {
    const path = segment('1', talk({ seed: 1, packets: 30 }));
    const file = readFileSync(path);
    file.writeUInt8(0x80, HEADER_BYTES + 29 * RECORD_BYTES + 4);
    writeFileSync(path, file);
    utimesSync(path, EPOCH_MS / 1000 + 1, EPOCH_MS / 1000 + 1);
    const times = Array.from(new JournalReader(path).packets(), ({ arrivalMs }) => arrivalMs - EPOCH_MS);
    expect(times.slice(-2)).toEqual([560, 560]);
  });

  it('does not take audio that looks like a record for one', () => {
    const sent = talk({ seed: 1, packets: 30 });
    const decoy = Buffer.from([0, 28, 0, 20, 0, 0, 0, 1, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x99, 0x99]);
    decoy.copy(sent[10]?.packet as Buffer, 60);
    const path = segment('1', sent);
    const file = readFileSync(path);
    file.fill(0, HEADER_BYTES + 10 * RECORD_BYTES, HEADER_BYTES + 10 * RECORD_BYTES + 2);
    writeFileSync(path, file);
    const reader = new JournalReader(path);
    expect([...reader.packets()]).toHaveLength(29);
    expect(reader).toMatchObject({ skippedBytes: RECORD_BYTES, truncatedAt: undefined });
  });
});

describe('bits flipped anywhere', () => {
  it.each(Array.from({ length: 30 }, (_, seed) => seed))(
    'cost little of a minute (seed %i)',
    async (seed) => {
      const packets = 3000;
      const path = segment('1', talk({ seed: 1, packets }));
      utimesSync(path, EPOCH_MS / 1000 + 60, EPOCH_MS / 1000 + 60);
      const file = readFileSync(path);
      let state = seed * 2_654_435_761 + 1;
      for (let flip = 0; flip < 20; flip++) {
        state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
        const at = Math.floor((state / 2 ** 32) * file.length);
        file.writeUInt8((file[at] as number) ^ (1 << (state & 7)), at);
      }
      writeFileSync(path, file);
      const { audio, streams, wav } = await assembleSegments([path]);
      expect(streams[0]?.packets).toBeGreaterThanOrEqual(packets - 20);
      expect(audio?.durationMs).toBeLessThan(20 * packets + 2500);
      const sent = speech(1, 0, 160 * packets);
      const offset = Math.round(((audio?.startedAtMs ?? 0) - EPOCH_MS) * 8);
      const wrong = sent.filter((byte, index) => wav.data[index - offset] !== byte).length;
      expect(wrong / sent.length).toBeLessThan(0.02);
    },
  );
});

describe('JournalSegments', () => {
  it('reports each segment', () => {
    const paths = [segment('1', talk({ seed: 1, packets: 5 })), segment('1.2', [], 4000)];
    const journal = new JournalSegments(paths);
    expect([...journal.packets()]).toHaveLength(5);
    expect(journal.reports).toEqual([
      { startedAtMs: EPOCH_MS, lastArrivalMs: EPOCH_MS + 80, truncated: false },
      { startedAtMs: EPOCH_MS + 4000, truncated: false },
    ]);
  });

  it('says that a segment is not there', () => {
    expect(() => [...new JournalSegments([inDirectory('missing')]).packets()]).toThrow('ENOENT');
  });
});
