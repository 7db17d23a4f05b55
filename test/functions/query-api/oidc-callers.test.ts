/** Tokens of an OpenID provider on loopback, and what becomes of them when it is not there. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT, UnsecuredJWT } from 'jose';
import type { OidcAuth } from '../../../core/api-auth.ts';
import { IssuerKeys } from '../../../functions/query-api/issuer-keys.ts';
import { oidcAuthenticator } from '../../../functions/query-api/oidc-callers.ts';
import {
  createIndexTable,
  EMULATOR_START_TIMEOUT_MS,
  startTestEmulator,
  type TestEmulator,
} from '../../helpers/emulator.ts';
import { proxyEvent, SILENT } from './ask.ts';

const REGION = 'us-east-1';
const HOUR_MS = 3_600_000;

interface SigningKey {
  alg: string;
  kid: string;
  privateKey: Awaited<ReturnType<typeof generateKeyPair>>['privateKey'];
  jwk: JWK;
}

async function makeKey(kid: string, alg: string): Promise<SigningKey> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  return { alg, kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } };
}

let emulator: TestEmulator;
let provider: Server;
let issuer: string;
let keys: SigningKey[];
let published: JWK[];
let isDown = false;
let fetches = 0;
let now = Date.now();
let tables = 0;

beforeAll(async () => {
  emulator = await startTestEmulator();
  keys = await Promise.all([
    makeKey('rsa', 'RS256'),
    makeKey('ec', 'ES256'),
    makeKey('ed', 'EdDSA'),
    makeKey('new', 'ES256'),
  ]);
  provider = createServer((request, response) => {
    if (isDown) {
      response.writeHead(500).end();
      return;
    }
    const isKeys = request.url === '/realm/keys';
    if (isKeys) fetches += 1;
    const body = isKeys ? { keys: published } : { issuer, jwks_uri: `${issuer}/keys` };
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  }).listen(0, '127.0.0.1');
  await once(provider, 'listening');
  issuer = `http://127.0.0.1:${(provider.address() as AddressInfo).port}/realm`;
}, EMULATOR_START_TIMEOUT_MS);
afterAll(async () => {
  provider.closeAllConnections();
  provider.close();
  await emulator.stop();
});

let tableName: string;
beforeEach(async () => {
  tables += 1;
  tableName = `index-${tables}`;
  await createIndexTable(emulator.dynamo(REGION), tableName);
  published = keys.slice(0, 3).map(({ jwk }) => jwk);
  isDown = false;
  fetches = 0;
  now = Date.now();
});

const oidc = (): OidcAuth => ({
  issuer,
  audience: 'siprec',
  tenantClaim: 'tenants',
  roleClaim: 'realm_access.roles',
});

/** As a function that starts. */
const start = (options: Partial<OidcAuth> = {}) => {
  const index = { table: emulator.documents(REGION), tableName };
  const issuerKeys = new IssuerKeys({ issuer, index, region: REGION, logger: SILENT, clock: () => now });
  const authenticate = oidcAuthenticator({ ...oidc(), ...options }, issuerKeys);
  return (authorization?: string) =>
    authenticate(proxyEvent('/recordings', { headers: authorization ? { authorization } : {} }));
};

interface TokenOptions {
  key?: SigningKey;
  claims?: JWTPayload;
  expiresIn?: number;
  notBefore?: number;
  header?: object;
}

async function token({ key = keys[0], claims = {}, expiresIn = 600, notBefore, header }: TokenOptions = {}) {
  const { alg, kid, privateKey } = key as SigningKey;
  const seconds = Math.floor(Date.now() / 1000);
  const jwt = new SignJWT({
    iss: issuer,
    aud: 'siprec',
    sub: 'alice',
    tenants: 'acme',
    realm_access: { roles: ['search'] },
    exp: seconds + expiresIn,
    ...(notBefore && { nbf: seconds + notBefore }),
    ...claims,
  }).setProtectedHeader({ alg, kid, ...header });
  return `Bearer ${await jwt.sign(privateKey)}`;
}

describe('a token', () => {
  it('says who calls, of which tenants, with which roles, by any key of the provider', async () => {
    const authenticate = start();
    for (const key of keys.slice(0, 3))
      expect(await authenticate(await token({ key }))).toEqual({
        id: `${issuer}#alice`,
        tenants: ['acme'],
        roles: ['search'],
      });
    expect(fetches).toBe(1);
  });

  it.each<[string, JWTPayload, Partial<OidcAuth>, object]>([
    ['a list of tenants', { tenants: ['acme', 'globex', 7, ''] }, {}, { tenants: ['acme', 'globex'] }],
    ['no tenant', { tenants: undefined }, {}, { tenants: [] }],
    ['a star that means nothing', { tenants: '*' }, {}, { tenants: ['*'] }],
    ['a star that means all', { tenants: ['*'] }, { allTenants: '*' }, { tenants: 'all' }],
    [
      'a claim with dots',
      { 'https://example.com/t': 'x' },
      { tenantClaim: 'https://example.com/t' },
      { tenants: ['x'] },
    ],
    [
      'roles as text',
      { scope: 'openid listen search' },
      { roleClaim: 'scope' },
      { roles: ['search', 'listen'] },
    ],
    ['roles that are none', { groups: ['root', 'constructor'] }, { roleClaim: 'groups' }, { roles: [] }],
    [
      'roles that the deployment file maps',
      { groups: ['boss', 'search'] },
      { roleClaim: 'groups', roles: { boss: ['listen', 'hold'] } },
      { roles: ['listen', 'hold'] },
    ],
    [
      'names of every object',
      { groups: ['toString', '__proto__'] },
      { roleClaim: 'groups', roles: {} },
      { roles: [] },
    ],
    ['no such path', {}, { roleClaim: 'realm_access.x.y' }, { roles: [] }],
  ])('may have %s', async (_, claims, options, expected) => {
    expect(await start(options)(await token({ claims }))).toMatchObject(expected);
  });

  const unsecured = () =>
    `Bearer ${new UnsecuredJWT({ tenants: 'acme' }).setIssuer(issuer).setAudience('siprec').setSubject('x').setExpirationTime('1h').encode()}`;
  const symmetric = async () => {
    const secret = new TextEncoder().encode(JSON.stringify(published[0]));
    const jwt = new SignJWT({ iss: issuer, aud: 'siprec', sub: 'x', exp: Date.now() });
    return `Bearer ${await jwt.setProtectedHeader({ alg: 'HS256', kid: 'rsa' }).sign(secret)}`;
  };

  it.each<[string, () => string | Promise<string>, RegExp]>([
    ['expired', () => token({ expiresIn: -31 }), /has expired/],
    ['not valid yet', () => token({ notBefore: 40 }), /nbf/],
    ['another audience', () => token({ claims: { aud: 'other' } }), /aud/],
    ['another issuer', () => token({ claims: { iss: 'https://id.example.com' } }), /iss/],
    ['no end', () => token({ claims: { exp: undefined } }), /exp/],
    ['no subject', () => token({ claims: { sub: undefined } }), /sub/],
    ['no signature', unsecured, /another algorithm|cannot be read/],
    ['the public key as secret', symmetric, /another algorithm/],
    ['a key that nobody knows', () => token({ key: keys[3] as SigningKey }), /none of the keys/],
    [
      'a key of another kind',
      () => token({ key: { ...(keys[1] as SigningKey), kid: 'rsa' } }),
      /none of the keys/,
    ],
    ['a wrong signature', async () => `${(await token()).slice(0, -8)}AAAAAAAA`, /signature|cannot be read/],
    ['rubbish', () => 'Bearer x.y.z', /cannot be read/],
  ])('with %s is refused', async (_, make, why) => {
    await expect(start()(await make())).rejects.toMatchObject({
      status: 401,
      message: expect.stringMatching(why),
      headers: { 'www-authenticate': 'Bearer realm="siprec-ha", error="invalid_token"' },
    });
  });

  it('may be half a minute off', async () => {
    expect(await start()(await token({ expiresIn: -25 }))).toMatchObject({ roles: ['search'] });
    expect(await start()(await token({ notBefore: 25 }))).toMatchObject({ roles: ['search'] });
  });

  it.each([undefined, 'Basic YTpi', 'Bearer', 'Bearer a b'])('must be there: %s is none', async (header) => {
    await expect(start()(header)).rejects.toMatchObject({
      status: 401,
      headers: { 'www-authenticate': 'Bearer realm="siprec-ha"' },
    });
  });
});

describe('keys', () => {
  it('are used on, old as they are, while the provider does not answer', async () => {
    const authenticate = start();
    await authenticate(await token());
    isDown = true;
    now += 48 * HOUR_MS;
    expect(await authenticate(await token())).toMatchObject({ roles: ['search'] });
  });

  it('outlive the function: another one starts while the provider does not answer', async () => {
    await start()(await token());
    isDown = true;
    now += 48 * HOUR_MS;
    expect(await start()(await token())).toMatchObject({ roles: ['search'] });
    expect(await start()(await token({ key: keys[1] as SigningKey }))).toMatchObject({ roles: ['search'] });
  });

  it('are not fetched by a function that starts soon after another', async () => {
    await start()(await token());
    await start()(await token());
    expect(fetches).toBe(1);
    now += 2 * HOUR_MS;
    await start()(await token());
    expect(fetches).toBe(2);
  });

  it('are fetched again for a token of an unknown key, and no more often than every half minute', async () => {
    const authenticate = start();
    await authenticate(await token());
    now += 31_000;
    published = keys.map(({ jwk }) => jwk);
    const fresh = await token({ key: keys[3] as SigningKey });
    expect(await authenticate(fresh)).toMatchObject({ roles: ['search'] });
    expect(fetches).toBe(2);
    const unknown = await token({ header: { kid: 'unknown' } });
    for (let attempt = 0; attempt < 20; attempt += 1)
      await expect(authenticate(unknown)).rejects.toMatchObject({ status: 401 });
    expect(fetches).toBe(2);
    now += 31_000;
    await Promise.all(
      Array.from({ length: 20 }, () => expect(authenticate(unknown)).rejects.toMatchObject({ status: 401 })),
    );
    expect(fetches).toBe(3);
  });

  it('that were withdrawn are refused within the hour', async () => {
    const authenticate = start();
    await authenticate(await token());
    published = keys.slice(1).map(({ jwk }) => jwk);
    now += HOUR_MS + 1;
    await expect(authenticate(await token())).rejects.toMatchObject({ status: 401 });
  });

  it('that never were there are no fault of the caller', async () => {
    isDown = true;
    await expect(start()(await token())).rejects.toMatchObject({ status: 503 });
    isDown = false;
    published = [];
    await expect(start()(await token())).rejects.toMatchObject({ status: 503 });
  });
});
