/** What is said in each codec must be heard in the file: tones go in, and are measured in what comes out. */
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { jest } from '@jest/globals';
import { checkRecording } from '../../../local/audio-check/check.ts';
import { readWav } from '../../../local/audio-check/wav.ts';
import { type Assembly, type AssemblyJob, assemble } from '../../../recorder-image/src/media/assemble.ts';
import type { CodecName } from '../../../recorder-image/src/sdp/codecs.ts';
import { g722Tone, opusTone, pcmuTone } from './encode.ts';
import { G729_SID, G729_TONE, G729_TONE_HZ } from './g729-tone.ts';
import { type Arrival, EPOCH_MS, rtpPacket, useTemporaryDirectory, writeJournal } from './support.ts';

const inDirectory = useTemporaryDirectory();

const CODECS: ReadonlyMap<number, CodecName> = new Map([
  [0, 'PCMU'],
  [8, 'PCMA'],
  [9, 'G722'],
  [18, 'G729'],
  [111, 'OPUS'],
]);

/** 20 ms of each. */
const PACKET_BYTES = { PCMU: 160, G722: 160, G729: 20 };
const split = (audio: Buffer, bytes: number): Buffer[] =>
  Array.from({ length: audio.length / bytes }, (_, index) =>
    audio.subarray(index * bytes, (index + 1) * bytes),
  );

interface Sending {
  payloadType: number;
  payloads: Buffer[];
  atMs?: number;
  sequence?: number;
  timestamp?: number;
  ssrc?: number;
}

/** 20 ms packets, as they arrive without loss or jitter. */
function send({ payloads, atMs = 0, sequence = 1, timestamp = 0, ...fields }: Sending): Arrival[] {
  const step = fields.payloadType === 111 ? 960 : 160;
  return payloads.map((payload, index) => ({
    atMs: atMs + 20 * index,
    packet: rtpPacket({
      ...fields,
      sequence: sequence + index,
      timestamp: timestamp + step * index,
      payload,
    }),
  }));
}

const pcmu = (frequencyHz: number, seconds: number) =>
  split(pcmuTone(frequencyHz, seconds), PACKET_BYTES.PCMU);
const g722 = (frequencyHz: number, seconds: number) =>
  split(g722Tone(frequencyHz, seconds), PACKET_BYTES.G722);
const g729 = (seconds: number) =>
  split(Buffer.concat(Array.from({ length: seconds }, () => G729_TONE)), PACKET_BYTES.G729);

async function assembleStreams(streams: Arrival[][], options: Partial<AssemblyJob> = {}): Promise<Assembly> {
  return assemble({
    outPath: inDirectory('audio.wav'),
    streams: streams.map((arrivals, index) => {
      const journalPath = inDirectory(`${index}.rtpdump`);
      writeJournal(journalPath, arrivals);
      return { label: `label-${index}`, journalPaths: [journalPath], codecs: CODECS };
    }),
    ...options,
  });
}

const wav = () => readWav(readFileSync(inDirectory('audio.wav')));

/** The first and last frames of a decoder are not yet, or no more, a pure tone; so much is looked away. */
function heard(channel: number, fromMs: number, toMs: number, frequencyHz: number) {
  const { channels, sampleRate, encoding } = wav();
  const [first, last] = [fromMs + 60, toMs - 20].map((ms) => (ms * sampleRate) / 1000);
  const samples = (channels[channel] as Float32Array).subarray(first, last);
  return checkRecording(
    { channels: [samples], sampleRate, encoding, durationMs: toMs - fromMs },
    { expected: [{ channel: 0, frequencyHz }], durationMs: toMs - fromMs },
  );
}

const level = (channel: number, fromMs: number, toMs: number): number => {
  const { channels, sampleRate } = wav();
  const samples = (channels[channel] as Float32Array).subarray(
    (fromMs * sampleRate) / 1000,
    (toMs * sampleRate) / 1000,
  );
  return Math.sqrt(samples.reduce((sum, sample) => sum + sample ** 2, 0) / samples.length);
};

describe('each codec', () => {
  it.each([
    { codec: 'G722', payloadType: 9, sampleRate: 16_000, hz: 5500, payloads: () => g722(5500, 3) },
    { codec: 'G729', payloadType: 18, sampleRate: 8000, hz: G729_TONE_HZ, payloads: () => g729(3) },
    { codec: 'OPUS', payloadType: 111, sampleRate: 48_000, hz: 9000, payloads: () => opusTone(9000, 3) },
  ])('$codec becomes linear, with its whole bandwidth', async ({ payloadType, sampleRate, hz, payloads }) => {
    const sent = payloads();
    const { audio, streams } = await assembleStreams([send({ payloadType, payloads: sent, atMs: 40 })]);
    expect(audio).toEqual({
      startedAtMs: EPOCH_MS + 40,
      durationMs: sent.length * 20,
      sampleRate,
      channels: 1,
      encoding: 'pcm16',
    });
    expect(streams[0]).toMatchObject({ packets: sent.length, lostPackets: 0, gaps: [] });
    expect(streams[0]?.undecoded).toBeUndefined();
    expect(wav()).toMatchObject({ sampleRate, durationMs: sent.length * 20 });
    // By the second: the fixture of G.729 begins anew with each.
    const problems = [0, 1000, 2000].flatMap((ms) => heard(0, ms, ms + 1000, hz).problems);
    expect(problems).toEqual([]);
  });

  it('may be stereo in Opus, which becomes mono', async () => {
    const { audio } = await assembleStreams([send({ payloadType: 111, payloads: opusTone(600, 2, 1500) })]);
    expect(audio).toMatchObject({ channels: 1, sampleRate: 48_000 });
    const check = checkRecording(
      { ...wav(), channels: [(wav().channels[0] as Float32Array).subarray(4800, 90_000)] },
      {
        expected: [600, 1500].map((frequencyHz) => ({ channel: 0, frequencyHz })),
        durationMs: 2000,
        toleranceMs: 100,
      },
    );
    expect(check.problems).toEqual([]);
  });
});

describe('streams of different codecs', () => {
  it('meet at the highest rate, each in its channel and in its time', async () => {
    const { audio, streams } = await assembleStreams([
      send({ payloadType: 0, payloads: pcmu(700, 2) }),
      send({ payloadType: 9, payloads: g722(1100, 2), atMs: 500 }),
      send({ payloadType: 111, payloads: opusTone(1900, 2), atMs: 1000 }),
    ]);
    const durationMs = 1000 + opusTone(1900, 2).length * 20;
    expect(audio).toMatchObject({ channels: 3, sampleRate: 48_000, encoding: 'pcm16', durationMs });
    expect(heard(0, 0, 2000, 700).problems).toEqual([]);
    expect(heard(1, 500, 2500, 1100).problems).toEqual([]);
    expect(heard(2, 1000, 3000, 1900).problems).toEqual([]);
    expect(level(1, 0, 490)).toBeLessThan(0.001);
    expect(level(2, 0, 990)).toBe(0);
    expect(streams.map(({ gaps }) => gaps)).toEqual([
      [{ fromMs: 2000, toMs: durationMs, cause: 'not-sent' }],
      [
        { fromMs: 0, toMs: 500, cause: 'not-sent' },
        { fromMs: 2500, toMs: durationMs, cause: 'not-sent' },
      ],
      [{ fromMs: 0, toMs: 1000, cause: 'not-sent' }],
    ]);
  });
});

describe('a stream that changes its codec', () => {
  it('goes on where it was, also with another clock rate', async () => {
    const opus = opusTone(1900, 1).slice(0, 50);
    const { audio, streams } = await assembleStreams([
      [
        ...send({ payloadType: 0, payloads: pcmu(700, 1), timestamp: 777 }),
        ...send({ payloadType: 9, payloads: g722(1100, 1), atMs: 1000, sequence: 51, timestamp: 8777 }),
        ...send({ payloadType: 111, payloads: opus, atMs: 2000, sequence: 101, timestamp: 16_777 }),
        ...send({ payloadType: 0, payloads: pcmu(900, 1), atMs: 3000, sequence: 151, timestamp: 64_777 }),
      ],
    ]);
    expect(audio).toMatchObject({ durationMs: 4000, sampleRate: 48_000 });
    expect(streams[0]).toMatchObject({ payloadTypes: [0, 9, 111], lostPackets: 0, gaps: [] });
    const tones = [700, 1100, 1900, 900];
    expect(tones.flatMap((hz, second) => heard(0, second * 1000, second * 1000 + 1000, hz).problems)).toEqual(
      [],
    );
  });
});

describe('packets that do not come', () => {
  it('leave silence where they belong, in every codec', async () => {
    const withHole = (arrivals: Arrival[]) => [...arrivals.slice(0, 50), ...arrivals.slice(75)];
    const { streams } = await assembleStreams([
      withHole(send({ payloadType: 9, payloads: g722(1100, 2) })),
      withHole(send({ payloadType: 18, payloads: g729(2) })),
      withHole(send({ payloadType: 111, payloads: opusTone(1900, 2).slice(0, 100) })),
    ]);
    for (const [channel, hz] of [1100, G729_TONE_HZ, 1900].entries()) {
      expect(streams[channel]).toMatchObject({
        lostPackets: 25,
        gaps: [{ fromMs: 1000, toMs: 1500, cause: 'lost' }],
      });
      expect(heard(channel, 0, 1000, hz).problems).toEqual([]);
      expect(level(channel, 1010, 1490)).toBeLessThan(0.001);
      expect(heard(channel, 1500, 2000, hz).problems).toEqual([]);
    }
  });

  it('are late or doubled in G.722 without harm', async () => {
    const arrivals = send({ payloadType: 9, payloads: g722(1100, 2) });
    (arrivals[20] as Arrival).atMs += 95;
    arrivals.push({ atMs: 900, packet: arrivals[30]?.packet as Buffer });
    arrivals.sort((one, other) => one.atMs - other.atMs);
    const { streams } = await assembleStreams([arrivals]);
    expect(streams[0]).toMatchObject({ duplicatePackets: 1, lostPackets: 0, gaps: [] });
    expect(heard(0, 0, 2000, 1100).problems).toEqual([]);
  });
});

describe('discontinuous transmission', () => {
  it('of G.729 annex B has silence after its SID frames, alone or behind voice', async () => {
    const voice = g729(1);
    voice[49] = Buffer.concat([(voice[49] as Buffer).subarray(0, 10), G729_SID]);
    const { audio, streams } = await assembleStreams([
      [
        ...send({ payloadType: 18, payloads: voice }),
        ...send({ payloadType: 18, payloads: [G729_SID], atMs: 1200, sequence: 51, timestamp: 9600 }),
        ...send({ payloadType: 18, payloads: g729(1), atMs: 1500, sequence: 52, timestamp: 12_000 }),
      ],
    ]);
    expect(audio).toMatchObject({ durationMs: 2500, sampleRate: 8000 });
    expect(streams[0]).toMatchObject({
      lostPackets: 0,
      gaps: [{ fromMs: 990, toMs: 1500, cause: 'not-sent' }],
    });
    expect(level(0, 1000, 1490)).toBe(0);
    expect(heard(0, 1500, 2500, G729_TONE_HZ).problems).toEqual([]);
  });

  it('of Opus has its frames without content decoded', async () => {
    const voice = opusTone(1900, 1).slice(0, 50);
    const toc = (voice[0] as Buffer).subarray(0, 1);
    const { audio, streams } = await assembleStreams([
      [
        ...send({ payloadType: 111, payloads: voice }),
        ...send({ payloadType: 111, payloads: [toc], atMs: 1400, sequence: 51, timestamp: 67_200 }),
        ...send({ payloadType: 111, payloads: voice, atMs: 1800, sequence: 52, timestamp: 86_400 }),
      ],
    ]);
    expect(audio).toMatchObject({ durationMs: 2800 });
    expect(streams[0]?.undecoded).toBeUndefined();
    expect(streams[0]?.gaps).toEqual([
      { fromMs: 1000, toMs: 1400, cause: 'not-sent' },
      { fromMs: 1420, toMs: 1800, cause: 'not-sent' },
    ]);
    expect(heard(0, 1800, 2800, 1900).problems).toEqual([]);
  });
});

describe('audio that cannot be decoded', () => {
  it('leaves the other streams as they are, and is told of', async () => {
    const { audio, streams } = await assembleStreams(
      [
        send({ payloadType: 0, payloads: pcmu(700, 2) }),
        send({ payloadType: 9, payloads: g722(1100, 1), atMs: 500 }),
      ],
      { ffmpeg: 'no-such-program' },
    );
    expect(audio).toMatchObject({ channels: 2, durationMs: 2000 });
    expect(heard(0, 0, 2000, 700).problems).toEqual([]);
    expect(streams[0]?.undecoded).toBeUndefined();
    expect(streams[1]).toMatchObject({
      undecoded: 'G722: the program no-such-program is not there (Debian package: ffmpeg)',
      packets: 50,
      gaps: [
        { fromMs: 0, toMs: 500, cause: 'not-sent' },
        { fromMs: 500, toMs: 1500, cause: 'undecoded' },
        { fromMs: 1500, toMs: 2000, cause: 'not-sent' },
      ],
    });
  });

  it('makes no file if there is nothing else', async () => {
    const { audio, streams } = await assembleStreams([send({ payloadType: 18, payloads: g729(1) })], {
      ffmpeg: 'no-such-program',
    });
    expect(audio).toBeUndefined();
    expect(streams[0]).toMatchObject({
      packets: 50,
      undecoded: expect.stringContaining('Debian package: ffmpeg'),
    });
    expect(existsSync(inDirectory('audio.wav'))).toBe(false);
    expect(existsSync(inDirectory('audio.wav.part'))).toBe(false);
  });

  it('keeps what was decoded before the program died', async () => {
    const ffmpeg = inDirectory('dying-ffmpeg');
    // Reads all, gives 600 ms of it, complains, and dies.
    writeFileSync(ffmpeg, '#!/bin/sh\nffmpeg "$@" | head -c 19200\necho "out of luck" >&2\nexit 3\n');
    chmodSync(ffmpeg, 0o755);
    const { audio, streams } = await assembleStreams([send({ payloadType: 9, payloads: g722(1100, 2) })], {
      ffmpeg,
    });
    expect(audio).toMatchObject({ durationMs: 2000 });
    expect(heard(0, 0, 600, 1100).problems).toEqual([]);
    expect(streams[0]).toMatchObject({
      undecoded: expect.stringMatching(/^G722: ffmpeg ended early \(3\) .*out of luck$/),
      gaps: [{ fromMs: 600, toMs: 2000, cause: 'undecoded' }],
    });
  });

  it('is an Opus packet that is spoiled, and no other', async () => {
    const payloads = opusTone(1900, 1).slice(0, 50);
    // Two frames of one length in an odd number of bytes (RFC 6716 3.2.3): never valid, 2 x 20 ms.
    payloads.splice(
      20,
      2,
      Buffer.concat([Buffer.from([(payloads[0]?.[0] as number) | 1]), Buffer.alloc(31, 7)]),
      Buffer.alloc(0),
    );
    // The library complains there too.
    const complaint = jest.spyOn(console, 'error').mockImplementation(() => {});
    const { streams } = await assembleStreams([send({ payloadType: 111, payloads })]);
    complaint.mockRestore();
    expect(streams[0]).toMatchObject({
      undecoded: expect.stringContaining('OPUS_INVALID_PACKET'),
      gaps: [{ fromMs: 400, toMs: 440, cause: 'undecoded' }],
    });
    expect(heard(0, 440, 1000, 1900).problems).toEqual([]);
  });
});
