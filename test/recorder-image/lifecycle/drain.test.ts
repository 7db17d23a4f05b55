/** How a recorder ends when it is told to, and how it refuses to start. */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { header } from '../../../local/sip/message.ts';
import { EMULATOR_START_TIMEOUT_MS, startTestEmulator, type TestEmulator } from '../../helpers/emulator.ts';
import {
  HOST,
  REGION,
  type RecorderOptions,
  type RecorderProcess,
  runRecorderProcess,
  startRecorderProcess,
  startTestRecorder,
} from '../../helpers/recorder.ts';
import { audioOf, RecordingsBucket } from '../../helpers/recordings.ts';
import { startS3Proxy } from '../../helpers/s3-proxy.ts';
import { finalOf, Src } from '../../helpers/src.ts';
import { until } from '../../helpers/until.ts';

const BUCKET = 'drained';

describe('SIGTERM', () => {
  let emulator: TestEmulator;
  let bucket: RecordingsBucket;
  let recorder: RecorderProcess;
  let src: Src;

  beforeAll(async () => {
    emulator = await startTestEmulator();
    bucket = new RecordingsBucket(emulator.s3(REGION), BUCKET);
    await bucket.create();
  }, EMULATOR_START_TIMEOUT_MS);
  afterAll(() => emulator?.stop());
  afterEach(async () => {
    await src.close();
    await recorder.stop();
  });

  async function start(options: RecorderOptions = {}): Promise<void> {
    recorder = await startRecorderProcess({ endpoint: emulator.endpoint, bucket: BUCKET, ...options });
    src = await Src.start(recorder.sipServer.sipPort);
  }

  it('lets a running call go on to its BYE, takes no other, and then ends the process', async () => {
    await start();
    const call = await src.call();
    await call.start();
    await call.speak(25);
    process.kill(recorder.child.pid, 'SIGTERM');
    await recorder.logs.find('draining');
    expect(await recorder.health('/healthz')).toEqual({
      status: 503,
      body: { healthy: false, reasons: ['draining'] },
    });
    const late = await src.call();
    const refusal = await finalOf(late.send(late.invite()));
    expect([refusal.status, header(refusal, 'Retry-After')]).toEqual([503, '60']);
    process.kill(recorder.child.pid, 'SIGTERM'); // who repeats himself gets nothing faster
    await call.speak(25);
    expect((await call.bye()).status).toBe(200);
    expect(await recorder.child.exited).toEqual({ code: 0, signal: null });
    const recording = await bucket.of(recorder, call);
    expect(recording.manifest).toMatchObject({ status: 'complete', session: { endedBy: 'bye' } });
    expect(audioOf(recording, call.speakers, 1000).problems).toEqual([]);
    expect(recorder.spooled()).toEqual([]);
    expect(recorder.logs.lines.filter(({ level }) => level >= 50)).toEqual([]); // no error
  });

  it('ends a call that does not end by itself in the time that it is given', async () => {
    await start({ variables: { SIPREC_DRAIN_SECONDS: '1' } });
    const call = await src.call();
    await call.start();
    await call.speak(50);
    process.kill(recorder.child.pid, 'SIGTERM');
    expect((await call.endedByRecorder.promise).method).toBe('BYE');
    expect(await recorder.child.exited).toEqual({ code: 0, signal: null });
    expect((await bucket.of(recorder, call)).manifest).toMatchObject({
      status: 'partial',
      statusReasons: ['the recorder ended the recording before the call'],
      session: { endedBy: 'recorder' },
      streams: [{ packets: 50 }, { packets: 50 }],
    });
    expect(recorder.spooled()).toEqual([]);
  });
});

describe('a recorder that gives its spool to S3 before it ends', () => {
  it('still tells who calls to stay away, and is not cut short by another SIGTERM', async () => {
    const emulator = await startTestEmulator();
    const bucket = new RecordingsBucket(emulator.s3(REGION), BUCKET);
    await bucket.create();
    const proxy = await startS3Proxy(emulator);
    proxy.fault = ({ method }) => (method === 'PUT' ? { bytesPerTick: 2_000 } : undefined);
    const recorder = await startRecorderProcess({ endpoint: proxy.endpoint, bucket: BUCKET });
    const src = await Src.start(recorder.sipServer.sipPort);
    const call = await src.call();
    await call.start();
    await call.speak(50);
    process.kill(recorder.child.pid, 'SIGTERM');
    await recorder.logs.find('draining');
    await call.bye();
    await until(() => proxy.seen.length > 0); // on its way, and slow
    process.kill(recorder.child.pid, 'SIGTERM');
    const late = await src.call();
    for (const answer of [await finalOf(late.send(late.invite())), await src.request('OPTIONS')])
      expect([answer.status, header(answer, 'Retry-After')]).toEqual([503, '60']);
    expect((await recorder.health('/healthz')).body).toEqual({ healthy: false, reasons: ['draining'] });
    expect(await recorder.child.exited).toEqual({ code: 0, signal: null });
    expect((await bucket.of(recorder, call)).manifest).toMatchObject({ status: 'complete' });
    expect(recorder.spooled()).toEqual([]);
    await src.close();
    await recorder.stop();
    await proxy.close();
    await emulator.stop();
  });
});

describe('a drain without any time', () => {
  it('ends what runs, and refuses what is just coming', async () => {
    const recorder = await startTestRecorder();
    const src = await Src.start(recorder.sipServer.sipPort);
    const [running, coming] = [await src.call(), await src.call()];
    await running.start();
    const drained = Promise.withResolvers<void>();
    const answer = finalOf(coming.send(coming.invite(), () => recorder.drain(0).then(drained.resolve)));
    expect((await answer).status).toBe(503);
    await running.endedByRecorder.promise;
    await drained.promise;
    expect(recorder.spooled()).toHaveLength(1); // without an S3 to go to
    await src.close();
    await recorder.stop();
  });
});

describe('a recorder that cannot start', () => {
  it('names all mistakes of its environment at once', async () => {
    const { code, lines } = await runRecorderProcess({
      variables: { SIPREC_CALL_CAPACITY: 'many', SIPREC_MEDIA_ADDRESS: 'here', SIPREC_SOURCES: '{' },
    });
    expect(code).toBe(1);
    const said = lines.join('\n');
    expect(said).toContain('the environment of the recorder is not usable');
    for (const name of ['SIPREC_CALL_CAPACITY', 'SIPREC_MEDIA_ADDRESS', 'SIPREC_SOURCES'])
      expect(said).toContain(name);
  });

  it('names the health port that another program has', async () => {
    const other = createServer().listen(0, HOST);
    await once(other, 'listening');
    const { port } = other.address() as { port: number };
    const { code, lines } = await runRecorderProcess({ variables: { SIPREC_HEALTH_PORT: String(port) } });
    expect(code).toBe(1);
    expect(lines.join('\n')).toContain(`health port ${HOST}:${port} cannot be opened: listen EADDRINUSE`);
    other.close();
    await once(other, 'close');
  });

  it('names a spool that is no directory', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'siprec-ha-spool-'));
    const spool = join(folder, 'file');
    writeFileSync(spool, '');
    const { code, lines } = await runRecorderProcess({ spool });
    expect(code).toBe(1);
    expect(lines.join('\n')).toContain(spool);
    rmSync(folder, { recursive: true });
  });
});
