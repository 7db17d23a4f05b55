/** A region whose S3 hangs, refuses or is not there must not keep anybody from another region's copy. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import {
  homeCopyItem,
  type RecordingCopy,
  recordingItem,
  replicaCopyItem,
} from '../../../core/index-items.ts';
import { NoCopyAnswersError, nearestFirst, playbackAddress } from '../../../functions/query-api/playback.ts';
import { EMULATOR_START_TIMEOUT_MS, startTestEmulator, type TestEmulator } from '../../helpers/emulator.ts';
import { makeManifest } from '../../helpers/manifest.ts';
import { type StoredRecording, storeRecording } from '../../helpers/stored-recording.ts';

const HERE = 'us-east-1';
const DEAD = 'us-west-2';
const HEAD_TIMEOUT_MS = 1_500;

let emulator: TestEmulator;
let recording: StoredRecording;
let silent: Server;
const connections = new Set<Socket>();
const clients: S3Client[] = [];

beforeAll(async () => {
  emulator = await startTestEmulator();
  const s3 = emulator.s3(HERE);
  await s3.send(new CreateBucketCommand({ Bucket: 'here' }));
  recording = await storeRecording(s3, 'here', {});
  silent = createServer((socket) => {
    connections.add(socket);
    socket.on('error', () => {});
  }).listen(0, '127.0.0.1');
  await once(silent, 'listening');
}, EMULATOR_START_TIMEOUT_MS);
afterAll(async () => {
  for (const client of clients) client.destroy();
  for (const socket of connections) socket.destroy();
  silent.close();
  await emulator.stop();
});

function clientOf(endpoint: string): S3Client {
  const { credentials } = emulator;
  const client = new S3Client({ endpoint, region: DEAD, credentials, forcePathStyle: true });
  clients.push(client);
  return client;
}

const copies = (): RecordingCopy[] => [
  homeCopyItem(recording.manifest, 'here'),
  replicaCopyItem(recording.manifest, {
    region: DEAD,
    bucket: 'dead',
    verifiedAt: '2026-11-23T10:02:00.000Z',
    manifestSha256: 'c'.repeat(64),
  }),
];

/** Asks in the region whose own copy cannot be had. */
const play = (dead: S3Client, of = copies()) =>
  playbackAddress(
    {
      s3For: (region) => (region === DEAD ? dead : emulator.s3(region)),
      region: DEAD,
      headTimeoutMs: HEAD_TIMEOUT_MS,
    },
    recordingItem(recording.manifest),
    of,
    new Date(),
  );

describe('playbackAddress', () => {
  const hangs = () => clientOf(`http://127.0.0.1:${(silent.address() as AddressInfo).port}`);
  const refuses = () => clientOf('http://127.0.0.1:1');

  it.each([
    ['never answers', hangs, `no answer within ${HEAD_TIMEOUT_MS} ms`],
    ['refuses connections', refuses, ''],
    ['has no such bucket', () => clientOf(emulator.endpoint), 'S3 answers 404'],
  ])('goes to the next copy where the S3 of the nearest %s', async (_, dead, why) => {
    const address = await play(dead());
    expect(address?.region).toBe(HERE);
    const answer = await fetch(address?.url ?? '');
    expect(answer.status).toBe(200);
    expect((await answer.arrayBuffer()).byteLength).toBe(address?.bytes);

    const [, replica] = copies() as [RecordingCopy, RecordingCopy];
    await expect(play(dead(), [replica])).rejects.toThrow(
      expect.objectContaining({
        name: NoCopyAnswersError.name,
        message: expect.stringContaining(`${DEAD}: ${why}`),
      }),
    );
  });

  it('asks nobody for a recording without audio, and says so when there is no verified copy', async () => {
    const without = recordingItem(makeManifest({ audio: undefined, files: [] }));
    expect(
      await playbackAddress({ s3For: refuses, region: DEAD }, without, copies(), new Date()),
    ).toBeUndefined();
    const damaged = copies().map((copy) => ({ ...copy, state: 'damaged' as const }));
    await expect(play(refuses(), damaged)).rejects.toThrow(/there is none$/);
  });
});

describe('nearestFirst', () => {
  it('has the own region first and the others in a fixed order', () => {
    const [home] = copies() as [RecordingCopy];
    const all = ['c', 'a', 'd', 'b'].map((region) => ({ ...home, region }));
    const order = (region: string) => nearestFirst(all, region).map((copy) => copy.region);
    expect(order('c')).toEqual(['c', 'a', 'b', 'd']);
    expect(order('x')).toEqual(['a', 'b', 'c', 'd']);
    expect(nearestFirst([{ ...home, state: 'damaged' }], home.region)).toEqual([]);
  });
});
