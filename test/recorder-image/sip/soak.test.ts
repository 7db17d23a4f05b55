/**
 * Many calls with random events, seeded: whatever SRCs do, every request gets its answer, every answered call one
 * manifest, and nothing is left behind. `SOAK_CALLS=1000 SOAK_SEED=7 npm test -- test/recorder-image/sip/soak.test.ts`
 * runs more of them, or others.
 */
import { readdirSync } from 'node:fs';
import { setImmediate as untilNextTurn } from 'node:timers/promises';
import { GetObjectCommand, paginateListObjectsV2 } from '@aws-sdk/client-s3';
import { parseManifestKey } from '../../../core/keys.ts';
import { type Manifest, parseManifest } from '../../../core/manifest.ts';
import { broadworksMetadata } from '../../../local/broadworks/metadata.ts';
import { cseq, serialise } from '../../../local/sip/message.ts';
import { EMULATOR_START_TIMEOUT_MS, startTestEmulator, type TestEmulator } from '../../helpers/emulator.ts';
import { HOST, type LocalRecorder, REGION, startTestRecorder } from '../../helpers/recorder.ts';
import { RecordingsBucket } from '../../helpers/recordings.ts';
import { finalOf, METADATA, multipart, SDP, Src, type SrcCall } from '../../helpers/src.ts';
import { until } from '../../helpers/until.ts';

const CALLS = Number(process.env.SOAK_CALLS ?? 200);
const SEED = Number(process.env.SOAK_SEED ?? 20_261_123);
/** Calls at one time. */
const LANES = 16;
const RTP_PAIRS = 200;
const MAX_EVENTS = 6;
/** For each call, on a slow and busy machine. */
const CALL_TIMEOUT_MS = 500;

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** When the emulator is slow. */
const TRIED_AGAIN = 'recording not finished; it stays in the spool';

interface Scene {
  src: Src;
  call: SrcCall;
  pick: <Choice>(choices: readonly Choice[]) => Choice;
}
type Act = (scene: Scene) => Promise<void>;

async function expectStatus(request: Promise<{ status: number }>, ...allowed: number[]): Promise<void> {
  expect(allowed).toContain((await request).status);
}
const reinvite = ({ call }: Scene, sdp = call.offer()) => call.request('INVITE', [SDP], sdp);

const EVENTS: Record<string, Act> = {
  talk: ({ call }) => call.speak(3),
  async hold(scene) {
    await expectStatus(reinvite(scene, scene.call.offer(true)), 200);
    await expectStatus(reinvite(scene), 200);
  },
  async holdOfOld(scene) {
    await expectStatus(
      reinvite(scene, scene.call.offer().replaceAll(`IN IP4 ${HOST}`, 'IN IP4 0.0.0.0')),
      200,
    );
    await expectStatus(reinvite(scene), 200);
  },
  async otherCodec(scene) {
    const codec = scene.call.facts.codec === 'pcmu' ? 'pcma' : 'pcmu';
    scene.call.facts.codec = codec;
    for (const speaker of scene.call.speakers) speaker.codec = codec;
    await expectStatus(reinvite(scene), 200);
    await scene.call.speak(2);
  },
  async anotherStream(scene) {
    const { src, call } = scene;
    const speaker = await src.speaker(call.facts.codec, [2_000]);
    const label = String(call.speakers.push(speaker));
    call.facts.streams.push({ uuid: `example-${label}`, label, speakers: [], rtpPort: speaker.port });
    await expectStatus(reinvite(scene), 200);
    await call.speak(2);
  },
  async streamAwayAndBack(scene) {
    const stream = scene.pick(scene.call.facts.streams);
    const { rtpPort } = stream;
    stream.rtpPort = 0;
    await expectStatus(reinvite(scene), 200);
    stream.rtpPort = rtpPort;
    await expectStatus(reinvite(scene), 200);
    await scene.call.speak(2);
  },
  async metadata({ call }) {
    await expectStatus(call.request('UPDATE', METADATA, broadworksMetadata(call.facts)), 200);
  },
  async metadataWithOffer({ call }) {
    const { headers, body } = multipart(call.offer(), broadworksMetadata(call.facts));
    await expectStatus(call.request('INVITE', headers, body), 200);
  },
  async rubbish(scene) {
    await expectStatus(reinvite(scene, 'rubbish'), 488);
    await expectStatus(scene.call.request('UPDATE', METADATA, '<rubbish'), 200);
  },
  async otherMethods({ call }) {
    await expectStatus(call.request('INFO'), 200);
    await expectStatus(call.request('OPTIONS'), 200);
    await expectStatus(call.request('MESSAGE'), 405);
  },
  async overlap(scene) {
    const { call } = scene;
    await Promise.all([
      expectStatus(reinvite(scene, call.offer(true)), 200, 500),
      expectStatus(reinvite(scene, call.offer()), 200, 500),
      expectStatus(call.request('UPDATE', METADATA, broadworksMetadata(call.facts)), 200, 500),
    ]);
  },
  async offerless({ call }) {
    const transaction = call.send(call.dialog.request('INVITE'));
    await expectStatus(finalOf(transaction), 200);
    const ack = call.dialog.ack(cseq(transaction.request).seq, [SDP], call.offer());
    transaction.acknowledge(ack, call.peer);
  },
  async twice({ src, call }) {
    const transaction = call.send(call.dialog.request('INVITE', [SDP], call.offer()));
    await src.layer.transport.send(call.peer, serialise(transaction.request));
    await expectStatus(finalOf(transaction), 200);
    transaction.acknowledge(call.dialog.ack(cseq(transaction.request).seq), call.peer);
  },
};

/** Each ends the call, whatever state it is in. */
const ENDINGS: Record<string, Act> = {
  bye: ({ call }) => expectStatus(call.bye(), 200),
  byeTwice: async ({ call }) => {
    await expectStatus(call.bye(), 200);
    await expectStatus(call.bye(), 481);
  },
  async byeRacingReinvite(scene) {
    // What the BYE overtakes is refused by the recorder (487) or by the SIP server (481, 500).
    const modified = expectStatus(reinvite(scene), 200, 481, 487, 500);
    await expectStatus(scene.call.bye(), 200);
    await modified;
  },
  async byeRacingUpdate({ call }) {
    const xml = broadworksMetadata(call.facts);
    const updated = expectStatus(call.request('UPDATE', METADATA, xml), 200, 481, 487, 500);
    await expectStatus(call.bye(), 200);
    await updated;
  },
};

/** @returns whether the call is up */
type Beginning = (scene: Scene) => Promise<boolean>;

async function afterCancel({ call }: Scene, transaction: ReturnType<SrcCall['send']>): Promise<boolean> {
  const response = await finalOf(transaction);
  expect([200, 487]).toContain(response.status);
  if (response.status === 200) call.answered(transaction, response); // the CANCEL came too late
  return response.status === 200;
}

const BEGINNINGS: Record<string, Beginning> = {
  invite: async ({ call }) => (await call.start()).status === 200,
  inviteTwice: async ({ src, call }) => {
    const transaction = call.send(call.invite());
    await src.layer.transport.send(call.peer, serialise(transaction.request));
    call.answered(transaction, await finalOf(transaction));
    return true;
  },
  cancelAtOnce: (scene) => {
    const transaction = scene.call.send(scene.call.invite());
    transaction.cancel();
    return afterCancel(scene, transaction);
  },
  cancelOnTrying: (scene) => {
    const transaction = scene.call.send(scene.call.invite(), () => transaction.cancel());
    return afterCancel(scene, transaction);
  },
};

/** Plain beginnings are the most frequent ones. */
const beginningNames = ['invite', 'invite', 'invite', ...Object.keys(BEGINNINGS)];

/** One call from its INVITE to its end. @returns its Call-ID if it was answered */
async function playCall(sipPort: number, seed: number): Promise<string | undefined> {
  const random = randomFrom(seed);
  const pick: Scene['pick'] = (choices) => choices[Math.floor(random() * choices.length)] as never;
  const src = await Src.start(sipPort);
  const told: string[] = [];
  const next = (names: readonly string[]): string => {
    told.push(pick(names));
    return told.at(-1) as string;
  };
  try {
    const call = await src.call({
      transport: pick(['udp', 'tcp']),
      mode: pick(['dual', 'single']),
      shape: pick(['broadworks', 'rfc7866']),
    });
    const scene = { src, call, pick };
    if (!(await BEGINNINGS[next(beginningNames)]?.(scene))) return undefined;
    await call.speak(2);
    for (let left = Math.floor(random() * (MAX_EVENTS + 1)); left > 0; left--)
      await EVENTS[next(Object.keys(EVENTS))]?.(scene);
    await ENDINGS[next(Object.keys(ENDINGS))]?.(scene);
    return call.facts.sipCallId;
  } catch (cause) {
    throw new Error(`call of seed ${seed}: ${told.join(', ')}: ${(cause as Error).message}`, { cause });
  } finally {
    await src.close();
  }
}

/** Call-IDs of those that were answered. */
async function playCalls({ sipServer, logs }: LocalRecorder, seeds: number[]): Promise<string[]> {
  const answered: string[] = [];
  const lane = async () => {
    for (let seed = seeds.pop(); seed !== undefined; seed = seeds.pop()) {
      const sipCallId = await playCall(sipServer.sipPort, seed);
      if (sipCallId) answered.push(sipCallId);
    }
  };
  const failed = (await Promise.allSettled(Array.from({ length: LANES }, lane))).flatMap((outcome) =>
    outcome.status === 'rejected' ? [(outcome.reason as Error).message] : [],
  );
  expect({ failed, refused: logs.lines.filter(({ msg }) => msg === 'INVITE refused') }).toEqual({
    failed: [],
    refused: [],
  });
  return answered;
}

const openFiles = (): number => readdirSync('/proc/self/fd').length;

let emulator: TestEmulator;
let bucket: RecordingsBucket;

beforeAll(async () => {
  emulator = await startTestEmulator();
  bucket = new RecordingsBucket(emulator.s3(REGION), 'soak');
  await bucket.create();
}, EMULATOR_START_TIMEOUT_MS);
afterAll(() => emulator?.stop());

async function storedManifests(): Promise<Manifest[]> {
  const manifests: Manifest[] = [];
  const pages = paginateListObjectsV2({ client: bucket.s3 }, { Bucket: bucket.name });
  for await (const { Contents = [] } of pages)
    for (const { Key = '' } of Contents)
      if (parseManifestKey(Key)) {
        const { Body } = await bucket.s3.send(new GetObjectCommand({ Bucket: bucket.name, Key }));
        manifests.push(parseManifest((await Body?.transformToString()) ?? '', Key));
      }
  return manifests;
}

const recorders: LocalRecorder[] = [];
afterEach(async () => {
  for (const recorder of recorders.splice(0)) await recorder.stop(); // those of a test that failed
});

async function startRecorder(): Promise<LocalRecorder> {
  const recorder = await startTestRecorder({
    endpoint: emulator.endpoint,
    bucket: bucket.name,
    rtpPairs: RTP_PAIRS,
    spoolFlushMs: CALLS * CALL_TIMEOUT_MS,
    variables: { SIPREC_CALL_CAPACITY: String(2 * LANES) },
  });
  recorders.push(recorder);
  return recorder;
}

it(
  `answers, records and forgets ${CALLS} calls of random events (seed ${SEED})`,
  async () => {
    const seeds = Array.from({ length: CALLS }, (_, index) => SEED + index);
    // What only the first call of a process opens is there before the count.
    const first = await startRecorder();
    const answered = await playCalls(first, seeds.splice(0, 1));
    await first.drain(60_000);
    await first.stop();
    await settled();
    const before = { handles: process.getActiveResourcesInfo().sort(), files: openFiles() };

    const recorder = await startRecorder();
    answered.push(...(await playCalls(recorder, seeds)));
    await until(async () => (await recorder.health('/status')).body.activeRecordings === 0);
    expect((await recorder.health('/status')).body).toMatchObject({ freeRtpPortPairs: RTP_PAIRS });
    await recorder.drain(60_000); // resolves when the last recording has ended and is in S3
    const left = recorder.spooled();
    const errors = recorder.logs.lines.filter(({ level, msg }) => level >= 50 && msg !== TRIED_AGAIN);
    await recorder.stop();
    await settled();
    expect(left).toEqual([]);
    expect(errors).toEqual([]);
    expect({ handles: process.getActiveResourcesInfo().sort(), files: openFiles() }).toEqual(before);

    const manifests = await storedManifests();
    expect(manifests.map(({ session }) => session.sipCallId).sort()).toEqual(answered.sort());
    expect(new Set(manifests.map(({ session }) => session.endedBy))).toEqual(new Set(['bye']));
  },
  60_000 + CALLS * CALL_TIMEOUT_MS,
);

/** In some turns of the event loop closed handles go. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await untilNextTurn();
}
