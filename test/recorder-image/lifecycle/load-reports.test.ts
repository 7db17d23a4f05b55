/** A recorder tells a real fleet table of its load; and its calls do not care how that table does. */
import {
  createFleetTable,
  EMULATOR_START_TIMEOUT_MS,
  startTestEmulator,
  type TestEmulator,
} from '../../helpers/emulator.ts';
import { type LocalRecorder, REGION, startTestRecorder } from '../../helpers/recorder.ts';
import { type S3Proxy, startS3Proxy } from '../../helpers/s3-proxy.ts';
import { Src } from '../../helpers/src.ts';
import { until } from '../../helpers/until.ts';
import { reportOf } from '../health/fleet.ts';

const TABLE = 'example-fleet';
const SLOT = 'use1-1';
const FAILING = 'load reports cannot be written; steering goes by the last one meanwhile';

let emulator: TestEmulator;
let proxy: S3Proxy;
let recorder: LocalRecorder;
let src: Src;
beforeAll(async () => {
  emulator = await startTestEmulator();
  proxy = await startS3Proxy(emulator);
  await createFleetTable(emulator.dynamo(REGION), TABLE);
}, EMULATOR_START_TIMEOUT_MS);
afterAll(async () => {
  await proxy?.close();
  await emulator?.stop();
});
beforeEach(() => {
  proxy.fault = () => undefined;
});
afterEach(async () => {
  await src.close();
  await recorder.stop();
});

async function start(callCapacity = 10): Promise<void> {
  recorder = await startTestRecorder({
    endpoint: proxy.endpoint,
    variables: { SIPREC_FLEET_TABLE: TABLE, SIPREC_CALL_CAPACITY: String(callCapacity) },
    spoolFlushMs: 0,
  });
  src = await Src.start(recorder.sipServer.sipPort);
}

const report = () => reportOf(emulator.dynamo(REGION), TABLE, SLOT);
const loadReports = async () =>
  (await recorder.health('/status')).body.loadReports as { written: number; failed: number };

it('are in the table, and follow the calls', async () => {
  await start(2);
  await until(async () => (await report())?.state === 'serving');
  const first = await report();
  expect(first).toMatchObject({
    slot: SLOT,
    region: REGION,
    reasons: [],
    activeRecordings: 0,
    callCapacity: 2,
    rtpDrops: 0,
    version: expect.stringMatching(/^\d+\.\d+\.\d+/),
  });
  expect(Math.abs(Date.parse(first?.reportedAt ?? '') - Date.now())).toBeLessThan(30_000);

  const calls = [await src.call(), await src.call()];
  for (const call of calls) await call.start();
  await until(async () => (await report())?.state === 'unhealthy'); // before five seconds have passed, or then
  expect(await report()).toMatchObject({ reasons: ['full'], activeRecordings: 2 });
  for (const call of calls) await call.bye();
  await until(async () => (await report())?.state === 'serving');
  expect(await report()).toMatchObject({ reasons: [], activeRecordings: 0 });
});

it('say at once that the recorder drains, and at its end once more', async () => {
  await start();
  await until(async () => (await report())?.state === 'serving');
  const call = await src.call();
  await call.start();
  const drained = recorder.drain(60_000);
  await until(async () => (await report())?.state === 'draining');
  expect(await report()).toMatchObject({ reasons: ['draining'], activeRecordings: 1 });
  await call.bye();
  await drained;
  expect(await report()).toMatchObject({ state: 'draining', activeRecordings: 0 });
});

it.each([
  ['hangs', { hang: true as const }],
  ['refuses', { refuseWith: 503 }],
  ['does not let it', { refuseWith: 400 }],
])('do not matter to calls when the table %s, and go on when it is back', async (_, fault) => {
  proxy.fault = ({ path }) => (path === '' ? fault : undefined);
  await start();
  await recorder.logs.find(FAILING);
  const before = performance.now();
  expect((await recorder.health('/healthz')).status).toBe(200);
  const call = await src.call();
  expect((await call.start()).status).toBe(200);
  expect(performance.now() - before).toBeLessThan(2_000);
  await call.speak(5);
  expect((await call.bye()).status).toBe(200);
  await until(async () => (await loadReports()).failed >= 2);
  proxy.fault = () => undefined;
  await recorder.logs.find('load reports are written again');
  expect(await report()).toMatchObject({ state: 'serving', stateChanged: true });
  expect(recorder.logs.lines.filter(({ msg }) => msg === FAILING)).toHaveLength(1);
});

it('do not keep a recorder from ending when the table hangs', async () => {
  await start();
  await until(async () => (await report())?.state === 'serving');
  proxy.fault = ({ path }) => (path === '' ? { hang: true } : undefined);
  await recorder.drain(0);
  await recorder.logs.find('stopped');
});

it('are not written without a table', async () => {
  recorder = await startTestRecorder();
  src = await Src.start(recorder.sipServer.sipPort);
  await recorder.logs.find(
    'SIPREC_FLEET_TABLE is not set: no load is reported, and weights stay as they are',
  );
  expect(await loadReports()).toBeUndefined();
});
