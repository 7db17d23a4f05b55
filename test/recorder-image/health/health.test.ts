import { once } from 'node:events';
import { createServer } from 'node:net';
import type { SlotState } from '../../../core/fleet.ts';
import {
  judge,
  type LocalFacts,
  type Memory,
  REASONS,
  type Resources,
  reasonsIn,
  shortages,
  slotState,
} from '../../../recorder-image/src/health/health.ts';
import { type HealthServer, startHealthServer } from '../../../recorder-image/src/health/health-server.ts';
import { HealthWatch, type Verdict } from '../../../recorder-image/src/health/health-watch.ts';

const HOST = '127.0.0.1';
const MIB = 1024 * 1024;

const RESOURCES: Resources = {
  mediaWorkers: 1,
  mediaOverloaded: false,
  freeRtpPortPairs: 200,
  freeSpoolBytes: 1000 * MIB,
  spoolReserveBytes: 100 * MIB,
};
const WELL: LocalFacts = {
  ...RESOURCES,
  sipServerConnected: true,
  draining: false,
  regionClosed: false,
  activeRecordings: 0,
  callCapacity: 100,
  rtpPortPairs: 200,
  spoolIsFilling: false,
  loopDelayMs: 1,
  maxLoopDelayMs: 500,
};

/** The reasons after each of these facts, a second apart. */
function reasonsOver(...course: Partial<LocalFacts>[]): string[] {
  let memory: Memory = new Map();
  return course.map((facts, second) => {
    memory = judge(memory, { ...WELL, ...facts }, second * 1000);
    return reasonsIn(memory).join();
  });
}

const { freeSpoolBytes: _, ...SILENT_DISK } = WELL;

describe('reasons against new calls', () => {
  it('are none if all is well', () => {
    expect(reasonsOver({})).toEqual(['']);
    expect(shortages(RESOURCES)).toEqual([]);
  });

  it.each<[string, Partial<LocalFacts>]>([
    ['sip-server-gone', { sipServerConnected: false }],
    ['draining', { draining: true }],
    ['region-closed', { regionClosed: true }],
    ['full', { activeRecordings: 100 }],
    ['full', { activeRecordings: 101 }], // a predecessor's recordings can be more
    ['spool-filling', { spoolIsFilling: true }],
    ['media-workers-gone', { mediaWorkers: 0 }],
    ['media-overloaded', { mediaOverloaded: true }],
    ['rtp-ports-short', { freeRtpPortPairs: 1 }],
    ['disk-full', { freeSpoolBytes: 100 * MIB }],
  ])('%s, at once', (reason, facts) => {
    expect(reasonsOver({}, facts)).toEqual(['', reason]);
    expect(REASONS).toContain(reason);
  });

  it('disk-unusable, if the disk does not say what is free', () => {
    expect(reasonsIn(judge(new Map(), SILENT_DISK, 0))).toEqual(['disk-unusable']);
  });

  it('are all told at once', () => {
    expect(reasonsOver({ draining: true, activeRecordings: 100, freeSpoolBytes: 0 })).toEqual([
      'draining,full,disk-full',
    ]);
  });

  it.each<[string, Partial<LocalFacts>[], string[]]>([
    [
      'full, until one call fits: who stays away fills the others',
      [100, 101, 100, 99, 100].map((activeRecordings) => ({ activeRecordings })),
      ['full', 'full', 'full', '', 'full'],
    ],
    [
      'RTP ports, until a twentieth is free',
      [1, 2, 9, 10, 2, 1].map((freeRtpPortPairs) => ({ freeRtpPortPairs })),
      ['rtp-ports-short', 'rtp-ports-short', 'rtp-ports-short', '', '', 'rtp-ports-short'],
    ],
    [
      'RTP ports, of few',
      [0, 1, 2].map((freeRtpPortPairs) => ({ freeRtpPortPairs, rtpPortPairs: 2 })),
      ['rtp-ports-short', 'rtp-ports-short', ''],
    ],
    [
      'a full disk, until there is a tenth more than the reserve',
      [100, 101, 110, 111, 101].map((mib) => ({ freeSpoolBytes: mib * MIB })),
      ['disk-full', 'disk-full', 'disk-full', '', ''],
    ],
    [
      'a full disk without a reserve',
      [0, 1].map((freeSpoolBytes) => ({ freeSpoolBytes, spoolReserveBytes: 0 })),
      ['disk-full', ''],
    ],
    [
      'draining and a closed region, which begin and end at once',
      [{ draining: true, regionClosed: true }, {}, { regionClosed: true }, {}],
      ['draining,region-closed', '', 'region-closed', ''],
    ],
    [
      'a SIP server that comes and goes',
      [false, true, false, true].map((sipServerConnected) => ({ sipServerConnected })),
      ['sip-server-gone', '', 'sip-server-gone', ''],
    ],
  ])('do not flap: %s', (_what, course, reasons) => {
    expect(reasonsOver(...course)).toEqual(reasons);
  });

  describe('by the event loop', () => {
    const delays = (...ms: number[]) => reasonsOver(...ms.map((loopDelayMs) => ({ loopDelayMs })));
    const [well, bad] = ['', 'event-loop-delay'];

    it('begin when it was late for three seconds', () => {
      expect(delays(501, 501, 501, 501)).toEqual([well, well, well, bad]);
    });

    it('do not begin by single late turns', () => {
      expect(delays(900, 1, 900, 900, 500, 900, 900, 1)).toEqual(Array(8).fill(well));
    });

    it('end when it was well in time for ten seconds', () => {
      const calm = Array(11).fill(250);
      expect(delays(...Array(4).fill(900), ...calm)).toEqual([
        well,
        well,
        well,
        ...Array(11).fill(bad),
        well,
      ]);
      // In between it is neither: it begins to count anew.
      expect(delays(...Array(4).fill(900), ...Array(9).fill(1), 400, ...Array(10).fill(1)).at(-1)).toBe(bad);
    });
  });
});

it.each<[SlotState, string[]]>([
  ['serving', []],
  ['unhealthy', ['full']],
  ['unhealthy', ['sip-server-gone', 'disk-full']],
  ['closed', ['sip-server-gone', 'region-closed']],
  ['draining', ['draining', 'region-closed', 'full']],
])('a slot is %s with the reasons %j', (state, reasons) => {
  expect(slotState(reasons)).toBe(state);
});

describe('what decides over one INVITE', () => {
  it.each<[string, Partial<Resources>]>([
    ['media-workers-gone', { mediaWorkers: 0 }],
    ['media-overloaded', { mediaOverloaded: true }],
    ['rtp-ports-short', { freeRtpPortPairs: 1 }],
    ['disk-full', { freeSpoolBytes: 100 * MIB }],
  ])('is %s, at this moment', (reason, resources) => {
    expect(shortages({ ...RESOURCES, ...resources })).toEqual([reason]);
    expect(REASONS).toContain(reason);
  });

  it('is not softened', () => {
    expect(shortages({ ...RESOURCES, freeRtpPortPairs: 2, freeSpoolBytes: 100 * MIB + 1 })).toEqual([]);
  });
});

describe('the watch', () => {
  it('tells of the first verdict, and of every other one once', async () => {
    let facts = WELL;
    let atMs = 0;
    const told: Pick<Verdict, 'state' | 'reasons'>[] = [];
    const watch = new HealthWatch(
      async () => facts,
      ({ state, reasons }) => told.push({ state, reasons }),
      () => atMs,
    );
    const look = (more: Partial<LocalFacts>) => {
      facts = { ...WELL, ...more };
      atMs += 1000;
      return watch.look();
    };
    expect(await look({})).toEqual({ state: 'serving', reasons: [], facts });
    await look({});
    await look({ activeRecordings: 100 });
    await look({ activeRecordings: 101 });
    await look({ activeRecordings: 100, draining: true });
    await look({ activeRecordings: 7, draining: true });
    expect(told).toEqual([
      { state: 'serving', reasons: [] },
      { state: 'unhealthy', reasons: ['full'] },
      { state: 'draining', reasons: ['draining', 'full'] },
      { state: 'draining', reasons: ['draining'] },
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
      metrics: async () => '# metrics\n',
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

  it('answers /metrics as Prometheus reads it', async () => {
    const response = await fetch(`http://${HOST}:${server.port}/metrics`);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(await response.text()).toBe('# metrics\n');
  });

  it.each(['/', '//', '/healthz/', '/constructor', '/%', '/?'])('answers 404 to %s', async (path) => {
    expect(await get(path)).toEqual({ status: 404, body: { error: 'see /healthz, /status, /metrics' } });
  });

  it('says which port it cannot have', async () => {
    const other = createServer().listen(0, HOST);
    await once(other, 'listening');
    const { port } = other.address() as { port: number };
    const options = { address: HOST, port, reasons, status: async () => ({}), metrics: async () => '' };
    await expect(startHealthServer(options)).rejects.toThrow(
      `health port ${HOST}:${port} cannot be opened: listen EADDRINUSE`,
    );
    other.close();
    await once(other, 'close');
  });
});
