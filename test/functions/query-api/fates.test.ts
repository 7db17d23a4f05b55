/** Holds, deletions and the audit, as callers of the API meet them. */
import { Logger } from '@aws-lambda-powertools/logger';
import { CreateBucketCommand } from '@aws-sdk/client-s3';
import { GetCommand, PutCommand } from '@aws-sdk/lib-dynamodb';
import { jest } from '@jest/globals';
import type { Caller } from '../../../core/access.ts';
import { type Deletion, deletionKey } from '../../../core/fate-items.ts';
import type { Manifest } from '../../../core/manifest.ts';
import { indexManifest } from '../../../functions/index-recording/index-recording.ts';
import type { HandlerDependencies } from '../../../functions/query-api/handlers.ts';
import { listAudit } from '../../../functions/shared/audit.ts';
import {
  createIndexTable,
  EMULATOR_START_TIMEOUT_MS,
  startTestEmulator,
  type TestEmulator,
} from '../../helpers/emulator.ts';
import { recordingIdAt } from '../../helpers/manifest.ts';
import { storeRecording } from '../../helpers/stored-recording.ts';
import { type Asked, ask } from './ask.ts';

const REGION = 'us-east-1';
const TABLE = 'index';
const BUCKET = 'recordings';
const START = '2026-11-23T10:00:00.000Z';
const HOLD = { holdId: 'matter-1', reason: 'litigation' };

let emulator: TestEmulator;
let dependencies: HandlerDependencies;
const logged: unknown[] = [];

beforeAll(async () => {
  emulator = await startTestEmulator();
  await createIndexTable(emulator.dynamo(REGION), TABLE);
  await emulator.s3(REGION).send(new CreateBucketCommand({ Bucket: BUCKET }));
  const logger = new Logger({ logLevel: 'SILENT' });
  jest.spyOn(logger, 'info').mockImplementation((...line) => {
    logged.push(line[1]);
  });
  dependencies = {
    index: { table: emulator.documents(REGION), tableName: TABLE },
    s3For: (name) => emulator.s3(name),
    region: REGION,
    replicationPairs: [],
    regions: [REGION],
    retention: { days: 100 },
    bucket: BUCKET,
    fleet: { table: emulator.documents(REGION), tableName: 'fleet', slotsByZone: {} },
    logger,
  };
}, EMULATOR_START_TIMEOUT_MS);
afterAll(() => emulator.stop());

/** A tenant of its own for each test, so that it reads its own audit. */
async function record(tenant: string, given: Partial<Manifest> = {}): Promise<string> {
  const recordingId = recordingIdAt(START);
  const call = { callId: `call-${tenant}`, correlationIds: [`call-${tenant}`] };
  const stored = await storeRecording(
    emulator.s3(REGION),
    BUCKET,
    {},
    { startedAt: START, recordingId, tenant, call, ...given },
  );
  await indexManifest(
    { s3: emulator.s3(REGION), ...dependencies.index },
    { bucket: BUCKET, key: stored.key },
  );
  return recordingId;
}

const officer = (...tenants: string[]): Caller => ({
  id: 'officer',
  tenants,
  roles: ['search', 'listen', 'hold', 'delete'],
});

const request = (method: string, path: string, asked: Asked = {}, given: Partial<HandlerDependencies> = {}) =>
  ask({ ...dependencies, ...given }, path, { method, ...asked });

const put = (path: string, hold: object, caller: Caller) =>
  request('PUT', path, {
    body: JSON.stringify(hold),
    headers: { 'content-type': 'application/json' },
    caller,
  });

async function auditOf(tenant: string) {
  const { entries } = await listAudit(dependencies.index, {
    tenant,
    from: new Date(0),
    to: new Date(Date.now() + 1000),
    limit: 100,
  });
  return entries;
}

describe('a hold', () => {
  it('is set once, seen, and released; several may be on one recording', async () => {
    const caller = officer('one');
    const id = await record('one');
    const path = `/recordings/${id}/hold`;
    const first = await put(path, HOLD, caller);
    expect(first).toMatchObject({
      status: 200,
      body: { holds: [{ ...HOLD, by: 'officer', region: REGION }] },
    });
    expect((await put(path, HOLD, caller)).body).toEqual(first.body); // to the millisecond
    await put(path, { holdId: 'matter-2', reason: 'regulator' }, { ...caller, id: 'other' });
    const seen = () => request('GET', `/recordings/${id}`, { caller });
    expect((await seen()).body).toMatchObject({
      isHeld: true,
      holds: [{ holdId: 'matter-1' }, { holdId: 'matter-2', by: 'other' }],
    });

    const release = (holdId: string) =>
      request('DELETE', path, { query: { holdId, reason: 'settled' }, caller });
    expect(await release('matter-1')).toMatchObject({ status: 200 });
    expect(await release('matter-1')).toMatchObject({ status: 200 }); // again
    expect((await seen()).body).toMatchObject({ isHeld: true });
    await release('matter-2');
    expect((await seen()).body).toMatchObject({
      isHeld: false,
      holds: [{ released: { by: 'officer', reason: 'settled' } }, {}],
    });
    expect(await release('matter-3')).toMatchObject({ status: 404 });
    expect(await put(path, HOLD, caller)).toMatchObject({
      status: 409,
      body: { detail: expect.stringContaining('was released by officer') },
    });
    expect((await auditOf('one')).map(({ action, outcome, holdId }) => [action, outcome, holdId])).toEqual([
      ['hold', 'done', 'matter-1'],
      ['hold', 'done', 'matter-2'],
      ['release', 'done', 'matter-1'],
      ['release', 'done', 'matter-2'],
      ['release', 'refused', 'matter-3'],
      ['hold', 'refused', 'matter-1'],
    ]);
    expect(logged).toContainEqual({
      audit: expect.objectContaining({ action: 'hold', by: 'officer', tenant: 'one', recordingId: id }),
    });
  });

  it('on a call is on all its recordings', async () => {
    const caller = officer('calls');
    const id = await record('calls');
    expect(await put('/calls/call-calls/hold', HOLD, caller)).toMatchObject({
      status: 200,
      body: { holds: [{ ...HOLD }], recordings: [id], tooLate: [] },
    });
    const later = await record('calls');
    for (const held of [id, later]) {
      const { body } = await request('GET', `/recordings/${held}`, { caller });
      expect(body).toMatchObject({ isHeld: true, holds: [{ holdId: 'matter-1' }] });
      const deletion = await request('DELETE', `/recordings/${held}`, { query: { reason: 'x' }, caller });
      expect(deletion).toMatchObject({
        status: 409,
        body: { detail: expect.stringContaining('under hold (matter-1 of officer)') },
      });
    }
    const query = { holdId: 'matter-1', reason: 'settled' };
    expect(await request('DELETE', '/calls/call-calls/hold', { query, caller })).toMatchObject({
      status: 200,
    });
    expect(await request('DELETE', `/recordings/${id}`, { query: { reason: 'x' }, caller })).toMatchObject({
      status: 202,
    });
  });

  it('is refused when the deletion has begun, and told as too late for a call', async () => {
    const caller = officer('late');
    const id = await record('late');
    const deletion: Deletion = {
      recordingId: id,
      tenant: 'late',
      homeRegion: REGION,
      prefix: 'rec/',
      startedAt: START,
      why: 'request',
      by: 'other',
      reason: 'asked for',
      at: START,
      state: 'begun',
      intentId: 'one',
      regions: { [REGION]: { state: 'open', at: START } },
    };
    await dependencies.index.table.send(
      new PutCommand({ TableName: TABLE, Item: { ...deletionKey(id), ...deletion } }),
    );
    expect(await put(`/recordings/${id}/hold`, HOLD, caller)).toMatchObject({
      status: 409,
      body: { detail: expect.stringContaining('has begun') },
    });
    expect(await put('/calls/call-late/hold', HOLD, caller)).toMatchObject({
      status: 200,
      body: { recordings: [], tooLate: [id] },
    });
    expect((await request('GET', `/recordings/${id}`, { caller })).body).toMatchObject({
      deletion: { state: 'deleting', by: 'other', regions: { [REGION]: { state: 'open' } } },
    });
    expect(await request('GET', `/recordings/${id}/audio`, { caller })).toMatchObject({ status: 404 });
    expect(await request('DELETE', `/recordings/${id}`, { query: { reason: 'x' }, caller })).toMatchObject({
      status: 202,
      body: { state: 'deleting', by: 'other' },
    });
  });
});

describe("other tenants' recordings", () => {
  it('can be neither held nor deleted, and nothing of it is written', async () => {
    const id = await record('theirs');
    const stranger = officer('ours');
    const query = { holdId: 'matter-1', reason: 'x' };
    for (const answer of [
      await put(`/recordings/${id}/hold`, HOLD, stranger),
      await put('/calls/call-theirs/hold', HOLD, stranger),
      await request('DELETE', `/recordings/${id}/hold`, { query, caller: stranger }),
      await request('DELETE', '/calls/call-theirs/hold', { query, caller: stranger }),
      await request('DELETE', `/recordings/${id}`, { query: { reason: 'x' }, caller: stranger }),
    ])
      expect(answer).toMatchObject({ status: 404 });
    expect(await auditOf('theirs')).toEqual([]);
    expect(await auditOf('ours')).toEqual([]);
  });

  it.each([
    ['PUT', 'hold', ['search', 'delete']],
    ['DELETE', 'hold', ['search', 'delete']],
    ['DELETE', '', ['search', 'hold']],
  ] as const)('need the role: %s %s', async (method, what, roles) => {
    const caller = { ...officer('theirs'), roles };
    const path = ['/recordings/01KAR7V0000000000000000000', what].filter(Boolean).join('/');
    expect(await request(method, path, { caller })).toMatchObject({ status: 403 });
  });
});

describe('a request to delete', () => {
  it('is answered with its state, and is there to be seen', async () => {
    const caller = officer('deleting');
    const id = await record('deleting');
    const ask = () => request('DELETE', `/recordings/${id}`, { query: { reason: 'asked for' }, caller });
    const first = await ask();
    expect(first).toMatchObject({
      status: 202,
      body: { state: 'requested', by: 'officer', reason: 'asked for' },
    });
    expect((await ask()).body).toEqual(first.body);
    expect((await request('GET', `/recordings/${id}`, { caller })).body).toMatchObject({
      deletion: { state: 'requested' },
    });
    expect((await auditOf('deleting')).map(({ action }) => action)).toEqual(['requestDeletion']);
  });

  it('is refused with the date while the recording is locked', async () => {
    const caller = officer('locked');
    const id = await record('locked', { startedAt: new Date(Date.now() - 86_400_000).toISOString() });
    const retention = { days: 100, tenants: { locked: 2 }, objectLock: 'compliance' as const };
    const answer = await request(
      'DELETE',
      `/recordings/${id}`,
      { query: { reason: 'x' }, caller },
      { retention },
    );
    expect(answer).toMatchObject({
      status: 409,
      body: { detail: expect.stringMatching(/locked until 20\d\d-/) },
    });
    expect(await auditOf('locked')).toMatchObject([{ action: 'requestDeletion', outcome: 'refused' }]);
  });

  it('needs a reason, and no parameter that is unknown', async () => {
    const caller = officer('one');
    const path = '/recordings/01KAR7V0000000000000000000';
    expect(await request('DELETE', path, { caller })).toMatchObject({ status: 400 });
    expect(await request('DELETE', path, { query: { reason: 'x', force: 'true' }, caller })).toMatchObject({
      status: 400,
    });
    expect(await put(`${path}/hold`, { holdId: 'a b', reason: 'x' }, caller)).toMatchObject({ status: 400 });
  });
});

describe('the audit', () => {
  it('has every play before its address is given', async () => {
    const caller = officer('plays');
    const id = await record('plays');
    expect(await request('GET', `/recordings/${id}/audio`, { caller })).toMatchObject({ status: 200 });
    expect(await auditOf('plays')).toMatchObject([
      { action: 'play', by: 'officer', recordingId: id, outcome: 'done', region: REGION },
    ]);
  });

  it('that cannot be written stops play, hold, release and deletion', async () => {
    const caller = officer('unaudited');
    const id = await record('unaudited');
    await put(`/recordings/${id}/hold`, HOLD, caller);
    // A table that takes everything but the audit.
    const table = new Proxy(dependencies.index.table, {
      get: (target, property) =>
        property !== 'send'
          ? Reflect.get(target, property)
          : async (command: { input: unknown }) => {
              if (JSON.stringify(command.input).includes('"AUDIT#')) throw new Error('no audit');
              return target.send(command as never);
            },
    });
    const index = { table, tableName: TABLE };
    const query = { holdId: 'matter-1', reason: 'x' };
    const audio = await request('GET', `/recordings/${id}/audio`, { caller }, { index });
    expect(audio).toMatchObject({ status: 503, body: { detail: expect.stringContaining('audit') } });
    expect(audio.body).not.toHaveProperty('url');
    const release = await request('DELETE', `/recordings/${id}/hold`, { query, caller }, { index });
    expect(release).toMatchObject({ status: 500 });
    const other = await record('unaudited', { call: { callId: 'x', correlationIds: [] } });
    const deletion = { query: { reason: 'x' }, caller };
    expect(await request('DELETE', `/recordings/${other}`, deletion, { index })).toMatchObject({
      status: 500,
    });
    const { body } = await request('GET', `/recordings/${id}`, { caller });
    expect(body).toMatchObject({ isHeld: true });
    expect((await request('GET', `/recordings/${other}`, { caller })).body).not.toHaveProperty('deletion');
  });

  it('is read through the API: by whoever may hold, of one of their tenants, in pages', async () => {
    const caller = officer('read', 'other');
    const id = await record('read');
    for (const holdId of ['a', 'b', 'c'])
      await put(`/recordings/${id}/hold`, { holdId, reason: 'x' }, caller);
    const pages: { items: { holdId: string; by: string; recordingId: string }[]; nextCursor?: string }[] = [];
    let query: Record<string, string> = { tenant: 'read', limit: '2' };
    do {
      const { status, body } = await request('GET', '/audit', { query, caller });
      expect(status).toBe(200);
      pages.push(body as (typeof pages)[number]);
      query = { limit: '2', cursor: pages.at(-1)?.nextCursor ?? '' };
    } while (query.cursor);
    expect(pages.flatMap(({ items }) => items)).toMatchObject(
      ['a', 'b', 'c'].map((holdId) => ({ action: 'hold', holdId, by: 'officer', recordingId: id })),
    );
    const [first] = pages;
    const answers: [Caller, Record<string, string>, number][] = [
      [officer('read'), {}, 200], // the only tenant there can be
      [caller, {}, 400],
      [{ ...caller, tenants: 'all' }, {}, 400],
      [officer('other'), { tenant: 'read' }, 403],
      [officer('other'), { cursor: first?.nextCursor ?? '' }, 403],
      [{ ...caller, roles: ['search', 'listen', 'delete', 'operate'] }, { tenant: 'read' }, 403],
    ];
    for (const [who, asked, status] of answers)
      expect((await request('GET', '/audit', { query: asked, caller: who })).status).toBe(status);
    const other = await request('GET', '/audit', { query: { tenant: 'other' }, caller });
    expect(other.body).toEqual({ items: [] });
  });

  it('is read in pages, and an entry is never written over', async () => {
    const caller = officer('pages');
    const id = await record('pages');
    for (const holdId of ['a', 'b', 'c'])
      await put(`/recordings/${id}/hold`, { holdId, reason: 'x' }, caller);
    const range = { tenant: 'pages', from: new Date(0), to: new Date(Date.now() + 1000), limit: 2 };
    const first = await listAudit(dependencies.index, range);
    const second = await listAudit(dependencies.index, { ...range, after: first.last as string });
    expect([...first.entries, ...second.entries].map(({ holdId }) => holdId)).toEqual(['a', 'b', 'c']);
    const { writeAudit } = await import('../../../functions/shared/audit.ts');
    const [entry] = first.entries;
    const forged = { ...(entry as NonNullable<typeof entry>), by: 'somebody else' };
    await expect(writeAudit(dependencies.index, { info() {} }, forged)).rejects.toThrow(/condition/i);
    const { Item } = await dependencies.index.table.send(
      new GetCommand({
        TableName: TABLE,
        Key: { pk: 'AUDIT#pages', sk: `${forged.at}#${forged.auditId}` },
      }),
    );
    expect(Item).toMatchObject({ by: 'officer' });
  });
});
