/** Who gets what: every operation, asked by callers with and without the role, of recordings of their tenants and of others'. */
import { createHash } from 'node:crypto';
import { CreateBucketCommand } from '@aws-sdk/client-s3';
import { BatchWriteCommand } from '@aws-sdk/lib-dynamodb';
import { type Caller, ROLES, type Role } from '../../../core/access.ts';
import { entryItems } from '../../../core/index-entries.ts';
import { homeCopyItem, recordingItem } from '../../../core/index-items.ts';
import type { Manifest } from '../../../core/manifest.ts';
import { encodeCursor } from '../../../functions/query-api/cursor.ts';
import { iamAuthenticator } from '../../../functions/query-api/iam-callers.ts';
import { operationList } from '../../../functions/query-api/operations.ts';
import {
  createFleetTable,
  createIndexTable,
  EMULATOR_START_TIMEOUT_MS,
  startTestEmulator,
  type TestEmulator,
} from '../../helpers/emulator.ts';
import { storeRecording } from '../../helpers/stored-recording.ts';
import { type Asked, ask, EVERYBODY, proxyEvent, SILENT } from './ask.ts';

const REGION = 'us-east-1';
const BUCKET = 'recordings';
const STARTED_AT = '2026-11-23T10:00:00.000Z';
const DAY = { from: '2026-11-23T00:00:00Z', to: '2026-11-24T00:00:00Z' };

let emulator: TestEmulator;
/** Two tenants, with parties, call and recorder in common: only the tenant is different. */
const recordings = new Map<string, Manifest[]>();

beforeAll(async () => {
  emulator = await startTestEmulator();
  await createIndexTable(emulator.dynamo(REGION), 'index');
  await createFleetTable(emulator.dynamo(REGION), 'fleet');
  await emulator.s3(REGION).send(new CreateBucketCommand({ Bucket: BUCKET }));
  for (const [at, tenant] of ['acme', 'globex', 'acme', 'globex', 'initech'].entries()) {
    const startedAt = new Date(Date.parse(STARTED_AT) + at).toISOString();
    const { manifest } = await storeRecording(
      emulator.s3(REGION),
      BUCKET,
      {},
      { tenant, startedAt, broadWorks: { serviceProviderId: tenant } },
    );
    const recording = recordingItem(manifest);
    const items = [homeCopyItem(manifest, BUCKET), ...entryItems(recording), recording];
    await emulator
      .documents(REGION)
      .send(
        new BatchWriteCommand({ RequestItems: { index: items.map((Item) => ({ PutRequest: { Item } })) } }),
      );
    recordings.set(tenant, [...(recordings.get(tenant) ?? []), manifest]);
  }
}, EMULATOR_START_TIMEOUT_MS);
afterAll(() => emulator.stop());

const request = (path: string, asked: Asked) =>
  ask(
    {
      index: { table: emulator.documents(REGION), tableName: 'index' },
      s3For: (region) => emulator.s3(region),
      region: REGION,
      regions: ['us-east-1'],
      retention: { days: 100 },
      bucket: BUCKET,
      fleet: { table: emulator.documents(REGION), tableName: 'fleet', slotsByZone: {} },
      replicationPairs: [],
      logger: SILENT,
    },
    path,
    asked,
  );

const callerOf = (tenants: Caller['tenants'], roles: readonly Role[] = ROLES): Caller => ({
  id: 'somebody',
  tenants,
  roles,
});

const recordingOf = (tenant: string, at = 0): Manifest => {
  const manifest = recordings.get(tenant)?.[at];
  if (!manifest) throw new Error(`no recording ${at} of ${tenant}`);
  return manifest;
};

const idOf = (tenant: string, at = 0): string => recordingOf(tenant, at).recordingId;

/** Every path of the API that names or may show a recording of a tenant. */
const pathsTo = (tenant: string): string[] => {
  const { recordingId, call } = recordingOf(tenant);
  return operationList()
    .filter(({ access, method }) => method === 'GET' && access !== 'public')
    .map(({ path }) => path.replace('{id}', path.startsWith('/calls') ? call.callId : recordingId));
};

describe('a role', () => {
  it.each(operationList().map((operation) => [operation.operationId, operation] as const))(
    'is needed for %s, and named when it is missing',
    async (_, { access, method, path }) => {
      const target = path.replace('{id}', idOf('acme'));
      const roles = ROLES.filter((role) => role !== access);
      const { status, body } = await request(target, { method, caller: callerOf('all', roles) });
      if (access === 'public' || access === 'caller') expect(status).toBe(200);
      else
        expect({ status, detail: body.detail }).toEqual({
          status: 403,
          detail: `this needs the role ${access}, which somebody does not have`,
        });
    },
  );

  it('to listen is needed for what holds the audio or the keys that were pressed', async () => {
    const caller = callerOf('all', ['search']);
    for (const format of ['manifest', 'vcon'])
      expect(await request(`/recordings/${idOf('acme')}`, { query: { format }, caller })).toMatchObject({
        status: 403,
        body: { detail: 'this needs the role listen, which somebody does not have' },
      });
  });
});

describe('a recording', () => {
  it('comes with what its manifest says, as its manifest, and as vCon', async () => {
    const manifest = recordingOf('acme');
    const of = (format: string) => request(`/recordings/${manifest.recordingId}`, { query: { format } });
    const { body } = await of('json');
    expect(body).toMatchObject({
      recordingId: manifest.recordingId,
      timeline: [
        { participantId: 'p1', fromMs: 0, toMs: 60_000 },
        { participantId: 'p2', fromMs: 0, toMs: 60_000 },
      ],
      media: { region: REGION, endedBy: 'bye', gaps: [], holds: [], transfers: [] },
    });
    expect((await of('manifest')).body).toEqual(manifest);
    const vcon = await of('vcon');
    expect(vcon.type).toBe('application/vcon+json');
    const [dialog] = vcon.body.dialog as [{ url: string; content_hash: string }];
    const audio = Buffer.from(await (await fetch(dialog.url)).arrayBuffer());
    const hash = createHash('sha256').update(audio).digest('base64url');
    expect(dialog.content_hash).toBe(`sha256-${hash}`);
  });
});

describe('a tenant', () => {
  it.each(['acme', 'globex'])('is all that a caller of %s sees, by any path', async (own) => {
    const caller = callerOf([own]);
    const others = ['acme', 'globex', 'initech'].filter((tenant) => tenant !== own);
    for (const tenant of [own, ...others])
      for (const path of pathsTo(tenant)) {
        const { body } = await request(path, { query: path === '/recordings' ? DAY : {}, caller });
        const text = JSON.stringify(body);
        for (const other of others) {
          expect(text).not.toContain(`"${other}"`);
          // What the caller has asked for may be said again, in the answer that it is not there.
          for (const { recordingId } of recordings.get(other) ?? [])
            expect(text.replaceAll(`no recording ${recordingId},`, '')).not.toContain(recordingId);
        }
      }
  });

  it('of somebody else answers as what is not there', async () => {
    const caller = callerOf(['acme']);
    const nowhere = '01KAR7V0000000000000000000';
    for (const path of ['/recordings/{id}', '/recordings/{id}/audio']) {
      const of = async (id: string) => {
        const { headers: _, ...answer } = await request(path.replace('{id}', id), { caller });
        return JSON.parse(JSON.stringify(answer).replaceAll(id, '<id>'));
      };
      expect((await of(nowhere)).status).toBe(404);
      expect(await of(idOf('globex'))).toEqual(await of(nowhere));
      expect((await of(idOf('acme'))).status).toBe(200);
    }
    for (const format of ['json', 'manifest', 'vcon'])
      expect(await request(`/recordings/${idOf('globex')}`, { query: { format }, caller })).toMatchObject({
        status: 404,
      });
    const hooli = callerOf(['hooli']);
    expect(await request(`/calls/${recordingOf('acme').call.callId}`, { caller: hooli })).toMatchObject({
      status: 404,
    });
  });

  it('is one of several: a search goes over all of them, in order of time, and a call is cut to them', async () => {
    const caller = callerOf(['globex', 'initech', 'hooli']);
    const expected = [idOf('initech'), idOf('globex', 1), idOf('globex')];
    const ids: string[] = [];
    let query: Record<string, string> = { ...DAY, number: '+12145550101', limit: '1' };
    for (;;) {
      const { body } = await request('/recordings', { query, caller });
      ids.push(...(body.items as { recordingId: string }[]).map(({ recordingId }) => recordingId));
      if (!body.nextCursor) break;
      query = { cursor: String(body.nextCursor), limit: '1' };
    }
    expect(ids).toEqual(expected);
    const callId = recordingOf('globex').call.callId;
    const { body } = await request(`/calls/${callId}`, { caller });
    expect((body.recordings as { recordingId: string }[]).map(({ recordingId }) => recordingId)).toEqual(
      expected.toReversed(),
    );
  });

  it('that is asked for must be one of the own, whether it exists or not', async () => {
    const caller = callerOf(['acme']);
    for (const tenant of ['globex', 'nobody'])
      expect(await request('/recordings', { query: { ...DAY, tenant }, caller })).toMatchObject({
        status: 403,
        body: { detail: `tenant=${tenant} is none of the tenants of somebody` },
      });
    expect((await request('/recordings', { query: { ...DAY, tenant: 'acme' }, caller })).status).toBe(200);
  });

  it("is not widened by a cursor: neither by somebody else's nor by one that was made up", async () => {
    const caller = callerOf(['acme']);
    const all = await request('/recordings', { query: { ...DAY, limit: '1' }, caller: EVERYBODY });
    const rest = await request('/recordings', { query: { cursor: String(all.body.nextCursor) }, caller });
    expect((rest.body.items as { tenant: string }[]).map(({ tenant }) => tenant)).toEqual(['acme', 'acme']);
    const after = `2026-11-23T23:00:00.000Z#${idOf('globex')}`;
    const from = '2026-11-23T00:00:00.000Z';
    const to = '2026-11-24T00:00:00.000Z';
    const made = encodeCursor({ parameters: { from, to, tenant: 'globex' }, after });
    expect(await request('/recordings', { query: { cursor: made }, caller })).toMatchObject({ status: 403 });
  });

  it('is what recordings are for: without one, only the state of the deployment is left', async () => {
    const caller = callerOf([]);
    expect(await request('/recordings', { query: DAY, caller })).toMatchObject({
      status: 403,
      body: { detail: 'somebody has no tenant, and sees no recordings' },
    });
    expect((await request('/fleet', { caller })).status).toBe(200);
  });
});

describe('iamAuthenticator', () => {
  const signedBy = (userArn?: string) => {
    const event = proxyEvent('/recordings');
    return { ...event, requestContext: { ...event.requestContext, identity: { userArn } } } as typeof event;
  };
  const role = 'arn:aws:iam::111122223333:role/team/supervisors';
  const session = 'arn:aws:sts::111122223333:assumed-role/supervisors/alice';

  it('lets whoever IAM lets in do all, where no callers are listed', async () => {
    expect(await iamAuthenticator(undefined)(signedBy(session))).toEqual({
      id: session,
      tenants: 'all',
      roles: ROLES,
    });
  });

  it('gives those who are listed what the list says, also in a session of their role', async () => {
    const authenticate = iamAuthenticator([{ principal: role, tenants: ['acme'], roles: ['search'] }]);
    expect(await authenticate(signedBy(session))).toEqual({
      id: session,
      tenants: ['acme'],
      roles: ['search'],
    });
    for (const other of [
      session.replace('supervisors', 'others'),
      session.replace('111122223333', '444455556666'),
      'arn:aws:iam::111122223333:user/supervisors',
    ])
      await expect(authenticate(signedBy(other))).rejects.toMatchObject({
        status: 403,
        message: `${other} is not among api.callers of the deployment file`,
      });
  });

  it('takes nobody for somebody', async () => {
    await expect(iamAuthenticator(undefined)(signedBy())).rejects.toMatchObject({
      status: 401,
      headers: { 'www-authenticate': 'AWS4-HMAC-SHA256' },
    });
  });
});
