/** What the disk of a recorder tells of encrypted calls, and that they survive its death all the same. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RecorderVariables } from '../../../core/recorder-environment.ts';
import { tonePayload } from '../../../local/broadworks/rtp-tone.ts';
import { type SipServer, startSipServer } from '../../../local/sip-server/server.ts';
import type { SrtpKeying } from '../../../recorder-image/src/sdp/crypto.ts';
import { EMULATOR_START_TIMEOUT_MS, startTestEmulator, type TestEmulator } from '../../helpers/emulator.ts';
import {
  REGION,
  type RecorderProcess,
  SECRET,
  startRecorderProcess,
  startTestRecorder,
} from '../../helpers/recorder.ts';
import { audioOf, RecordingsBucket, type StoredRecording } from '../../helpers/recordings.ts';
import { Src, type SrcCall } from '../../helpers/src.ts';
import { until } from '../../helpers/until.ts';
import { keyAndSaltOf, keyingOf, protectRtp, secured } from '../media/srtp-support.ts';

const BUCKET = 'encrypted';
const KEYINGS = [3, 5].map((seed) => keyingOf('AES_CM_128_HMAC_SHA1_80', seed));
const SPOOL_KEY = Buffer.alloc(32, 7).toString('base64');
const OTHER_KEY = Buffer.alloc(32, 8).toString('base64');

let emulator: TestEmulator;
let bucket: RecordingsBucket;
let server: SipServer;
let src: Src;
let victim: RecorderProcess;
let call: SrcCall;
let recordingId: string;

beforeAll(async () => {
  emulator = await startTestEmulator();
  bucket = new RecordingsBucket(emulator.s3(REGION), BUCKET);
  await bucket.create();
}, EMULATOR_START_TIMEOUT_MS);
afterAll(() => emulator?.stop());
afterEach(async () => {
  await src.close();
  await victim.stop();
  await server.close();
});

const s3 = () => ({ endpoint: emulator.endpoint, bucket: BUCKET });

/** A recorder that is killed after the first half of an SRTP call. */
async function killInMidCall(journalSrtp: 'encrypted' | 'decrypted'): Promise<void> {
  server = await startSipServer({ secret: SECRET });
  const variables: RecorderVariables = {
    SIPREC_SPOOL_KEY: SPOOL_KEY,
    SIPREC_SOURCES: JSON.stringify([{ name: 'broadworks', networks: ['127.0.0.0/8'], journalSrtp }]),
  };
  victim = await startRecorderProcess({ ...s3(), sipServer: server, variables });
  src = await Src.start(server.sipPort);
  call = await src.call();
  await call.start(call.invite(secured(call.offer(), KEYINGS)));
  for (const [index, speaker] of call.speakers.entries())
    speaker.protect = (packet) => protectRtp(KEYINGS[index] as SrtpKeying, packet);
  await call.speak(50);
  const started = await victim.logs.find('recording started');
  recordingId = started.recordingId as string;
  await until(() =>
    ['stream-1.rtpdump', 'stream-2.rtpdump'].every((name) => spooled(name).length > 50 * 180),
  );
  await victim.kill();
}

const spooled = (name: string): Buffer => readFileSync(join(victim.spool, recordingId, name));

/** All that the disk holds of the call. */
const disk = (): Buffer =>
  Buffer.concat(readdirSync(join(victim.spool, recordingId)).map((name) => spooled(name)));

/** Its successor, while the other half of the call comes. */
async function goOn(keys: string): Promise<StoredRecording> {
  const successor = await startTestRecorder({
    ...s3(),
    spool: victim.spool,
    sipServer: server,
    orphanSilenceMs: 1_000,
    variables: { SIPREC_SPOOL_KEY: keys },
  });
  try {
    await call.speak(50);
    await successor.logs.find('recording is in S3', { recordingId });
    return await bucket.read(recordingId);
  } finally {
    await successor.stop();
  }
}

const firstWords = (): Buffer => tonePayload('pcmu', call.speakers[0]?.frequenciesHz ?? [], 0);
const mediaKeys = KEYINGS.map((keying) => keyAndSaltOf(keying).export().toString('base64'));

it('keeps SRTP as it came, and its keys sealed; the next recorder has both', async () => {
  await killInMidCall('encrypted');
  expect(disk().includes(firstWords())).toBe(false);
  for (const key of mediaKeys) expect(disk().includes(key)).toBe(false);
  const recording = await goOn(SPOOL_KEY);
  expect(recording.manifest).toMatchObject({
    status: 'recovered',
    streams: [
      { packets: 100, unauthenticPackets: 0 },
      { packets: 100, unauthenticPackets: 0 },
    ],
  });
  expect(audioOf(recording, call.speakers, 2000).problems).toEqual([]);
});

it('keeps the audio in clear if the deployment says so', async () => {
  await killInMidCall('decrypted');
  expect(disk().includes(firstWords())).toBe(true);
  for (const key of mediaKeys) expect(disk().includes(key)).toBe(false);
  const recording = await goOn(`${OTHER_KEY},${SPOOL_KEY}`);
  expect(recording.manifest).toMatchObject({
    status: 'recovered',
    streams: [
      { packets: 100, unauthenticPackets: 0 },
      { packets: 100, unauthenticPackets: 0 },
    ],
  });
  expect(audioOf(recording, call.speakers, 2000).problems).toEqual([]);
});

it('waits, in the spool, for a recorder that has the key', async () => {
  await killInMidCall('encrypted');
  const other = await startTestRecorder({
    ...s3(),
    spool: victim.spool,
    sipServer: server,
    variables: { SIPREC_SPOOL_KEY: OTHER_KEY },
  });
  const told = await other.logs.find('recording not finished; it stays in the spool');
  expect((told.err as Error).message).toMatch(/^sealed with key [0-9a-f]{8}, and cannot be opened: /);
  await other.stop();
  expect(readdirSync(victim.spool)).toContain(recordingId);
  const { manifest } = await goOn(SPOOL_KEY);
  expect(manifest.streams).toMatchObject([
    { packets: 100, unauthenticPackets: 0 },
    { packets: 100, unauthenticPackets: 0 },
  ]);
});
