/** Media beyond plain G.711, negotiated and recorded through a whole recorder. */
import { encodeRtp } from '../../../local/broadworks/rtp-tone.ts';
import { header } from '../../../local/sip/message.ts';
import { EMULATOR_START_TIMEOUT_MS, startTestEmulator, type TestEmulator } from '../../helpers/emulator.ts';
import { type LocalRecorder, REGION, startTestRecorder } from '../../helpers/recorder.ts';
import { audioOf, RecordingsBucket } from '../../helpers/recordings.ts';
import { PACKETS_PER_SECOND, SDP, Src, type SrcCall } from '../../helpers/src.ts';
import { g722Tone, opusTone } from '../media/encode.ts';
import { keyingOf, protectRtp, secured } from '../media/srtp-support.ts';

const BUCKET = 'media';

let emulator: TestEmulator;
let bucket: RecordingsBucket;
let recorder: LocalRecorder;
let src: Src;

beforeAll(async () => {
  emulator = await startTestEmulator();
  bucket = new RecordingsBucket(emulator.s3(REGION), BUCKET);
  await bucket.create();
}, EMULATOR_START_TIMEOUT_MS);
afterAll(() => emulator?.stop());

beforeEach(async () => {
  recorder = await startTestRecorder({ endpoint: emulator.endpoint, bucket: BUCKET });
  src = await Src.start(recorder.sipServer.sipPort);
});
afterEach(async () => {
  await src.close();
  await recorder.stop();
});

describe('SRTP', () => {
  const SUITES = ['AES_CM_128_HMAC_SHA1_80', 'AES_CM_128_HMAC_SHA1_32', 'AEAD_AES_256_GCM'] as const;

  const keys = (suite: (typeof SUITES)[number], seed: number) => keyingOf(suite, seed);

  it.each(SUITES)('is recorded as it was before encryption (%s)', async (suite) => {
    const call = await src.call();
    const answer = await call.start(call.invite(secured(call.offer(), [keys(suite, 3), keys(suite, 5)])));
    expect(answer.body.toString().match(/RTP\/SAVP/g)).toHaveLength(2);
    expect(answer.body.toString().match(new RegExp(`a=crypto:1 ${suite} inline:`, 'g'))).toHaveLength(2);
    for (const [index, speaker] of call.speakers.entries())
      speaker.protect = (packet) => protectRtp(keys(suite, [3, 5][index] as number), packet);
    await call.speak();
    await call.bye();
    const recording = await bucket.of(recorder, call);
    expect(recording.manifest.status).toBe('complete');
    expect(recording.manifest.audio?.encoding).toBe('pcmu');
    expect(audioOf(recording, call.speakers, 1000).problems).toEqual([]);
  });

  it('follows a change of keys, and says so when packets fit none', async () => {
    const suite = 'AES_CM_128_HMAC_SHA1_80';
    const call = await src.call({ mode: 'single' });
    await call.start(call.invite(secured(call.offer(), [keys(suite, 3)])));
    const [speaker] = call.speakers as [SrcCall['speakers'][number]];
    speaker.protect = (packet) => protectRtp(keys(suite, 3), packet);
    await call.speak(25);
    expect((await call.request('INVITE', [SDP], secured(call.offer(), [keys(suite, 7)]))).status).toBe(200);
    speaker.protect = (packet) => protectRtp(keys(suite, 7), packet);
    await call.speak(25);
    speaker.protect = (packet) => protectRtp(keys(suite, 11), packet);
    await call.speak(5);
    await call.bye();
    const { manifest } = await bucket.of(recorder, call);
    expect(manifest.streams[0]).toMatchObject({ packets: 50, unauthenticPackets: 5 });
    expect(manifest).toMatchObject({
      status: 'partial',
      statusReasons: ['5 packets on stream 1 fit none of the keys'],
    });
  });

  it('is refused without a key that can be used', async () => {
    const call = await src.call({ mode: 'single' });
    const transaction = call.send(call.invite(call.offer().replace('RTP/AVP', 'RTP/SAVP')));
    const outcome = await transaction.outcome;
    if (outcome.kind !== 'response') throw new Error(outcome.kind);
    expect(outcome.response.status).toBe(488);
    expect(header(outcome.response, 'Warning')).toContain('RTP/SAVP');
  });
});

describe('wideband, and keys pressed', () => {
  /** RTP of one payload type: `packets` of 20 ms, from sequence and timestamp 0. */
  async function stream(call: SrcCall, payloads: Buffer[], payloadType: number, step: number): Promise<void> {
    const [speaker] = call.speakers as [SrcCall['speakers'][number]];
    for (const [sequence, payload] of payloads.entries())
      await speaker.sendPacket(
        encodeRtp({
          payloadType,
          marker: sequence === 0,
          sequence,
          timestamp: sequence * step,
          ssrc: 7,
          payload,
        }),
      );
  }

  const offerOf = (call: SrcCall, formats: string, maps: string): string =>
    call
      .offer()
      .replace(/RTP\/AVP .*/, `RTP/AVP ${formats}`)
      .replace(/a=rtpmap:.*/, maps);

  it('G.722 with telephone events', async () => {
    const call = await src.call({ mode: 'single' });
    const maps = 'a=rtpmap:9 G722/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15';
    const answer = await call.start(call.invite(offerOf(call, '9 101', maps)));
    expect(answer.body.toString()).toMatch(/RTP\/AVP 9 101/);
    const tone = g722Tone(1000, 1);
    const payloads = Array.from({ length: PACKETS_PER_SECOND }, (_, i) =>
      tone.subarray(i * 160, (i + 1) * 160),
    );
    await stream(call, payloads, 9, 160);
    const event = Buffer.from([5, 0x8a, 0x03, 0x20]); // digit 5, end, 800 units
    const [speaker] = call.speakers as [SrcCall['speakers'][number]];
    for (const sequence of [50, 51, 52])
      await speaker.sendPacket(
        encodeRtp({ payloadType: 101, marker: false, sequence, timestamp: 4000, ssrc: 7, payload: event }),
      );
    await call.bye();
    const recording = await bucket.of(recorder, call);
    expect(recording.manifest).toMatchObject({
      status: 'complete',
      audio: { encoding: 'pcm16', sampleRate: 16_000, channels: 1 },
      streams: [{ codec: 'G722', dtmf: [{ digit: '5', durationMs: 100 }] }],
    });
    expect(audioOf(recording, [{ frequenciesHz: [1000] }], 1000).problems).toEqual([]);
  });

  it('masked keys, where the source asks for it', async () => {
    await src.close();
    await recorder.stop();
    const sources = [{ name: 'broadworks', networks: ['127.0.0.0/8'], maskDigits: true }];
    recorder = await startTestRecorder({
      endpoint: emulator.endpoint,
      bucket: BUCKET,
      variables: { SIPREC_SOURCES: JSON.stringify(sources) },
    });
    src = await Src.start(recorder.sipServer.sipPort);
    const call = await src.call({ mode: 'single' });
    const maps = 'a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000';
    await call.start(call.invite(offerOf(call, '0 101', maps)));
    await call.speak(25);
    const [speaker] = call.speakers as [SrcCall['speakers'][number]];
    await speaker.sendPacket(
      encodeRtp({
        payloadType: 101,
        marker: true,
        sequence: 1,
        timestamp: 0,
        ssrc: 9,
        payload: Buffer.from([5, 0x8a, 0x03, 0x20]),
      }),
    );
    await call.bye();
    const { manifest } = await bucket.of(recorder, call);
    expect(manifest.streams[0]?.dtmf).toMatchObject([{ digit: '*' }]);
  });

  it('Opus', async () => {
    const call = await src.call({ mode: 'single' });
    const answer = await call.start(call.invite(offerOf(call, '107', 'a=rtpmap:107 opus/48000/2')));
    expect(answer.body.toString()).toMatch(/a=rtpmap:107 opus\/48000\/2/i);
    await stream(call, opusTone(1000, 1).slice(0, PACKETS_PER_SECOND), 107, 960);
    await call.bye();
    const recording = await bucket.of(recorder, call);
    expect(recording.manifest).toMatchObject({
      status: 'complete',
      audio: { encoding: 'pcm16', sampleRate: 48_000 },
      streams: [{ codec: 'OPUS' }],
    });
    expect(audioOf(recording, [{ frequenciesHz: [1000] }], 1000).problems).toEqual([]);
  });
});
