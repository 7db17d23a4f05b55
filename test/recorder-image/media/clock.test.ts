/** Senders' clocks: drift, jitter, and what sender reports say. */
import { assemble } from '../../../recorder-image/src/media/assemble.ts';
import { surveyClock } from '../../../recorder-image/src/media/clock-survey.ts';
import type { StreamJournal } from '../../../recorder-image/src/media/stream-packets.ts';
import { TICKS_PER_MS } from '../../../recorder-image/src/media/ticks.ts';
import { type PlacedAudio, StreamTimeline } from '../../../recorder-image/src/media/timeline.ts';
import type { CodecName } from '../../../recorder-image/src/sdp/codecs.ts';
import {
  type Arrival,
  channelOf,
  EPOCH_MS,
  readWav,
  rtcp,
  rtpPacket,
  talk,
  useTemporaryDirectory,
  writeJournal,
} from './support.ts';

const inDirectory = useTemporaryDirectory();
const CODECS: ReadonlyMap<number, CodecName> = new Map([
  [0, 'PCMU'],
  [18, 'G729'],
]);
const HOUR_PACKETS = 180_000;
const PACKET_TICKS = 20 * TICKS_PER_MS;

/** Numbers from 0 to 1, the same in every run (mulberry32). */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b_79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Sender {
  packets: number;
  /** How much slower than ours the sender's clock runs. */
  ppm?: number;
  /** Delay of the n-th packet, which is sent at that time; in milliseconds. */
  delayMs?: (index: number, sentMs: number) => number;
  payload?: Buffer;
  payloadType?: number;
}

/** When the n-th packet leaves, by our clock. */
const sentMs = (index: number, ppm: number): number => index * 20 * (1 + ppm / 1e6);

function send({ packets, ppm = 0, delayMs = () => 0, payload, payloadType = 18 }: Sender): Arrival[] {
  return Array.from({ length: packets }, (_, index) => {
    const sent = sentMs(index, ppm);
    return {
      atMs: sent + delayMs(index, sent),
      packet: rtpPacket({
        payloadType,
        sequence: index,
        timestamp: 160 * index,
        payload: payload ?? Buffer.alloc(20),
      }),
    };
  }).sort((one, other) => one.atMs - other.atMs);
}

let journals = 0;

function journal(arrivals: readonly Arrival[]): StreamJournal {
  const path = inDirectory(`${journals++}.rtpdump`);
  writeJournal(path, arrivals);
  return { journalPaths: [path], codecs: CODECS };
}

function place(arrivals: readonly Arrival[]): { audio: Iterable<PlacedAudio>; gaps: () => unknown[] } {
  const stream = journal(arrivals);
  const timeline = new StreamTimeline(stream, surveyClock(stream), false);
  return { audio: timeline.audio(), gaps: () => timeline.report.gaps.listed };
}

const EPOCH_TICKS = EPOCH_MS * TICKS_PER_MS;

describe('a clock that drifts', () => {
  it.each([
    [100, 4],
    [-100, 4],
    [700, 1],
    [-700, 1],
  ])('by %d ppm is followed within 50 ms for %d hours, one sample at a time', (ppm, hours) => {
    const random = randomNumbers(ppm);
    const packets = hours * HOUR_PACKETS;
    const { audio, gaps } = place(send({ packets, ppm, delayMs: () => 30 + 60 * random() }));
    let index = 0;
    let worst = 0;
    let end: number | undefined;
    let most = 0;
    for (const placed of audio) {
      const ideal = EPOCH_TICKS + (sentMs(index++, ppm) + 30) * TICKS_PER_MS;
      worst = Math.max(worst, Math.abs(placed.position - placed.skip - ideal));
      most = Math.max(most, placed.skip, Math.abs(placed.position - (end ?? placed.position)));
      end = placed.end;
    }
    expect(index).toBe(packets);
    expect(worst / TICKS_PER_MS).toBeLessThan(35);
    expect(most).toBe(6); // a sample at 8 kHz
    expect(gaps()).toEqual([]);
  });

  it('is made good without silence: a sample comes twice, or not at all', async () => {
    for (const ppm of [400, -400]) {
      const payload = Buffer.alloc(160, 0x2a);
      const packets = 15_000;
      const { audio } = await assemble({
        outPath: inDirectory('audio.wav'),
        streams: [{ label: '1', ...journal(send({ packets, ppm, payload, payloadType: 0 })) }],
      });
      const { data } = readWav(inDirectory('audio.wav'));
      expect(data.every((byte) => byte === 0x2a)).toBe(true);
      const corrected = (audio?.durationMs ?? 0) - packets * 20;
      expect(Math.abs(corrected - (packets * 20 * ppm) / 1e6)).toBeLessThan(30);
    }
  });

  it('is made good at once in a pause', () => {
    const ppm = 200;
    const pauseMs = 1_200_000;
    const arrivals = [
      ...talk({ seed: 1, packets: 1000 }),
      ...talk({
        seed: 1,
        packets: 1000,
        atMs: 20_000 + pauseMs * (1 + ppm / 1e6),
        sequence: 1001,
        timestamp: (20_000 + pauseMs) * 8,
      }),
    ];
    const positions = Array.from(place(arrivals).audio, ({ position }) => position);
    expect((positions[999] as number) - (positions[0] as number)).toBe(999 * PACKET_TICKS);
    const after = EPOCH_TICKS + (20_000 + pauseMs * (1 + ppm / 1e6)) * TICKS_PER_MS;
    expect(positions[1000]).toBe(after);
    expect(positions[1999]).toBe(after + 999 * PACKET_TICKS);
  });
});

describe('jitter', () => {
  const normal = (random: () => number): number =>
    Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

  it.each<[string, (random: () => number) => Required<Sender>['delayMs']]>([
    ['of 60 ms to either side', (random) => () => 60 + 60 * (2 * random() - 1)],
    ['with long tails', (random) => () => Math.abs(normal(random)) * 40],
    [
      'of a receiver that stands still for 3 s now and then',
      (random) => (_, sent) => (sent % 300_000 < 3000 ? 3000 - (sent % 300_000) : 20 * random()),
    ],
    [
      'of a network that is slow for 20 s now and then',
      (random) => (_, sent) => (sent % 120_000 < 20_000 ? 150 : 0) + 20 * random(),
    ],
    ['of a first packet that is late', () => (index) => (index === 0 ? 400 : 0)],
  ])('%s leaves an hour of audio as it was sent', (_what, delayOf) => {
    const arrivals = send({ packets: HOUR_PACKETS, delayMs: delayOf(randomNumbers(7)) });
    const { audio, gaps } = place(arrivals);
    let index = 0;
    let first: number | undefined;
    for (const { position, skip } of audio) {
      first ??= position;
      if (position - first !== index * PACKET_TICKS || skip !== 0)
        throw new Error(`packet ${index} is at ${position - first}, less ${skip}`);
      index++;
    }
    expect(index).toBe(HOUR_PACKETS);
    expect(Math.abs((first ?? 0) - EPOCH_TICKS)).toBeLessThan(10 * TICKS_PER_MS);
    expect(gaps()).toEqual([]);
  });

  it('is told as RFC 3550 measures it, at its highest', () => {
    const even = surveyClock(journal(send({ packets: 500 })));
    expect(even.jitterMs).toBe(0);
    // |D| is 16 ms each time: J comes up to that.
    const uneven = surveyClock(
      journal(send({ packets: 1000, delayMs: (index) => (index < 500 && index % 2 === 1 ? 16 : 0) })),
    );
    expect(uneven.jitterMs).toBeCloseTo(16, 1);
  });
});

describe('a timestamp that is broken by less than 2 s', () => {
  it('does not move the stream', () => {
    const arrivals = send({ packets: 400 });
    arrivals[100]?.packet.writeUInt32BE(100 * 160 + 8192, 4);
    const positions = new Set(Array.from(place(arrivals).audio, ({ position }) => position - EPOCH_TICKS));
    for (const index of [0, 99, 101, 110, 399]) expect(positions).toContain(index * PACKET_TICKS);
  });
});

describe('a recorder, or a network, that stands still', () => {
  /** Nothing is read from `fromMs` on for `forMs`; what has piled up is read `speed` times as fast as it was sent. */
  const standingStill =
    (fromMs: number, forMs: number, speed: number) =>
    (_: number, sent: number): number =>
      sent < fromMs ? 0 : Math.max(0, forMs - (sent - fromMs) * (1 - 1 / speed));

  it.each([
    ['what has piled up is read in one go', 20_000, 1_000],
    ['what has piled up takes seconds to be read', 20_000, 5],
    ['what has piled up takes long to be read', 5_000, 1.6],
  ])('moves nothing: %s', (_, forMs, speed) => {
    const packets = 4_000;
    const { audio, gaps } = place(send({ packets, delayMs: standingStill(5_000, forMs, speed) }));
    const positions = Array.from(audio, ({ position }) => position);
    expect(positions).toHaveLength(packets);
    expect(gaps()).toEqual([]);
    positions.forEach((position, index) => {
      if (index > 0) expect(position - (positions[index - 1] as number)).toBe(PACKET_TICKS);
    });
  });

  it('moves nothing either where the call ends before all is read', () => {
    const { audio, gaps } = place(send({ packets: 1_000, delayMs: standingStill(5_000, 20_000, 10) }));
    expect(Array.from(audio)).toHaveLength(1_000);
    expect(gaps()).toEqual([]);
  });

  it('is none where a sender stops its timestamps in a pause', () => {
    const { audio, gaps } = place(
      send({ packets: 1_000, delayMs: (index) => (index < 500 ? 0 : 5_000 + ((index * 7) % 30)) }),
    );
    expect(Array.from(audio)).toHaveLength(1_000);
    expect(gaps()).toEqual([{ from: expect.any(Number), to: expect.any(Number), cause: 'not-sent' }]);
  });
});

describe('sender reports', () => {
  /** Seconds since 1900. */
  const NTP_EPOCH = 2_208_988_800;
  const SSRCS = [0x1111, 0x2222];

  /** A report and a name; `clockMs` is the sender's, since our epoch. */
  function report(ssrc: number, timestamp: number, clockMs: number, cname: string, hasClock = true): Buffer {
    const seconds = NTP_EPOCH + (EPOCH_MS + clockMs) / 1000;
    const whole = Math.floor(seconds);
    const fraction = Math.floor((seconds - whole) * 2 ** 32);
    const name = Buffer.alloc(8);
    name.writeUInt8(1, 0);
    name.writeUInt8(4, 1);
    name.write(cname, 2, 'latin1');
    return Buffer.concat([
      rtcp(200, 0, ssrc, hasClock ? whole : 0, hasClock ? fraction : 0, timestamp, 1, 160),
      rtcp(202, 1, ssrc, name.readUInt32BE(0), name.readUInt32BE(4)),
    ]);
  }

  interface Reported {
    delayMs: number;
    cname?: string;
    hasClock?: boolean;
    /** Of the sender's NTP clock against its RTP clock, for this stream alone. */
    ntpPpm?: number;
    ntpShiftMs?: number;
    packets?: number;
  }

  /** Both are sent at the same time, with a report every 5 s, by a sender whose clock is 90 s late. */
  async function assembleReported(...streams: Reported[]): Promise<number[]> {
    const outPath = inDirectory('audio.wav');
    await assemble({
      outPath,
      streams: streams.map(
        ({ delayMs, cname = 'abcd', hasClock = true, ntpPpm = 0, ntpShiftMs = 0, packets = 2000 }, index) => {
          const ssrc = SSRCS[index] as number;
          const audio = talk({ seed: 3, packets, ssrc, timestamp: 1000 * index });
          const reports = Array.from({ length: packets / 250 }, (_, count): Arrival => {
            const atMs = 100 + 5000 * count;
            const clockMs = atMs * (1 + ntpPpm / 1e6) - 90_000 + ntpShiftMs;
            return {
              atMs,
              packet: report(ssrc, 1000 * index + atMs * 8, clockMs, cname, hasClock),
              rtcp: true,
            };
          });
          const arrivals = [...audio, ...reports]
            .map((arrival) => ({ ...arrival, atMs: arrival.atMs + delayMs }))
            .sort((one, other) => one.atMs - other.atMs);
          return { label: String(index), ...journal(arrivals) };
        },
      ),
    });
    const wav = readWav(outPath);
    return streams.map((_, channel) => channelOf(wav, channel).findIndex((byte) => byte !== 0xff) / 8);
  }

  it('align streams of one sender, whatever their delays', async () => {
    expect(await assembleReported({ delayMs: 0 }, { delayMs: 240 })).toEqual([0, 0]);
    expect(await assembleReported({ delayMs: 170 }, { delayMs: 20 })).toEqual([0, 0]);
  });

  it('align a stream as before where the others have ended', async () => {
    const [first, second] = await assembleReported(
      { delayMs: 0, packets: 1000 },
      { delayMs: 240, packets: 5000 },
    );
    expect([first, second]).toEqual([0, 0]);
    expect(readWav(inDirectory('audio.wav')).factSamples).toBe(5000 * 160);
  });

  it.each<[string, Reported]>([
    ['of another sender', { delayMs: 240, cname: 'efgh' }],
    ['without a clock', { delayMs: 240, hasClock: false }],
    ['further from the arrival times than half a second', { delayMs: 240, ntpShiftMs: 1000 }],
    ['that run apart from their timestamps', { delayMs: 240, ntpPpm: 5000 }],
  ])('do not, where they are %s', async (_what, second) => {
    expect(await assembleReported({ delayMs: 0 }, second)).toEqual([0, 240]);
  });
});
