import { assemble, type DtmfDigit } from '../../../recorder-image/src/media/assemble.ts';
import { MAX_DIGITS, TelephoneEvents } from '../../../recorder-image/src/media/telephone-event.ts';
import type { CodecName } from '../../../recorder-image/src/sdp/codecs.ts';
import { type Arrival, rtpPacket, talk, useTemporaryDirectory, writeJournal } from './support.ts';

const inDirectory = useTemporaryDirectory();

interface EventFields {
  code: number;
  /** As the payload tells it. */
  duration: number;
  end?: boolean;
  atMs: number;
  sequence: number;
  timestamp: number;
  ssrc?: number;
  payloadType?: number;
}

function event({ code, duration, end = false, atMs, payloadType = 101, ...fields }: EventFields): Arrival {
  const payload = Buffer.from([code, (end ? 0x80 : 0) | 10, duration >> 8, duration & 0xff]);
  return { atMs, packet: rtpPacket({ ...fields, payloadType, payload }) };
}

/** A key pressed at 8000 Hz: a packet every 20 ms, the last one three times. */
function press(code: number, atMs: number, sequence: number, timestamp: number, durationMs = 100): Arrival[] {
  const steps = durationMs / 20;
  return Array.from({ length: steps + 2 }, (_, index) =>
    event({
      code,
      duration: 160 * Math.min(index + 1, steps),
      end: index + 1 >= steps,
      atMs: atMs + 20 * index,
      sequence: sequence + index,
      timestamp,
    }),
  );
}

interface Options {
  maskDigits?: boolean;
  codecs?: ReadonlyMap<number, CodecName>;
  clockRate?: number;
}

async function dtmfOf(
  arrivals: Arrival[],
  { maskDigits = false, codecs = new Map([[0, 'PCMU']]), clockRate = 8000 }: Options = {},
): Promise<DtmfDigit[] | undefined> {
  const journalPath = inDirectory('a.rtpdump');
  writeJournal(journalPath, arrivals);
  const telephoneEvents = new Map([[101, clockRate]]);
  const { streams } = await assemble({
    outPath: inDirectory('audio.wav'),
    streams: [{ label: 'a', journalPaths: [journalPath], codecs, telephoneEvents }],
    maskDigits,
  });
  return streams[0]?.dtmf;
}

/** One second of talk; sequence 51 and timestamp 8000 come next. */
const voice = () => talk({ seed: 1, packets: 50, atMs: 100 });

describe('digits', () => {
  it('are told once each, with the time and duration of the key', async () => {
    const dtmf = await dtmfOf([
      ...voice(),
      ...press(1, 1100, 51, 8000),
      ...press(11, 1300, 58, 9600, 60),
      ...press(15, 1400, 63, 10_400, 200),
    ]);
    expect(dtmf).toEqual([
      { digit: '1', atMs: 1000, durationMs: 100 },
      { digit: '#', atMs: 1200, durationMs: 60 },
      { digit: 'D', atMs: 1300, durationMs: 200 },
    ]);
  });

  it('can be masked', async () => {
    const dtmf = await dtmfOf([...voice(), ...press(7, 1100, 51, 8000)], { maskDigits: true });
    expect(dtmf).toEqual([{ digit: '*', atMs: 1000, durationMs: 100 }]);
  });

  it('are two if the same key is pressed twice', async () => {
    const dtmf = await dtmfOf([...voice(), ...press(5, 1100, 51, 8000), ...press(5, 1300, 58, 9600)]);
    expect(dtmf?.map(({ digit, atMs }) => [digit, atMs])).toEqual([
      ['5', 1000],
      ['5', 1200],
    ]);
  });

  it('bear lost packets, the first and all last ones too', async () => {
    const pressed = press(3, 1100, 51, 8000, 200);
    const dtmf = await dtmfOf([...voice(), ...pressed.slice(2, 8)]);
    expect(dtmf).toEqual([{ digit: '3', atMs: 1000, durationMs: 160 }]);
  });

  it('bear packets out of order and doubled', async () => {
    const pressed = press(3, 1100, 51, 8000, 200);
    const mixed = [...pressed.toReversed(), ...pressed].map((arrival, index) => ({
      ...arrival,
      atMs: 1200 + index,
    }));
    expect(await dtmfOf([...voice(), ...mixed])).toEqual([{ digit: '3', atMs: 1000, durationMs: 200 }]);
  });

  it('are one if a key is held so long that it takes several segments', async () => {
    const dtmf = await dtmfOf([
      ...voice(),
      event({ code: 9, duration: 160, atMs: 1120, sequence: 51, timestamp: 8000 }),
      event({ code: 9, duration: 0xffff, atMs: 9300, sequence: 52, timestamp: 8000 }),
      event({ code: 9, duration: 160, atMs: 9320, sequence: 53, timestamp: 8000 + 0xffff }),
      event({ code: 9, duration: 8000, end: true, atMs: 10_300, sequence: 54, timestamp: 8000 + 0xffff }),
    ]);
    expect(dtmf).toEqual([{ digit: '9', atMs: 1000, durationMs: Math.round((0xffff + 8000) / 8) }]);
  });

  it('have the clock rate of their own rtpmap', async () => {
    const opus = Buffer.from([0xf8, 0xff, 0xfe]);
    const talking = Array.from({ length: 10 }, (_, index) => ({
      atMs: 20 * index,
      packet: rtpPacket({ payloadType: 111, sequence: index, timestamp: 960 * index, payload: opus }),
    }));
    const dtmf = await dtmfOf(
      [
        ...talking,
        event({ code: 0, duration: 4800, end: true, atMs: 320, sequence: 10, timestamp: 960 * 10 }),
      ],
      { codecs: new Map([[111, 'OPUS']]), clockRate: 48_000 },
    );
    expect(dtmf).toEqual([{ digit: '0', atMs: 200, durationMs: 100 }]);
  });

  it('have the time of their arrival where the timestamps around them tell nothing', async () => {
    const pressed = press(2, 600, 51, 4_000_000);
    expect(await dtmfOf([...voice(), ...pressed])).toEqual([{ digit: '2', atMs: 500, durationMs: 100 }]);
  });

  it('may come before all audio', async () => {
    const dtmf = await dtmfOf([
      ...press(4, 0, 1, 0),
      ...talk({ seed: 1, packets: 5, atMs: 500, sequence: 8 }),
    ]);
    expect(dtmf).toEqual([{ digit: '4', atMs: -500, durationMs: 100 }]);
  });

  it('count from the first packet where there is no audio', async () => {
    expect(await dtmfOf([...press(4, 300, 1, 0), ...press(6, 700, 8, 3200)])).toEqual([
      { digit: '4', atMs: 0, durationMs: 100 },
      { digit: '6', atMs: 400, durationMs: 100 },
    ]);
  });

  it('are not made of other events or of cut-off payloads', async () => {
    const cutOff = rtpPacket({ payloadType: 101, sequence: 52, payload: Buffer.from([1, 0x8a, 3]) });
    const empty = rtpPacket({ payloadType: 101, sequence: 53 });
    const dtmf = await dtmfOf([
      ...voice(),
      ...press(16, 1100, 60, 8000),
      { atMs: 1300, packet: cutOff },
      { atMs: 1320, packet: empty },
    ]);
    expect(dtmf).toEqual([]);
  });

  it('are no more than anybody presses, however many are told', () => {
    const events = new TelephoneEvents();
    for (let index = 0; index < 3 * MAX_DIGITS; index++)
      events.take({
        ssrc: 1,
        timestamp: 160 * index,
        clockRate: 8000,
        position: 960 * index,
        payload: Buffer.from([index % 10, 0x8a, 0, 80]),
      });
    const digits = events.digits(0, false);
    expect(digits).toHaveLength(MAX_DIGITS);
    expect(digits.at(-1)).toEqual({ digit: '9', atMs: 20 * (MAX_DIGITS - 1), durationMs: 10 });
  });
});
