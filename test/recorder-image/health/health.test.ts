import { once } from 'node:events';
import { createServer } from 'node:net';
import { type LocalFacts, shortages, unhealthyReasons } from '../../../recorder-image/src/health/health.ts';
import { type HealthServer, startHealthServer } from '../../../recorder-image/src/health/health-server.ts';

const HOST = '127.0.0.1';

const WELL: LocalFacts = {
  sipServerConnected: true,
  draining: false,
  full: false,
  mediaWorkers: 1,
  mediaOverloaded: false,
  freeRtpPortPairs: 2,
  freeSpoolBytes: 64 * 1024 * 1024 + 1,
  spoolReserveBytes: 64 * 1024 * 1024,
  spoolIsFilling: false,
};

describe('reasons against new calls', () => {
  it('are none if all is well', () => {
    expect(unhealthyReasons(WELL)).toEqual([]);
    expect(shortages(WELL)).toEqual([]);
  });

  it.each<[string, Partial<LocalFacts>]>([
    ['sip-server-gone', { sipServerConnected: false }],
    ['draining', { draining: true }],
    ['full', { full: true }],
    ['spool-filling', { spoolIsFilling: true }],
  ])('%s', (reason, facts) => {
    expect(unhealthyReasons({ ...WELL, ...facts })).toEqual([reason]);
    expect(shortages({ ...WELL, ...facts })).toEqual([]);
  });

  it.each<[string, Partial<LocalFacts>]>([
    ['media-workers-gone', { mediaWorkers: 0 }],
    ['media-overloaded', { mediaOverloaded: true }],
    ['rtp-ports-short', { freeRtpPortPairs: 1 }],
    ['disk-full', { freeSpoolBytes: 64 * 1024 * 1024 }],
  ])('%s, which is a shortage', (reason, facts) => {
    expect(unhealthyReasons({ ...WELL, ...facts })).toEqual([reason]);
    expect(shortages({ ...WELL, ...facts })).toEqual([reason]);
  });

  it('are all told at once', () => {
    expect(unhealthyReasons({ ...WELL, draining: true, full: true, freeSpoolBytes: 0 })).toEqual([
      'draining',
      'full',
      'disk-full',
    ]);
  });
});

describe('the health port', () => {
  let reasons: () => Promise<string[]>;
  let server: HealthServer;
  beforeEach(async () => {
    reasons = async () => [];
    server = await startHealthServer({
      address: HOST,
      port: 0,
      reasons: () => reasons(),
      status: async () => ({ slot: 'use1-1', activeRecordings: 3 }),
    });
  });
  afterEach(() => server.close());

  async function get(path: string) {
    const response = await fetch(`http://${HOST}:${server.port}${path}`);
    expect(response.headers.get('content-type')).toBe('application/json');
    expect(response.headers.get('cache-control')).toBe('no-store');
    return { status: response.status, body: await response.json() };
  }

  it('answers 200 if there is nothing against new calls', async () => {
    expect(await get('/healthz')).toEqual({ status: 200, body: { healthy: true, reasons: [] } });
    expect((await get('/healthz?probe=1')).status).toBe(200);
  });

  it('answers 503 with the reasons', async () => {
    reasons = async () => ['draining', 'full'];
    expect(await get('/healthz')).toEqual({
      status: 503,
      body: { healthy: false, reasons: ['draining', 'full'] },
    });
  });

  it('answers 503 if it cannot tell', async () => {
    reasons = () => Promise.reject(new Error('ENOENT: no spool'));
    expect(await get('/healthz')).toEqual({
      status: 503,
      body: { healthy: false, reasons: ['ENOENT: no spool'] },
    });
  });

  it('answers /status with what is known', async () => {
    expect(await get('/status')).toEqual({ status: 200, body: { slot: 'use1-1', activeRecordings: 3 } });
  });

  it.each(['/', '//', '/healthz/', '/constructor', '/%', '/?'])('answers 404 to %s', async (path) => {
    expect(await get(path)).toEqual({ status: 404, body: { error: 'see /healthz, /status' } });
  });

  it('says which port it cannot have', async () => {
    const other = createServer().listen(0, HOST);
    await once(other, 'listening');
    const { port } = other.address() as { port: number };
    const options = { address: HOST, port, reasons, status: async () => ({}) };
    await expect(startHealthServer(options)).rejects.toThrow(
      `health port ${HOST}:${port} cannot be opened: listen EADDRINUSE`,
    );
    other.close();
    await once(other, 'close');
  });
});
