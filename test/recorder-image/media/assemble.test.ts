import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type Assembly, type AssemblyStream, assemble } from '../../../recorder-image/src/media/assemble.ts';
import { G711_DECODE, G711_SILENCE, type G711Codec } from '../../../recorder-image/src/media/g711.ts';
import {
  type Arrival,
  channelOf,
  EPOCH_MS,
  readWav,
  rtcpPacket,
  rtpPacket,
  speech,
  talk,
  useTemporaryDirectory,
  type Wav,
  writeJournal,
} from './support.ts';

const inDirectory = useTemporaryDirectory();

const CODECS: ReadonlyMap<number, G711Codec> = new Map([
  [0, 'PCMU'],
  [8, 'PCMA'],
]);
const silence = (samples: number, codec: G711Codec = 'PCMU') => Buffer.alloc(samples, G711_SILENCE[codec]);
const byArrival = (arrivals: Arrival[]) => arrivals.sort((one, other) => one.atMs - other.atMs);

/** Assembles one stream per list of arrivals. */
async function assembleStreams(...streams: Arrival[][]): Promise<Assembly & { wav: Wav }> {
  const outPath = inDirectory('audio.wav');
  const assembly = await assemble({
    outPath,
    streams: streams.map((arrivals, index): AssemblyStream => {
      const journalPath = inDirectory(`${index}.rtpdump`);
      writeJournal(journalPath, arrivals);
      return { label: `label-${index}`, journalPaths: [journalPath], codecs: CODECS };
    }),
  });
  return { ...assembly, wav: readWav(outPath) };
}

describe('one stream', () => {
  it('comes back byte for byte, as mono', async () => {
    const { audio, streams, wav } = await assembleStreams(talk({ seed: 1, packets: 100, atMs: 30 }));
    expect(audio).toEqual({
      startedAtMs: EPOCH_MS + 30,
      durationMs: 2000,
      sampleRate: 8000,
      channels: 1,
      encoding: 'pcmu',
    });
    expect(streams).toEqual([
      {
        label: 'label-0',
        ssrcs: [0x1234],
        payloadTypes: [0],
        packets: 100,
        lostPackets: 0,
        duplicatePackets: 0,
        jitterMs: 0,
        unauthenticPackets: 0,
        firstPacketAt: EPOCH_MS + 30,
        lastPacketAt: EPOCH_MS + 30 + 99 * 20,
        gaps: [],
        truncatedJournal: false,
        dtmf: [],
      },
    ]);
    expect(wav).toMatchObject({ formatTag: 7, channels: 1, sampleRate: 8000, factSamples: 16_000 });
    expect(wav.data).toEqual(speech(1, 0, 16_000));
  });

  it('keeps A-law as A-law', async () => {
    const { audio, wav } = await assembleStreams(talk({ seed: 1, packets: 3, payloadType: 8 }));
    expect(audio?.encoding).toBe('pcma');
    expect(wav.formatTag).toBe(6);
    expect(wav.data).toEqual(speech(1, 0, 480));
  });

  it('may wrap around in sequence and timestamp', async () => {
    const { streams, wav } = await assembleStreams(
      talk({ seed: 1, packets: 40, sequence: 65_520, timestamp: 2 ** 32 - 20 * 160 }),
    );
    expect(wav.data).toEqual(speech(1, 0, 40 * 160));
    expect(streams[0]).toMatchObject({ lostPackets: 0, gaps: [] });
  });

  it('has its packets put in order, and duplicates left out', async () => {
    const arrivals = talk({ seed: 1, packets: 100 });
    (arrivals[20] as Arrival).atMs += 300;
    (arrivals[21] as Arrival).atMs += 45;
    arrivals.push({ atMs: 1000, packet: arrivals[40]?.packet as Buffer });
    arrivals.push({ atMs: 1900, packet: arrivals[10]?.packet as Buffer });
    const { streams, wav } = await assembleStreams(byArrival(arrivals));
    expect(wav.data).toEqual(speech(1, 0, 16_000));
    expect(streams[0]).toMatchObject({ packets: 102, duplicatePackets: 2, lostPackets: 0, gaps: [] });
  });

  it('has silence where packets were lost, and the loss listed from over 20 ms', async () => {
    const arrivals = talk({ seed: 1, packets: 60 });
    const { streams, wav } = await assembleStreams([
      ...arrivals.slice(0, 10),
      ...arrivals.slice(11, 30),
      ...arrivals.slice(33),
    ]);
    const expected = speech(1, 0, 60 * 160);
    silence(160).copy(expected, 10 * 160);
    silence(480).copy(expected, 30 * 160);
    expect(wav.data).toEqual(expected);
    expect(streams[0]).toMatchObject({
      packets: 56,
      lostPackets: 4,
      gaps: [{ fromMs: 600, toMs: 660, cause: 'lost' }],
    });
  });

  it('leaves out what comes more than half a second too late', async () => {
    const arrivals = talk({ seed: 1, packets: 100 });
    const late = arrivals.slice(30, 32);
    for (const arrival of late) arrival.atMs += 700;
    const { streams, wav } = await assembleStreams(byArrival(arrivals));
    const expected = speech(1, 0, 16_000);
    silence(320).copy(expected, 30 * 160);
    expect(wav.data).toEqual(expected);
    expect(streams[0]).toMatchObject({ lostPackets: 0, gaps: [{ fromMs: 600, toMs: 640, cause: 'lost' }] });
  });

  it('has a pause of the sender listed as such', async () => {
    const { streams, wav } = await assembleStreams([
      ...talk({ seed: 1, packets: 10 }),
      ...talk({ seed: 2, packets: 10, atMs: 1200, sequence: 11, timestamp: 9600 }),
    ]);
    expect(wav.data).toEqual(Buffer.concat([speech(1, 0, 1600), silence(8000), speech(2, 0, 1600)]));
    expect(streams[0]).toMatchObject({
      lostPackets: 0,
      gaps: [{ fromMs: 200, toMs: 1200, cause: 'not-sent' }],
    });
  });

  it('goes on by arrival time after a pause in which the timestamps stood still', async () => {
    const { streams, wav } = await assembleStreams([
      ...talk({ seed: 1, packets: 10 }),
      ...talk({ seed: 2, packets: 10, atMs: 5200, sequence: 11, timestamp: 1600 }),
    ]);
    expect(wav.data).toEqual(Buffer.concat([speech(1, 0, 1600), silence(40_000), speech(2, 0, 1600)]));
    expect(streams[0]?.gaps).toEqual([{ fromMs: 200, toMs: 5200, cause: 'not-sent' }]);
  });

  it('goes on without a gap where the sender sets its timestamps anew', async () => {
    const { streams, wav } = await assembleStreams([
      ...talk({ seed: 1, packets: 30 }),
      ...talk({ seed: 1, packets: 30, atMs: 600, sample: 4800, sequence: 50_000, timestamp: 0xdead_0000 }),
    ]);
    expect(wav.data).toEqual(speech(1, 0, 9600));
    expect(streams[0]).toMatchObject({ ssrcs: [0x1234], lostPackets: 0, gaps: [] });
  });

  it('goes on where the SSRC changes, without a cut if the new one seems to come early', async () => {
    const first = talk({ seed: 1, packets: 60 });
    for (const arrival of first) arrival.atMs += 15;
    const second = talk({ seed: 1, packets: 60, atMs: 1200, sample: 9600, ssrc: 0xbeef, timestamp: 777 });
    const { streams, wav } = await assembleStreams([...first, ...second]);
    expect(wav.data).toEqual(speech(1, 0, 19_200));
    expect(streams[0]).toMatchObject({ ssrcs: [0x1234, 0xbeef], packets: 120, lostPackets: 0, gaps: [] });
  });

  it('keeps its time when the recorder stood still and the packets came in a burst', async () => {
    const arrivals = talk({ seed: 1, packets: 1500 });
    for (const arrival of arrivals) if (arrival.atMs >= 4000 && arrival.atMs < 24_000) arrival.atMs = 24_000;
    const { streams, wav } = await assembleStreams(arrivals);
    expect(wav.data).toEqual(speech(1, 0, 1500 * 160));
    expect(streams[0]).toMatchObject({ lostPackets: 0, gaps: [] });
  });

  it.each([
    ['high', 0x4000_0000],
    ['low', -0x0100_0000],
    ['far away to tell in which direction', 0x8000_0000],
  ])('loses no more than the packet whose timestamp is broken and too %s', async (_, error) => {
    const arrivals = talk({ seed: 1, packets: 200 });
    const broken = arrivals[100]?.packet as Buffer;
    broken.writeUInt32BE((100 * 160 + error) >>> 0, 4);
    for (const arrival of arrivals.slice(100)) arrival.atMs += 3; // the rest is placed as before all the same
    const { streams, wav } = await assembleStreams(arrivals);
    const expected = speech(1, 0, 32_000);
    silence(160).copy(expected, 100 * 160);
    expect(wav.data).toEqual(expected);
    expect(streams[0]).toMatchObject({ packets: 200, lostPackets: 0, gaps: [] });
  });

  it('has no audio of telephone events, comfort noise, and empty packets, but counts them', async () => {
    const event = (sequence: number, timestamp: number) =>
      rtpPacket({ payloadType: 101, sequence, timestamp, payload: Buffer.from([5, 10, 0, 160]) });
    const { streams, wav } = await assembleStreams([
      { atMs: 0, packet: event(1, 0) },
      ...talk({ seed: 1, packets: 3, atMs: 100, sequence: 2, timestamp: 800 }),
      {
        atMs: 160,
        packet: rtpPacket({ payloadType: 13, sequence: 5, timestamp: 1280, payload: Buffer.from([70]) }),
      },
      { atMs: 180, packet: event(6, 1280) },
      { atMs: 200, packet: event(7, 1280) },
      { atMs: 220, packet: rtpPacket({ sequence: 8, timestamp: 1760 }) },
      { atMs: 230, packet: rtcpPacket(), rtcp: true },
      ...talk({ seed: 2, packets: 3, atMs: 240, sequence: 9, timestamp: 1920 }),
    ]);
    expect(wav.data).toEqual(Buffer.concat([speech(1, 0, 480), silence(640), speech(2, 0, 480)]));
    expect(streams[0]).toMatchObject({
      packets: 11,
      lostPackets: 0,
      payloadTypes: [101, 0, 13],
      gaps: [{ fromMs: 60, toMs: 140, cause: 'not-sent' }],
    });
  });

  it('becomes PCM if its law changes', async () => {
    const { audio, wav } = await assembleStreams([
      ...talk({ seed: 1, packets: 2 }),
      ...talk({ seed: 1, packets: 2, atMs: 40, sequence: 3, timestamp: 320, sample: 320, payloadType: 8 }),
    ]);
    expect(audio?.encoding).toBe('pcm16');
    expect(wav).toMatchObject({ formatTag: 1, bitsPerSample: 16 });
    const samples = Array.from({ length: wav.data.length / 2 }, (_, index) =>
      wav.data.readInt16LE(2 * index),
    );
    const heard = [...speech(1, 0, 640)].map(
      (byte, index) => G711_DECODE[index < 320 ? 'PCMU' : 'PCMA'][byte] as number,
    );
    expect(samples).toEqual(heard);
  });
});

describe('two streams', () => {
  it('are aligned by arrival, in one channel each', async () => {
    const { audio, streams, wav } = await assembleStreams(
      talk({ seed: 1, packets: 100, timestamp: 4_000_000_000 }),
      talk({ seed: 2, packets: 80, atMs: 700, ssrc: 7, timestamp: 5 }),
    );
    expect(audio).toMatchObject({ startedAtMs: EPOCH_MS, durationMs: 2300, channels: 2, encoding: 'pcmu' });
    expect(channelOf(wav, 0)).toEqual(Buffer.concat([speech(1, 0, 16_000), silence(2400)]));
    expect(channelOf(wav, 1)).toEqual(Buffer.concat([silence(5600), speech(2, 0, 12_800)]));
    expect(streams.map(({ gaps }) => gaps)).toEqual([
      [{ fromMs: 2000, toMs: 2300, cause: 'not-sent' }],
      [{ fromMs: 0, toMs: 700, cause: 'not-sent' }],
    ]);
  });

  it('are not shifted by the delay of a first packet', async () => {
    const delayed = talk({ seed: 1, packets: 100 });
    for (const [index, arrival] of delayed.slice(0, 8).entries()) arrival.atMs += 150 - 20 * index;
    const { audio, wav } = await assembleStreams(byArrival(delayed), talk({ seed: 2, packets: 100 }));
    expect(audio?.startedAtMs).toBe(EPOCH_MS);
    expect(channelOf(wav, 0)).toEqual(speech(1, 0, 16_000));
    expect(channelOf(wav, 1)).toEqual(speech(2, 0, 16_000));
  });

  it('of different laws become PCM', async () => {
    const { audio, wav } = await assembleStreams(
      talk({ seed: 1, packets: 5 }),
      talk({ seed: 2, packets: 5, payloadType: 8 }),
    );
    expect(audio?.encoding).toBe('pcm16');
    const expected = Buffer.alloc(5 * 160 * 4);
    for (let index = 0; index < 800; index++) {
      expected.writeInt16LE(G711_DECODE.PCMU[speech(1, index, 1)[0] as number] as number, 4 * index);
      expected.writeInt16LE(G711_DECODE.PCMA[speech(2, index, 1)[0] as number] as number, 4 * index + 2);
    }
    expect(wav.data).toEqual(expected);
  });

  it('make a stereo file also where one of them is silent, and say so', async () => {
    const { streams, wav } = await assembleStreams(talk({ seed: 1, packets: 50 }), []);
    expect(channelOf(wav, 0)).toEqual(speech(1, 0, 8000));
    expect(channelOf(wav, 1)).toEqual(silence(8000));
    expect(streams[1]).toEqual({
      label: 'label-1',
      ssrcs: [],
      payloadTypes: [],
      packets: 0,
      lostPackets: 0,
      duplicatePackets: 0,
      jitterMs: 0,
      unauthenticPackets: 0,
      gaps: [{ fromMs: 0, toMs: 1000, cause: 'not-sent' }],
      truncatedJournal: false,
      dtmf: [],
    });
  });

  it('bear a gap of hours', async () => {
    const hours = 2;
    const later = hours * 3_600_000;
    const { audio, streams, wav } = await assembleStreams(talk({ seed: 1, packets: 10 }), [
      ...talk({ seed: 2, packets: 10 }),
      ...talk({ seed: 3, packets: 10, atMs: later, sequence: 11, timestamp: later * 8 }),
    ]);
    expect(audio?.durationMs).toBe(later + 200);
    expect(wav.factSamples).toBe((later + 200) * 8);
    expect(wav.data.subarray(3200, -3200).every((byte) => byte === G711_SILENCE.PCMU)).toBe(true);
    expect(streams[1]?.gaps).toEqual([{ fromMs: 200, toMs: later, cause: 'not-sent' }]);
  });
});

describe('two streams that begin a millisecond apart', () => {
  it('come back byte for byte, also where a packet goes over from one second of the file to the next', async () => {
    const { wav } = await assembleStreams(
      talk({ seed: 1, packets: 250, atMs: 30 }),
      talk({ seed: 2, packets: 250, atMs: 31, ssrc: 0x5678 }),
    );
    expect(channelOf(wav, 0)).toEqual(Buffer.concat([speech(1, 0, 40_000), silence(8)]));
    expect(channelOf(wav, 1)).toEqual(Buffer.concat([silence(8), speech(2, 0, 40_000)]));
  });
});

describe('three streams', () => {
  it('have three channels', async () => {
    const seeds = [1, 2, 3];
    const { wav } = await assembleStreams(...seeds.map((seed) => talk({ seed, packets: 5 })));
    expect(seeds.map((_, channel) => channelOf(wav, channel))).toEqual(
      seeds.map((seed) => speech(seed, 0, 800)),
    );
  });
});

describe('what a crash left', () => {
  it('is assembled up to the cut, wherever that is', async () => {
    const journalPath = inDirectory('cut.rtpdump');
    const other = inDirectory('other.rtpdump');
    writeJournal(inDirectory('whole.rtpdump'), talk({ seed: 1, packets: 4 }));
    writeJournal(other, talk({ seed: 2, packets: 4 }));
    const whole = readFileSync(inDirectory('whole.rtpdump'));
    const headerBytes = whole.length - 4 * 180;
    for (let length = 0; length <= whole.length; length++) {
      writeFileSync(journalPath, whole.subarray(0, length));
      const packets = Math.max(0, Math.floor((length - headerBytes) / 180));
      const isCut = length < headerBytes || (length - headerBytes) % 180 !== 0;
      const outPath = inDirectory('audio.wav');
      const { streams } = await assemble({
        outPath,
        streams: [journalPath, other].map((path) => ({ label: path, journalPaths: [path], codecs: CODECS })),
      });
      const wav = readWav(outPath);
      expect(channelOf(wav, 0)).toEqual(
        Buffer.concat([speech(1, 0, packets * 160), silence((4 - packets) * 160)]),
      );
      expect(channelOf(wav, 1)).toEqual(speech(2, 0, 640));
      const hasGap = packets < 3;
      expect(streams[0]).toMatchObject({
        packets,
        truncatedJournal: isCut,
        gaps: hasGap ? [{ fromMs: packets * 20, toMs: 80, cause: isCut ? 'crash' : 'not-sent' }] : [],
      });
    }
  });
});

describe('no file', () => {
  const journal = (name: string, arrivals: Arrival[]): AssemblyStream => {
    writeJournal(inDirectory(name), arrivals);
    return { label: name, journalPaths: [inDirectory(name)], codecs: CODECS };
  };

  it('is made without audio', async () => {
    const outPath = inDirectory('audio.wav');
    const event = rtpPacket({ payloadType: 101, payload: Buffer.from([1, 2, 3, 4]) });
    const streams = [journal('a', []), journal('b', [{ atMs: 0, packet: event }])];
    const assembly = await assemble({ streams, outPath });
    expect(assembly.audio).toBeUndefined();
    expect(assembly.streams.map(({ packets, gaps }) => ({ packets, gaps }))).toEqual([
      { packets: 0, gaps: [] },
      { packets: 1, gaps: [] },
    ]);
    expect(existsSync(outPath)).toBe(false);
  });

  it('is left behind where it cannot be written', async () => {
    const outPath = inDirectory('audio.wav');
    mkdirSync(outPath);
    const streams = [journal('a', talk({ seed: 1, packets: 3 }))];
    await expect(assemble({ streams, outPath })).rejects.toThrow('EISDIR');
    expect(existsSync(`${outPath}.part`)).toBe(false);
  });

  it('is made without one of the journals', async () => {
    const streams = [{ label: 'a', journalPaths: [inDirectory('missing')], codecs: CODECS }];
    await expect(assemble({ streams, outPath: inDirectory('audio.wav') })).rejects.toThrow('ENOENT');
  });
});
