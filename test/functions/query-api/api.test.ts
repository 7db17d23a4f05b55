import { createHash } from 'node:crypto';
import { CreateBucketCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { BatchWriteCommand, PutCommand } from '@aws-sdk/lib-dynamodb';
import { entryItems } from '../../../core/index-entries.ts';
import { homeCopyItem, recordingItem, replicaCopyItem } from '../../../core/index-items.ts';
import { fileKey } from '../../../core/keys.ts';
import type { Manifest } from '../../../core/manifest.ts';
import { AUDIO_URL_TTL_SECONDS } from '../../../functions/query-api/constants.ts';
import {
  createIndexTable,
  EMULATOR_START_TIMEOUT_MS,
  startTestEmulator,
  type TestEmulator,
} from '../../helpers/emulator.ts';
import { makeManifest } from '../../helpers/manifest.ts';
import { type Asked, ask, SILENT } from './ask.ts';

const REGION = 'us-east-1';
const OTHER_REGION = 'us-west-2';
const TABLE = 'index';
const bucketIn = (region: string) => `recordings-${region}`;

/** Not silence: every byte tells its place. */
const AUDIO = Buffer.from(Array.from({ length: 4096 }, (_, index) => (index * 7 + (index >> 8)) % 256));

const started = Date.parse('2026-11-23T10:00:00.000Z');
const recordings = Array.from({ length: 5 }, (_, minute) => {
  const startedAt = new Date(started + 60_000 * minute).toISOString();
  return makeManifest({
    startedAt,
    files: [
      {
        name: 'audio.wav',
        role: 'audio',
        contentType: 'audio/wav',
        bytes: AUDIO.length,
        sha256: createHash('sha256').update(AUDIO).digest('hex'),
      },
    ],
  });
}) as [Manifest, ...Manifest[]];
const silent = makeManifest({
  startedAt: '2026-11-20T10:00:00.000Z',
  status: 'partial',
  statusReasons: ['no-media'],
  audio: undefined,
  files: [],
});

/** Both parties of a call, and the leg of one of them after a redirection that renewed the id of the call. */
const legs = [
  ['2026-11-19T10:00:00.100Z', 'before', ['before', 'sip-1']],
  ['2026-11-19T10:00:00.000Z', 'before', ['before', 'after/100%@x', 'sip-2']],
  ['2026-11-19T10:05:00.000Z', 'after/100%@x', ['after/100%@x', 'sip-3']],
] as const;
const redirected = legs.map(([startedAt, callId, correlationIds]) =>
  makeManifest({ startedAt, call: { callId, correlationIds: [...correlationIds] } }),
);

let emulator: TestEmulator;

beforeAll(async () => {
  emulator = await startTestEmulator();
  await createIndexTable(emulator.dynamo(REGION), TABLE);
  for (const region of [REGION, OTHER_REGION])
    await emulator.s3(region).send(new CreateBucketCommand({ Bucket: bucketIn(region) }));
  for (const manifest of [...recordings, silent, ...redirected]) {
    const recording = recordingItem(manifest);
    const items = [homeCopyItem(manifest, bucketIn(REGION)), ...entryItems(recording), recording];
    await emulator
      .documents(REGION)
      .send(
        new BatchWriteCommand({ RequestItems: { [TABLE]: items.map((Item) => ({ PutRequest: { Item } })) } }),
      );
  }
  const { homeRegion, recordingId, startedAt } = recordings[0];
  const Key = fileKey({ homeRegion, recordingId, startedAt: new Date(startedAt) }, 'audio.wav');
  await emulator.s3(REGION).send(new PutObjectCommand({ Bucket: bucketIn(REGION), Key, Body: AUDIO }));
}, EMULATOR_START_TIMEOUT_MS);
afterAll(() => emulator.stop());

/** @param elsewhere another table or region than usual */
const request = (
  path: string,
  query: Asked['query'] = {},
  { tableName = TABLE, region = REGION, ...asked }: Asked & { tableName?: string; region?: string } = {},
) =>
  ask(
    {
      index: { table: emulator.documents(REGION), tableName },
      s3For: (name) => emulator.s3(name),
      region,
      regions: [REGION, OTHER_REGION],
      retention: { days: 100 },
      bucket: bucketIn(region),
      fleet: { table: emulator.documents(REGION), tableName: 'fleet', slotsByZone: {} },
      replicationPairs: [],
      logger: SILENT,
    },
    path,
    { query, ...asked },
  );

const problemOf = (status: number, detail: unknown) => ({
  status,
  type: 'application/problem+json',
  headers: expect.any(Object),
  body: { type: 'about:blank', title: expect.any(String), status, detail },
});

const DAY = { from: '2026-11-23T00:00:00Z', to: '2026-11-24T00:00:00Z' };
const idsOf = (body: Record<string, unknown>): string[] =>
  (body.items as { recordingId: string }[]).map(({ recordingId }) => recordingId);
const newestFirst = recordings.map(({ recordingId }) => recordingId).toReversed();

describe('GET /recordings', () => {
  it('answers with the recordings of the time, newest first', async () => {
    const { status, type, body } = await request('/recordings', DAY);
    expect({ status, type }).toEqual({ status: 200, type: expect.stringContaining('application/json') });
    expect(idsOf(body)).toEqual(newestFirst);
    expect(body).not.toHaveProperty('nextCursor');
  });

  it('leads from page to page by cursor, with or without the parameters repeated', async () => {
    for (const repeated of [DAY, {}]) {
      const ids: string[] = [];
      let query: Record<string, string> = { ...DAY, limit: '2' };
      for (;;) {
        const { status, body } = await request('/recordings', query);
        expect(status).toBe(200);
        ids.push(...idsOf(body));
        if (!body.nextCursor) break;
        query = { ...repeated, limit: '2', cursor: String(body.nextCursor) };
      }
      expect(ids).toEqual(newestFirst);
    }
  });

  it('refuses a bad parameter, and the cursor of another query', async () => {
    expect(await request('/recordings', { limit: 'all' })).toEqual(
      problemOf(400, 'limit=all: write a whole number from 1 to 200'),
    );
    const { body } = await request('/recordings', { ...DAY, limit: '2' });
    const cursor = String(body.nextCursor);
    expect(await request('/recordings', { cursor, from: '2026-11-22T00:00:00Z' })).toEqual(
      problemOf(400, expect.stringContaining('this cursor does not belong to this query')),
    );
  });
});

describe('GET /recordings with conditions', () => {
  it('answers with what they say', async () => {
    const find = async (query: Record<string, string>) => {
      const { status, body } = await request('/recordings', { from: '2026-11-01T00:00:00Z', ...query });
      expect(status).toBe(200);
      return idsOf(body);
    };
    const to = '2026-11-24T00:00:00Z';
    expect(await find({ to, status: 'partial' })).toEqual([silent.recordingId]);
    expect(
      await find({ to, number: '+12145550101', direction: 'incoming', minDurationMs: '60000' }),
    ).toHaveLength(9);
    expect(await find({ to, tenant: 'acme', slot: 'use1-1', limit: '3' })).toEqual(newestFirst.slice(0, 3));
    expect(await find({ to, tenant: 'other' })).toEqual([]);
    expect(await find({ to, group: 'none' })).toEqual([]);
    expect(await find({ to, user: 'nobody@example.com' })).toEqual([]);
  });

  it('continues them by cursor alone', async () => {
    const asked = { ...DAY, number: '+12145550102', status: 'complete', limit: '3' };
    const first = await request('/recordings', asked);
    const second = await request('/recordings', { cursor: String(first.body.nextCursor) });
    expect([...idsOf(first.body), ...idsOf(second.body)]).toEqual(newestFirst);
    const stolen = { cursor: String(first.body.nextCursor), tenant: 'other' };
    expect(await request('/recordings', stolen)).toMatchObject({ status: 400 });
  });
});

describe('GET /calls/{id}', () => {
  it.each(['before', 'sip-1', 'sip-3', 'after/100%@x'])(
    'answers with all recordings of the call of %s, in order, over a redirection',
    async (id) => {
      const { status, body } = await request(`/calls/${encodeURIComponent(id)}`);
      expect(status).toBe(200);
      expect((body.recordings as { startedAt: string }[]).map(({ startedAt }) => startedAt)).toEqual([
        '2026-11-19T10:00:00.000Z',
        '2026-11-19T10:00:00.100Z',
        '2026-11-19T10:05:00.000Z',
      ]);
      expect((body.correlationIds as string[]).toSorted()).toEqual([
        'after/100%@x',
        'before',
        'sip-1',
        'sip-2',
        'sip-3',
      ]);
      expect(body.truncated).toBe(false);
    },
  );

  it('answers 404 for a call that is not there', async () => {
    expect(await request('/calls/none')).toEqual(
      problemOf(404, 'there is no recording of a call none, or it is not indexed yet'),
    );
  });
});

describe('GET /recordings/{id}', () => {
  it('answers with the recording and its copies', async () => {
    const [{ recordingId }] = recordings;
    const { status, body } = await request(`/recordings/${recordingId}`);
    expect(status).toBe(200);
    expect(body).toMatchObject({
      recordingId,
      status: 'complete',
      copies: [{ recordingId, region: REGION, bucket: bucketIn(REGION), role: 'home' }],
    });
    expect(body).not.toHaveProperty('pk');
  });

  it('answers 404 for a recording that is not there', async () => {
    for (const id of [makeManifest().recordingId, 'x'.repeat(5000)])
      expect(await request(`/recordings/${id}`)).toMatchObject({ status: 404 });
    expect(await request(`/calls/${'x'.repeat(5000)}`)).toMatchObject({ status: 404 });
    const missing = problemOf(404, 'there is no recording unknown, or it is not indexed yet');
    expect(await request('/recordings/unknown')).toEqual(missing);
    expect(await request('/recordings/unknown/audio')).toEqual(missing);
  });
});

describe('GET /recordings/{id}/audio', () => {
  const [{ recordingId, files }] = recordings;

  it('gives an address that plays the very bytes, whole or in part', async () => {
    const before = Date.now();
    const { status, body } = await request(`/recordings/${recordingId}/audio`);
    expect(status).toBe(200);
    expect(body).toMatchObject({
      region: REGION,
      contentType: 'audio/wav',
      bytes: AUDIO.length,
      sha256: files[0]?.sha256,
    });
    const lifetime = Date.parse(String(body.expiresAt)) - before;
    expect(lifetime).toBeGreaterThanOrEqual(AUDIO_URL_TTL_SECONDS * 1000);
    expect(lifetime).toBeLessThan(AUDIO_URL_TTL_SECONDS * 1000 + 10_000);

    const whole = await fetch(String(body.url));
    expect(whole.status).toBe(200);
    expect(whole.headers.get('content-type')).toBe('audio/wav');
    const bytes = Buffer.from(await whole.arrayBuffer());
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(body.sha256);

    const part = await fetch(String(body.url), { headers: { range: 'bytes=1000-1999' } });
    expect(part.status).toBe(206);
    expect(part.headers.get('content-range')).toBe(`bytes 1000-1999/${AUDIO.length}`);
    expect(Buffer.from(await part.arrayBuffer()).equals(AUDIO.subarray(1000, 2000))).toBe(true);
  });

  it('leads to the copy of its own region, and to the next where that one fails', async () => {
    const regionOf = async (region: string) => {
      const { body } = await request(`/recordings/${recordingId}/audio`, {}, { region });
      return body.region;
    };
    expect(await regionOf(OTHER_REGION)).toBe(REGION);
    const verified = { verifiedAt: '2026-11-23T10:05:00.000Z', manifestSha256: 'c'.repeat(64) };
    const place = { region: OTHER_REGION, bucket: bucketIn(OTHER_REGION) };
    const Item = replicaCopyItem(recordings[0], { ...place, ...verified });
    const put = (state: string) =>
      emulator.documents(REGION).send(new PutCommand({ TableName: TABLE, Item: { ...Item, state } }));
    await put('verified');
    expect(await regionOf(OTHER_REGION)).toBe(REGION); // its file is missing
    const Key = `${Item.prefix}audio.wav`;
    const s3 = emulator.s3(OTHER_REGION);
    await s3.send(new PutObjectCommand({ Bucket: place.bucket, Key, Body: AUDIO.subarray(1) }));
    expect(await regionOf(OTHER_REGION)).toBe(REGION); // and now too short
    await s3.send(new PutObjectCommand({ Bucket: place.bucket, Key, Body: AUDIO }));
    expect(await regionOf(OTHER_REGION)).toBe(OTHER_REGION);
    expect(await regionOf(REGION)).toBe(REGION);
    expect(await regionOf('eu-west-1')).toBe(REGION);
    await put('damaged');
    expect(await regionOf(OTHER_REGION)).toBe(REGION);

    const { body } = await request(`/recordings/${recordingId}`);
    expect(body.copies).toMatchObject([
      { region: REGION, role: 'home', state: 'verified' },
      { ...place, ...verified, role: 'replica', state: 'damaged' },
    ]);
  });

  it('says what is wrong with each copy when none can be played', async () => {
    const { recordingId: lost } = recordings[1] as Manifest; // indexed, and no file is there
    expect(await request(`/recordings/${lost}/audio`)).toEqual(
      problemOf(503, `no verified copy of recording ${lost} can be played: ${REGION}: S3 answers 404`),
    );
  });

  it('says why there is nothing to hear', async () => {
    expect(await request(`/recordings/${silent.recordingId}/audio`)).toEqual(
      problemOf(404, `recording ${silent.recordingId} (partial) holds no audio: no-media`),
    );
  });
});

describe('anything else', () => {
  it.each(['/', '/recording', '/recordings/a/video', '/recordings/a/audio/b'])(
    'answers 404 to %s',
    async (path) => {
      expect(await request(path)).toEqual(
        problemOf(404, 'there is no such resource: see /openapi.json for those that there are'),
      );
    },
  );

  it.each(['/calls/%', '/recordings/%E0%A4%A', '/recordings/100%/audio'])(
    'answers 400 to %s',
    async (path) => {
      expect(await request(path)).toEqual(problemOf(400, expect.stringContaining('the path is not valid')));
    },
  );

  it.each(['POST', 'DELETE', 'PUT'])('answers 405 to %s', async (method) => {
    expect(await request('/recordings', {}, { method })).toEqual(
      problemOf(405, 'this resource takes GET and nothing else'),
    );
  });

  it('answers 500 without details when the table is gone', async () => {
    for (const path of ['/recordings', `/recordings/${recordings[0].recordingId}`])
      expect(await request(path, {}, { tableName: 'no-table' })).toEqual(
        problemOf(500, 'the request could not be carried out: try again'),
      );
  });
});
