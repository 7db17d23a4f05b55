/** What ends a recording that nobody else ends, and what an INVITE may take when the disk does not answer. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startSipServer } from '../../../local/sip-server/server.ts';
import { RecordingLedger } from '../../../recorder-image/src/health/recording-ledger.ts';
import { MediaCapture } from '../../../recorder-image/src/media/capture.ts';
import { connectSipServer } from '../../../recorder-image/src/sip/sip-server.ts';
import { Srs } from '../../../recorder-image/src/sip/srs.ts';
import { Spool } from '../../../recorder-image/src/storage/spool.ts';
import { EMULATOR_START_TIMEOUT_MS, startTestEmulator, type TestEmulator } from '../../helpers/emulator.ts';
import { LogLines } from '../../helpers/logs.ts';
import {
  freePortRange,
  HOST,
  type LocalRecorder,
  REGION,
  SECRET,
  startTestRecorder,
} from '../../helpers/recorder.ts';
import { RecordingsBucket } from '../../helpers/recordings.ts';
import { finalOf, SDP, Src, type SrcCall } from '../../helpers/src.ts';
import { until } from '../../helpers/until.ts';

const closers: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

describe('a recording that the SRC does not end', () => {
  let emulator: TestEmulator;
  let bucket: RecordingsBucket;
  let recorder: LocalRecorder;
  let call: SrcCall;

  beforeAll(async () => {
    emulator = await startTestEmulator();
    bucket = new RecordingsBucket(emulator.s3(REGION), 'limits');
    await bucket.create();
  }, EMULATOR_START_TIMEOUT_MS);
  afterAll(() => emulator?.stop());

  async function setUp(variables: Record<string, string>): Promise<Src> {
    recorder = await startTestRecorder({ endpoint: emulator.endpoint, bucket: bucket.name, variables });
    closers.push(() => recorder.stop());
    const src = await Src.start(recorder.sipServer.sipPort);
    closers.push(() => src.close());
    return src;
  }

  it('ends after a silence, with a BYE, as a partial one', async () => {
    const src = await setUp({ SIPREC_SILENCE_SECONDS: '1' });
    call = await src.call();
    await call.start();
    await call.speak();
    expect((await call.endedByRecorder.promise).method).toBe('BYE');
    expect((await bucket.of(recorder, call)).manifest).toMatchObject({
      status: 'partial',
      statusReasons: ['the end of the call was not signalled: no RTP came any more'],
      session: { endedBy: 'silence' },
      streams: [{ packets: 50 }, { packets: 50 }],
    });
    expect((await recorder.health('/status')).body).toMatchObject({ activeRecordings: 0 });
  });

  it('ends so, too, if the SRC died before its ACK', async () => {
    const src = await setUp({ SIPREC_SILENCE_SECONDS: '1' });
    call = await src.call({ transport: 'tcp' }); // over UDP, the SIP server gives the dialog up
    await finalOf(call.send(call.invite()));
    await call.endedByRecorder.promise;
    expect((await bucket.of(recorder, call)).manifest).toMatchObject({ session: { endedBy: 'silence' } });
  });

  it('ends so, too, if the SRC never gives an address: that alone is no hold', async () => {
    const src = await setUp({ SIPREC_SILENCE_SECONDS: '1' });
    call = await src.call();
    await call.start(call.invite(call.offer().replaceAll('c=IN IP4 127.0.0.1', 'c=IN IP4 0.0.0.0')));
    await call.speak();
    await call.endedByRecorder.promise;
    expect((await bucket.of(recorder, call)).manifest).toMatchObject({ session: { endedBy: 'silence' } });
  });

  it('goes on while it is on hold, or one stream is heard', async () => {
    const src = await setUp({ SIPREC_SILENCE_SECONDS: '1', SIPREC_MAX_CALL_SECONDS: '3' });
    const [held, heard] = [await src.call(), await src.call()];
    await Promise.all([held.start(), heard.start()]);
    await held.request('INVITE', [SDP], held.offer(true));
    const talking = setInterval(() => void heard.speakers[1]?.send(1), 100);
    closers.push(() => clearInterval(talking));
    for (const running of [held, heard]) await running.endedByRecorder.promise;
    for (const running of [held, heard])
      expect((await bucket.of(recorder, running)).manifest.session.endedBy).toBe('ceiling');
  });

  it('ends at the longest time that one may take', async () => {
    const src = await setUp({ SIPREC_MAX_CALL_SECONDS: '1' });
    call = await src.call();
    await call.start();
    await call.speak();
    await call.endedByRecorder.promise;
    expect((await bucket.of(recorder, call)).manifest).toMatchObject({
      status: 'partial',
      statusReasons: ['the recorder ended the recording at the longest time that one may take'],
      session: { endedBy: 'ceiling' },
    });
  });
});

/** A recorder without the parts after the call, on a disk that answers when the test says so. */
async function onDisk(disk: { check: Promise<string[]>; begin: Promise<void> }) {
  const directory = mkdtempSync(join(tmpdir(), 'siprec-ha-spool-'));
  closers.push(() => rmSync(directory, { recursive: true }));
  const capture = await MediaCapture.start({
    workers: 1,
    address: HOST,
    portRange: await freePortRange(4),
    onWorkerExit: () => {},
  });
  closers.push(() => capture.stop());
  const spool = new Spool(directory);
  const begin = spool.begin.bind(spool);
  spool.begin = async (opened) => {
    await disk.begin;
    return begin(opened);
  };
  const logs = new LogLines();
  const srs = new Srs(
    {
      slot: 'use1-1',
      homeRegion: REGION,
      callCapacity: 10,
      sources: [{ name: 'local', networks: [`${HOST}/32`], profile: 'broadworks' }],
      limits: { silenceMs: 60_000, orphanSilenceMs: 60_000, maxCallMs: 60_000 },
    },
    {
      capture,
      spool,
      mediaAddress: HOST,
      ledger: new RecordingLedger({ slot: 'use1-1' }),
      now: () => new Date(),
      logger: logs.logger(),
      finish: () => {},
      shortages: () => disk.check,
    },
  );
  closers.push(() => srs.endAll());
  const sipServer = await startSipServer({ secret: SECRET });
  closers.push(() => sipServer.close());
  const connected = Promise.withResolvers<void>();
  const connection = connectSipServer(
    { host: HOST, port: sipServer.adminPort, secret: SECRET },
    {
      onInvite: (invitation) => void srs.onInvite(invitation),
      onRequest: (request, respond) => void srs.onRequest(request, respond),
      onConnect: () => connected.resolve(),
      onDisconnect: () => {},
      onError: connected.reject,
    },
  );
  closers.push(() => connection.disconnect());
  await connected.promise;
  const src = await Src.start(sipServer.sipPort);
  closers.push(() => src.close());
  return { src, srs, capture, directory };
}

const never = new Promise<never>(() => {});

describe('a disk that does not answer', () => {
  it('costs an INVITE less than 200 ms: 503', async () => {
    const { src, srs } = await onDisk({ check: never, begin: never });
    const times: number[] = [];
    for (let turn = 0; turn < 3; turn++) {
      const call = await src.call();
      const sentAt = performance.now();
      expect((await finalOf(call.send(call.invite()))).status).toBe(503);
      times.push(performance.now() - sentAt);
    }
    expect(Math.min(...times)).toBeLessThan(200); // the machine may be slow once
    expect((await src.request('OPTIONS')).status).toBe(503);
    expect(srs.active).toBe(0);
  });

  it('leaves no INVITE without an answer when it fails after the check, and nothing behind when it comes back', async () => {
    const begin = Promise.withResolvers<void>();
    const { src, srs, capture, directory } = await onDisk({
      check: Promise.resolve([]),
      begin: begin.promise,
    });
    const call = await src.call();
    const invite = call.invite();
    expect((await finalOf(call.send(invite))).status).toBe(503);
    expect(srs.active).toBe(0);
    begin.resolve();
    await call.start(invite);
    expect(srs.active).toBe(1);
    await until(() => readdirSync(directory).length === 1 && capture.freePorts() === 2); // without the late one
  });
});
