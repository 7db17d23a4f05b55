import { readWav } from '../../../local/audio-check/wav.ts';
import { encodeALaw, encodeMuLaw } from '../../../local/broadworks/g711.ts';
import { encodeRtp, openToneStream, sendTones, tonePairs } from '../../../local/broadworks/rtp-tone.ts';
import { until } from '../../helpers/until.ts';
import { g711Wav } from '../audio-check/make-wav.ts';

describe('G.711', () => {
  it.each([
    ['mu-law', encodeMuLaw, 7],
    ['A-law', encodeALaw, 6],
  ] as const)('%s comes back within half a quantisation step', (_, encode, tag) => {
    // Beyond 32635 mu-law clips.
    const samples = Array.from({ length: 2 * 32_635 + 1 }, (_, index) => index - 32_635);
    const [decoded] = readWav(g711Wav(tag, [Buffer.from(samples.map((sample) => encode(sample)))])).channels;
    const worst = samples.reduce((most, sample, index) => {
      const error = Math.abs(sample - (decoded?.[index] as number) * 32_768);
      // Steps grow with the segment: half of one is 1/32 of the biased value, or 8.
      return Math.max(most, error / Math.max(8, (Math.abs(sample) + 132) / 32));
    }, 0);
    expect(worst).toBeLessThanOrEqual(1);
  });
});

it('has 135 pairs of tones, all different, between 300 and 3005 Hz', () => {
  const all = tonePairs().flat();
  expect(new Set(all).size).toBe(270);
  expect(Math.min(...all)).toBe(300);
  expect(Math.max(...all)).toBe(3_005);
});

it('wraps sequence numbers and timestamps', () => {
  const packet = encodeRtp({
    payloadType: 8,
    marker: true,
    sequence: 0x1_0001,
    timestamp: 0x1_0000_0005,
    ssrc: 0xdead_beef,
    payload: Buffer.from('ab'),
  });
  expect(packet.toString('hex')).toBe('8088000100000005deadbeef6162');
});

it('keeps the pace: what is overdue goes out at once, and nothing drifts', async () => {
  const stream = await openToneStream('127.0.0.1', 'pcmu', [440]);
  const never = new AbortController().signal;
  const startedAt = performance.now();
  const sending = sendTones(
    [{ stream, destination: { address: '127.0.0.1', port: stream.localPort } }],
    500,
    never,
  );
  // The event loop stands still for 400 ms, as under load.
  while (performance.now() - startedAt < 400);
  const beforeCatchingUp = stream.packetsSent;
  await until(() => stream.packetsSent > beforeCatchingUp);
  expect(stream.packetsSent).toBeGreaterThanOrEqual(20);
  await sending;
  const elapsedMs = performance.now() - startedAt;
  await stream.close();
  expect(stream.packetsSent).toBe(25);
  expect(elapsedMs).toBeGreaterThan(480); // the last packet is due then; timers may be a millisecond early
});

it('stops when told', async () => {
  const stream = await openToneStream('127.0.0.1', 'pcmu', [440]);
  const stop = new AbortController();
  const sending = sendTones(
    [{ stream, destination: { address: '127.0.0.1', port: stream.localPort } }],
    60_000,
    stop.signal,
  );
  stop.abort();
  await sending;
  await stream.close();
  expect(stream.packetsSent).toBe(1);
});
