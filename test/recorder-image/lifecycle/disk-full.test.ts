/** A disk that fills, on a disk that really does: what runs is ended and finished, what is new is refused. */
import { appendFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EMULATOR_START_TIMEOUT_MS, startTestEmulator, type TestEmulator } from '../../helpers/emulator.ts';
import {
  type LocalRecorder,
  REGION,
  type RecorderOptions,
  startTestRecorder,
} from '../../helpers/recorder.ts';
import { audioOf, RecordingsBucket } from '../../helpers/recordings.ts';
import { mountSmallDisk, type SmallDisk, whyNoSmallDisk } from '../../helpers/small-disk.ts';
import { finalOf, Src } from '../../helpers/src.ts';
import { until } from '../../helpers/until.ts';

const MIB = 1024 * 1024;
const BUCKET = 'disk-full';

const why = whyNoSmallDisk();

(why ? describe.skip : describe)(`a spool on a small disk${why ? ` (skipped: ${why})` : ''}`, () => {
  let emulator: TestEmulator;
  let bucket: RecordingsBucket;
  let disk: SmallDisk;
  let recorder: LocalRecorder;
  let src: Src;
  const closers: (() => Promise<void> | void)[] = [];

  beforeAll(async () => {
    emulator = await startTestEmulator();
    bucket = new RecordingsBucket(emulator.s3(REGION), BUCKET);
    await bucket.create();
  }, EMULATOR_START_TIMEOUT_MS);
  afterAll(() => emulator?.stop());
  beforeEach(() => {
    disk = mountSmallDisk(8);
    closers.push(() => disk.unmount());
  });
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
  });

  async function setUp(
    reserveMb: number,
    options: RecorderOptions & Parameters<typeof startTestRecorder>[0] = {},
  ): Promise<void> {
    recorder = await startTestRecorder({
      endpoint: emulator.endpoint,
      bucket: BUCKET,
      spool: join(disk.directory, 'spool'),
      retryDelays: { firstMs: 50, lastMs: 50 },
      ...options,
      variables: { SIPREC_SPOOL_RESERVE_MB: String(reserveMb), ...options.variables },
    });
    closers.push(() => recorder.stop());
    src = await Src.start(recorder.sipServer.sipPort);
    closers.push(() => src.close());
  }

  const statusOfInvite = async () => {
    const call = await src.call();
    return (await finalOf(call.send(call.invite()))).status;
  };
  const reasons = async () => (await recorder.health('/healthz')).body.reasons;

  it('takes no call when only the reserve is left, and those that run go on', async () => {
    await setUp(4);
    const call = await src.call();
    await call.start();
    await call.speak();
    disk.leaveFree(3 * MIB);
    await until(async () => (await recorder.health('/healthz')).status === 503);
    expect(await reasons()).toEqual(['disk-full']);
    expect(await statusOfInvite()).toBe(503);
    await call.speak();
    await call.bye();
    expect((await bucket.of(recorder, call)).manifest.status).toBe('complete');
    disk.leaveFree(6 * MIB);
    await until(async () => (await recorder.health('/healthz')).status === 200);
    expect(await statusOfInvite()).toBe(200);
  });

  it('ends what runs when half of the reserve is gone, and finishes it in the other half', async () => {
    await setUp(4);
    const calls = [await src.call(), await src.call()];
    for (const call of calls) {
      await call.start();
      await call.speak();
    }
    disk.leaveFree(1.5 * MIB);
    for (const call of calls) {
      expect((await call.endedByRecorder.promise).method).toBe('BYE');
      const recording = await bucket.of(recorder, call);
      expect(recording.manifest).toMatchObject({
        status: 'partial',
        statusReasons: ['the recorder ended the recording because its disk was full'],
        session: { endedBy: 'disk-full' },
        streams: [{ packets: 50 }, { packets: 50 }],
      });
      expect(audioOf(recording, call.speakers, 1000).problems).toEqual([]);
    }
    expect((await recorder.health('/status')).body).toMatchObject({ activeRecordings: 0 });
    expect(recorder.spooled()).toEqual([]);
  });

  it('that has no room at all ends the recordings that cannot be written, and finishes them when it has', async () => {
    await setUp(0); // nothing is kept free: as if others had taken it within a second
    const [talking, silent] = [await src.call(), await src.call()];
    await talking.start();
    await silent.start();
    await talking.speak();
    const { recordingId } = await recorder.logs.find('recording started', {
      sipCallId: talking.facts.sipCallId,
    });
    const journals = ['stream-1.rtpdump', 'stream-2.rtpdump'].map((name) =>
      join(recorder.spool, recordingId as string, name),
    );
    await until(() => journals.every((journal) => sizeOf(journal) > 50 * 180));
    disk.leaveFree(0);
    await talking.speak(200);
    expect((await talking.endedByRecorder.promise).method).toBe('BYE');
    await recorder.logs.find('recording not finished; it stays in the spool', { tries: 3 });
    expect(await statusOfInvite()).toBe(503);
    await until(async () => (await recorder.health('/healthz')).status === 503);
    expect(await reasons()).toEqual(['disk-full']);
    expect((await recorder.health('/status')).body).toMatchObject({
      activeRecordings: 1, // the other has nothing to write
      spool: { pending: 1, freeBytes: 0, unusable: 0 },
    });

    disk.leaveFree(6 * MIB);
    const { manifest } = await bucket.of(recorder, talking);
    expect(manifest).toMatchObject({ status: 'partial', session: { endedBy: 'disk-full' } });
    expect(manifest.statusReasons).toEqual(
      expect.arrayContaining([
        'the recorder ended the recording because its disk was full',
        expect.stringMatching(/^stream [12] could not be written to its end: ENOSPC/),
      ]),
    );
    for (const { packets } of manifest.streams) expect(packets).toBeGreaterThanOrEqual(50);
    await silent.speak();
    await silent.bye();
    expect((await bucket.of(recorder, silent)).manifest.status).toBe('complete');
    expect(recorder.spooled()).toEqual([]);
  });

  it('that is full when a call ends keeps how it ended', async () => {
    await setUp(0);
    const call = await src.call();
    await call.start();
    await call.speak();
    const { recordingId } = await recorder.logs.find('recording started');
    const directory = join(recorder.spool, recordingId as string);
    await until(() => sizeOf(join(directory, 'stream-2.rtpdump')) > 50 * 180);
    await until(() => sizeOf(join(directory, 'stream-1.rtpdump')) > 50 * 180);
    fillTails(directory);
    disk.leaveFree(0);
    await call.bye();
    await recorder.logs.find('end not written down');
    await recorder.logs.find('recording not finished; it stays in the spool', { tries: 2 });
    disk.leaveFree(6 * MIB);
    expect((await bucket.of(recorder, call)).manifest).toMatchObject({
      status: 'complete',
      session: { endedBy: 'bye' },
      streams: [{ packets: 50 }, { packets: 50 }],
    });
  });

  it('turns unhealthy with time to spare, and takes the calls that still come', async () => {
    const forecast = { windowMs: 3_000, minSpanMs: 1_000, minFallBytes: 64 * 1024 };
    await setUp(1, { forecast });
    let grown = 0;
    const growing = setInterval(() => {
      writeFileSync(join(disk.directory, `grows-${grown++}`), Buffer.alloc(40 * 1024));
    }, 100);
    closers.push(() => clearInterval(growing));
    await until(async () => (await recorder.health('/healthz')).status === 503);
    expect(await reasons()).toEqual(['spool-filling']);
    const { spool } = (await recorder.health('/status')).body as { spool: { secondsUntilFull: number } };
    expect(spool.secondsUntilFull).toBeGreaterThan(0);
    expect(spool.secondsUntilFull).toBeLessThan(60);
    expect(await statusOfInvite()).toBe(200);
    clearInterval(growing);
    await until(async () => (await recorder.health('/healthz')).status === 200);
    expect((await recorder.health('/status')).body).toMatchObject({ spool: { secondsUntilFull: null } });
  });
});

const sizeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;

/** Files grow by pages: what is left of the last one of the session record takes events on a full disk too. */
function fillTails(directory: string): void {
  const record = join(directory, 'session.jsonl');
  const left = 4096 - (sizeOf(record) % 4096);
  const warning = (detail: string) =>
    `${JSON.stringify({ type: 'warning', at: new Date().toISOString(), code: 'example', detail })}\n`;
  appendFileSync(record, warning('x'.repeat(left + 4096 - warning('').length)));
}
