/** From the spool to S3, whatever the spool holds. */
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { S3Client } from '@aws-sdk/client-s3';
import { finishRecording } from '../../../recorder-image/src/storage/finish.ts';
import { Finisher, type Outcome } from '../../../recorder-image/src/storage/finisher.ts';
import type { SessionEvent } from '../../../recorder-image/src/storage/session-record.ts';
import type { UploadTarget } from '../../../recorder-image/src/storage/uploader.ts';
import { sdpFixture } from '../../fixtures/load.ts';
import { EMULATOR_START_TIMEOUT_MS, startTestEmulator, type TestEmulator } from '../../helpers/emulator.ts';
import { LogLines } from '../../helpers/logs.ts';
import { openFilesIn } from '../../helpers/open-files.ts';
import { NO_ENDPOINT, REGION } from '../../helpers/recorder.ts';
import { RecordingsBucket } from '../../helpers/recordings.ts';
import { type S3Proxy, startS3Proxy } from '../../helpers/s3-proxy.ts';
import { until } from '../../helpers/until.ts';
import { EPOCH_MS, talk, writeJournal } from '../media/support.ts';
import { AT, CLOSED, leaveRecording, useSpool } from './support.ts';

const VERSION = '0.0.0-test';

let emulator: TestEmulator;
let bucket: RecordingsBucket;
let target: UploadTarget;
beforeAll(async () => {
  emulator = await startTestEmulator();
  bucket = new RecordingsBucket(emulator.s3(REGION), 'finished');
  await bucket.create();
  target = { s3: bucket.s3, bucket: bucket.name };
}, EMULATOR_START_TIMEOUT_MS);
afterAll(() => emulator?.stop());

const used = useSpool();

/** An S3 that is down. */
const nowhere = (): UploadTarget => ({
  s3: new S3Client({
    endpoint: NO_ENDPOINT,
    region: REGION,
    credentials: emulator.credentials,
    forcePathStyle: true,
    logger: { debug() {}, info() {}, warn() {}, error() {} },
  }),
  bucket: 'nowhere',
});

const finish = (directory: string) => finishRecording(directory, { target, recorderVersion: VERSION });

describe('a recording', () => {
  it('that ended is complete', async () => {
    const { id, directory } = await leaveRecording(used.spool);
    const manifest = await finish(directory);
    const stored = await bucket.read(id);
    expect(stored.manifest).toEqual(manifest);
    expect(manifest).toMatchObject({
      status: 'complete',
      recorderVersion: VERSION,
      audio: { durationMs: 1000, channels: 2 },
      session: { endedBy: 'bye' },
    });
    expect(existsSync(directory)).toBe(false);
  });

  it('without its end is recovered', async () => {
    const { id, directory } = await leaveRecording(used.spool, [{ type: 'answered', at: AT }]);
    await finish(directory);
    expect((await bucket.read(id)).manifest).toMatchObject({
      status: 'recovered',
      statusReasons: [expect.stringContaining('the last second may be missing')],
      session: { endedBy: 'crash' },
      endedAt: '2026-01-05T12:00:00.980Z', // its last packet
    });
  });

  it('whose last event is cut off is recovered', async () => {
    const { id, directory } = await leaveRecording(used.spool, [{ type: 'answered', at: AT }]);
    appendFileSync(join(directory, 'session.jsonl'), JSON.stringify(CLOSED).slice(0, 30));
    await finish(directory);
    expect((await bucket.read(id)).manifest).toMatchObject({
      status: 'recovered',
      statusReasons: [expect.any(String), '1 unreadable lines in the session record'],
    });
  });

  it('with a journal that is cut off tells so', async () => {
    const { id, directory } = await leaveRecording(used.spool);
    const journal = join(directory, 'stream-2.rtpdump');
    truncateSync(journal, readFileSync(journal).length - 10);
    await finish(directory);
    expect((await bucket.read(id)).manifest).toMatchObject({
      status: 'partial',
      statusReasons: ['the journal of stream 2 is cut off, 170 bytes of it cannot be read'],
      streams: [{ packets: 50 }, { packets: 49 }],
    });
  });

  it('with a journal of no bytes keeps the other', async () => {
    const { id, directory } = await leaveRecording(used.spool, [{ type: 'answered', at: AT }]);
    truncateSync(join(directory, 'stream-1.rtpdump'));
    await finish(directory);
    expect((await bucket.read(id)).manifest).toMatchObject({
      status: 'recovered',
      audio: { durationMs: 1000, channels: 2 },
      streams: [{ packets: 0 }, { packets: 50 }],
    });
  });

  it('whose recorder died and whose media went on is recovered, and says what is missing', async () => {
    const { id, directory } = await leaveRecording(used.spool, [
      { type: 'answered', at: AT },
      { ...CLOSED, endedBy: 'crash' },
    ]);
    reopened(directory, 'stream-1.2.rtpdump');
    await finish(directory);
    expect((await bucket.read(id)).manifest).toMatchObject({
      status: 'recovered',
      statusReasons: [
        expect.stringContaining('the dialog was lost with the recorder that died'),
        '1000 ms of stream 1 missing by a crash: nobody listened',
      ],
      session: { endedBy: 'crash' },
      streams: [{ packets: 100, gaps: [{ fromMs: 1000, toMs: 2000, cause: 'crash' }] }, { packets: 50 }],
    });
  });

  it('a worker of which died is partial', async () => {
    const { id, directory } = await leaveRecording(used.spool);
    reopened(directory, 'stream-1.2.rtpdump');
    await finish(directory);
    expect((await bucket.read(id)).manifest).toMatchObject({
      status: 'partial',
      statusReasons: ['1000 ms of stream 1 missing by a crash: nobody listened'],
    });
  });

  it('whose packets the kernel dropped is partial', async () => {
    const drops = [{ fromMs: EPOCH_MS + 100, toMs: EPOCH_MS + 600, packets: 9 }];
    const { id, directory } = await leaveRecording(used.spool, [
      { type: 'answered', at: AT },
      { ...CLOSED, counters: { 'stream-1.rtpdump': { foreignPackets: 0, malformedPackets: 0, drops } } },
    ]);
    rmSync(join(directory, 'stream-1.rtpdump'));
    const sent = talk({ seed: 0, packets: 50 });
    writeJournal(join(directory, 'stream-1.rtpdump'), [
      ...sent.slice(0, 10),
      ...sent.slice(15, 45),
      ...sent.slice(47),
    ]);
    await finish(directory);
    expect((await bucket.read(id)).manifest).toMatchObject({
      status: 'partial',
      statusReasons: [
        expect.stringMatching(/^7 packets of stream 1 dropped by the kernel.*: 100 ms missing/),
      ],
      streams: [
        {
          lostPackets: 7,
          droppedPackets: 7,
          gaps: [
            { fromMs: 200, toMs: 300, cause: 'dropped' },
            { fromMs: 900, toMs: 940, cause: 'lost' },
          ],
        },
        { packets: 50 },
      ],
    });
  });

  it('is complete where a stream was on hold', async () => {
    const at = (ms: number) => new Date(EPOCH_MS + ms).toISOString();
    const sdp = sdpFixture('broadworks-dual');
    const { id, directory } = await leaveRecording(used.spool, [
      { type: 'answered', at: AT },
      { type: 'offer', at: at(1000), sdp: sdp.replaceAll('a=sendonly', 'a=inactive') },
      { type: 'offer', at: at(9000), sdp },
      { ...CLOSED, at: at(10_000) },
    ] as SessionEvent[]);
    for (const [mLine, journal] of ['stream-1.rtpdump', 'stream-2.rtpdump'].entries()) {
      rmSync(join(directory, journal));
      writeJournal(join(directory, journal), [
        ...talk({ seed: mLine, packets: 50 }),
        ...talk({ seed: mLine, packets: 50, atMs: 9000, sequence: 51, timestamp: 72_000 }),
      ]);
    }
    await finish(directory);
    expect((await bucket.read(id)).manifest).toMatchObject({
      status: 'complete',
      statusReasons: [],
      streams: [
        { gaps: [{ fromMs: 1000, toMs: 9000, cause: 'hold' }] },
        { gaps: [{ fromMs: 1000, toMs: 9000, cause: 'hold' }] },
      ],
    });
  });

  it('with a journal that is spoiled in the middle keeps the journal too', async () => {
    const { id, directory } = await leaveRecording(used.spool);
    const path = join(directory, 'stream-2.rtpdump');
    const journal = readFileSync(path);
    journal.fill(0, 45 + 20 * 180, 45 + 22 * 180);
    writeFileSync(path, journal);
    await finish(directory);
    const stored = await bucket.read(id);
    expect(stored.manifest).toMatchObject({
      status: 'partial',
      statusReasons: [
        '2 packets lost on stream 2',
        'stream 2 is not all in the audio: its journal is spoiled: 40 ms missing in gaps over 20 ms',
        'the journal of stream 2 is spoiled, 360 bytes of it cannot be read',
      ],
    });
    expect(stored.manifest.files).toContainEqual(
      expect.objectContaining({ name: 'stream-2.rtpdump', role: 'journal', bytes: journal.length }),
    );
  });

  it('without one of its journals tells so', async () => {
    const { id, directory } = await leaveRecording(used.spool);
    rmSync(join(directory, 'stream-2.rtpdump'));
    await finish(directory);
    expect((await bucket.read(id)).manifest).toMatchObject({
      status: 'partial',
      statusReasons: ['the journal of stream 2 is not there: stream-2.rtpdump'],
      streams: [{ label: '1' }],
    });
  });

  it('that was never answered and has no packet was none', async () => {
    const { directory } = await leaveRecording(used.spool, [], 0);
    const keys = await bucket.keys();
    expect(await finish(directory)).toBeUndefined();
    expect(existsSync(directory)).toBe(false);
    expect(await bucket.keys()).toEqual(keys);
  });

  it('that has packets is kept, answered or not', async () => {
    const { id, directory } = await leaveRecording(used.spool, []);
    await finish(directory);
    expect((await bucket.read(id)).manifest.status).toBe('recovered');
  });

  it('that is described already is only uploaded', async () => {
    const { id, directory } = await leaveRecording(used.spool);
    const down = nowhere();
    await expect(finishRecording(directory, { target: down, recorderVersion: VERSION })).rejects.toThrow();
    down.s3.destroy();
    const described = readFileSync(join(directory, 'manifest.json'), 'utf8');
    for (const file of readdirSync(directory)) if (file.endsWith('.rtpdump')) rmSync(join(directory, file));
    await finish(directory);
    expect((await bucket.read(id)).manifest).toEqual(JSON.parse(described));
  });

  it('whose file has changed on the disk is refused, and described anew', async () => {
    const { id, directory } = await leaveRecording(used.spool);
    const down = nowhere();
    await expect(finishRecording(directory, { target: down, recorderVersion: VERSION })).rejects.toThrow();
    down.s3.destroy();
    appendFileSync(join(directory, 'audio.wav'), 'rubbish');
    await expect(finish(directory)).rejects.toThrow('audio.wav has changed since its manifest was written');
    await finish(directory);
    expect((await bucket.read(id)).manifest.status).toBe('complete');
  });

  it('that is in S3 already, because a crash came before it left the spool, is the same again', async () => {
    const { id, directory } = await leaveRecording(used.spool);
    const down = nowhere();
    await expect(finishRecording(directory, { target: down, recorderVersion: VERSION })).rejects.toThrow();
    down.s3.destroy();
    const left = join(used.spool.directory, 'left');
    cpSync(directory, left, { recursive: true });
    await finish(directory);
    const { manifest } = await bucket.read(id);
    cpSync(left, directory, { recursive: true });
    await finish(directory);
    expect((await bucket.read(id)).manifest).toEqual(manifest);
    expect(existsSync(directory)).toBe(false);
  });

  it('that was half removed when the power went is no recording any more', async () => {
    const { directory } = await leaveRecording(used.spool);
    const removed: string[] = [];
    const watched = watch(used.spool.directory, (_event, name) => name && removed.push(name));
    await finish(directory);
    await until(() => removed.some((name) => name.startsWith(`${basename(directory)}.`)));
    watched.close();
    // What such a directory holds at any time of its removal:
    const half = join(used.spool.directory, removed.find((name) => name.includes('.')) as string);
    mkdirSync(half);
    writeFileSync(join(half, 'session.jsonl'), '');
    expect(await used.spool.entries()).toEqual([]);
    await used.spool.sweep();
    expect(readdirSync(used.spool.directory)).toEqual([]);
  });

  it.each([
    ['of another version', '{"manifestVersion":99}'],
    ['that is no JSON', '{'],
  ])('with a manifest %s is described anew', async (_what, text) => {
    const { id, directory } = await leaveRecording(used.spool);
    writeFileSync(join(directory, 'manifest.json'), text);
    await finish(directory);
    expect((await bucket.read(id)).manifest.status).toBe('complete');
  });
});

describe('the finisher', () => {
  const DELAYS = { firstMs: 5, lastMs: 20, random: () => 1 };
  let logs: LogLines;
  beforeEach(() => {
    logs = new LogLines();
  });

  const finisher = (uploadTo = target) =>
    new Finisher({ target: uploadTo, recorderVersion: VERSION }, logs.logger(), DELAYS);

  it('finishes more recordings than it works on at once', async () => {
    const left = await Promise.all(Array.from({ length: 9 }, () => leaveRecording(used.spool)));
    const worker = finisher();
    for (const { directory } of left) worker.add(directory);
    await worker.idle();
    expect(worker.counters).toEqual({ finished: 9, failedTries: 0, pending: 0 });
    for (const { id } of left) expect((await bucket.read(id)).manifest.status).toBe('complete');
    expect(readdirSync(used.spool.directory)).toEqual([]);
  });

  it('sets aside what nobody can use, and finishes the others', async () => {
    const bad = await leaveRecording(used.spool);
    writeFileSync(join(bad.directory, 'session.jsonl'), 'rubbish\n');
    const good = await leaveRecording(used.spool);
    const worker = finisher();
    for (const { directory } of [bad, good]) worker.add(directory);
    await worker.idle();
    expect(readdirSync(used.spool.directory)).toEqual(['unusable']);
    expect(readdirSync(join(used.spool.directory, 'unusable', bad.id))).toContain('stream-1.rtpdump');
    expect((await bucket.read(good.id)).manifest.status).toBe('complete');
    expect(await logs.find('recording cannot be finished; set aside')).toMatchObject({ level: 60 });
  });

  it('leaves where it is what it cannot even set aside', async () => {
    const { directory } = await leaveRecording(used.spool);
    rmSync(join(directory, 'session.jsonl'));
    writeFileSync(join(used.spool.directory, 'unusable'), 'not a directory');
    const worker = finisher();
    worker.add(directory);
    await worker.idle();
    await logs.find('recording can neither be finished nor set aside');
    expect(existsSync(directory)).toBe(true);
  });

  it('tries again until S3 is there, without using anything up', async () => {
    const { directory } = await leaveRecording(used.spool);
    const down = nowhere();
    const worker = finisher(down);
    worker.add(directory);
    for (const tries of [1, 2, 5])
      await logs.find('recording not finished; it stays in the spool', { tries });
    expect(worker.counters.finished).toBe(0);
    await worker.stop();
    await until(() => openFilesIn(directory).length === 0);
    expect(existsSync(join(directory, 'manifest.json'))).toBe(true);
    down.s3.destroy();

    const next = finisher();
    next.add(directory);
    await next.idle();
    expect(next.counters).toEqual({ finished: 1, failedTries: 0, pending: 0 });
  });

  it('begins nothing once it is stopped', async () => {
    const { directory } = await leaveRecording(used.spool);
    const worker = finisher();
    await worker.stop();
    worker.add(directory);
    expect(worker.counters).toEqual({ finished: 0, failedTries: 0, pending: 0 });
    expect(existsSync(directory)).toBe(true);
  });

  it('appends what the disk refused before it assembles, once', async () => {
    const { id, directory } = await leaveRecording(used.spool, [{ type: 'answered', at: AT }]);
    const down = nowhere();
    const worker = finisher(down);
    worker.add(directory, [CLOSED]);
    await logs.find('recording not finished; it stays in the spool', { tries: 3 });
    await worker.stop();
    down.s3.destroy();
    expect(readFileSync(join(directory, 'session.jsonl'), 'utf8').match(/"closed"/g)).toHaveLength(1);
    const next = finisher();
    next.add(directory);
    await next.idle();
    expect((await bucket.read(id)).manifest).toMatchObject({
      status: 'complete',
      session: { endedBy: 'bye' },
    });
  });

  it('lets its tries spread', async () => {
    const { directory } = await leaveRecording(used.spool);
    const down = nowhere();
    const randoms = [0, 0.5, 1];
    const random = () => randoms.shift() ?? 1;
    const worker = new Finisher({ target: down, recorderVersion: VERSION }, logs.logger(), {
      firstMs: 8,
      lastMs: 16,
      random,
    });
    worker.add(directory);
    await logs.find('recording not finished; it stays in the spool', { tries: 3 });
    await worker.stop();
    down.s3.destroy();
    const waits = logs.lines.flatMap(({ retryMs }) => (retryMs === undefined ? [] : [retryMs]));
    expect(waits.slice(0, 3)).toEqual([4, 12, 16]);
  });

  it('waits longer with every try', async () => {
    const { directory } = await leaveRecording(used.spool);
    const down = nowhere();
    const worker = finisher(down);
    worker.add(directory);
    await logs.find('recording not finished; it stays in the spool', { tries: 4 });
    await worker.stop();
    down.s3.destroy();
    const waits = logs.lines.flatMap(({ retryMs }) => (retryMs === undefined ? [] : [retryMs]));
    expect(waits.slice(0, 4)).toEqual([5, 10, 20, 20]);
  });
});

describe('an S3 that is bad', () => {
  let proxy: S3Proxy;
  let logs: LogLines;
  const clients: S3Client[] = [];
  const workers: Finisher[] = [];
  beforeEach(async () => {
    proxy = await startS3Proxy(emulator);
    logs = new LogLines();
  });
  afterEach(async () => {
    proxy.fault = () => undefined;
    await Promise.all(workers.splice(0).map((worker) => worker.stop()));
    for (const client of clients.splice(0)) client.destroy();
    await proxy.close();
  });

  const finisher = (stallMs: number, onOutcome?: (outcome: Outcome) => void) => {
    const s3 = proxy.client({ stallMs });
    clients.push(s3);
    const to = { s3, bucket: bucket.name };
    const delays = { firstMs: 5, lastMs: 20 };
    const worker = new Finisher({ target: to, recorderVersion: VERSION }, logs.logger(), delays, onOutcome);
    workers.push(worker);
    return worker;
  };

  it('that hangs over some recordings does not keep it from the others', async () => {
    const hanging = await Promise.all(Array.from({ length: 10 }, () => leaveRecording(used.spool)));
    const good = await leaveRecording(used.spool);
    proxy.fault = ({ path }) => (hanging.some(({ id }) => path.includes(id)) ? { hang: true } : undefined);
    const worker = finisher(200);
    for (const { directory } of [...hanging, good]) worker.add(directory);
    await logs.find('recording is in S3', { recordingId: good.id });
    proxy.fault = () => undefined;
    await worker.idle();
    for (const { id } of hanging) expect((await bucket.read(id)).manifest.status).toBe('complete');
  });

  it('that hangs over everything does not keep calls that have ended from being assembled', async () => {
    const left = await Promise.all(Array.from({ length: 13 }, () => leaveRecording(used.spool)));
    proxy.fault = () => ({ hang: true });
    const worker = finisher(60_000);
    for (const { directory } of left) worker.add(directory);
    await until(() => left.every(({ directory }) => existsSync(join(directory, 'manifest.json'))));
    expect(proxy.seen.length).toBeLessThan(left.length); // there is a limit
    expect(worker.counters).toEqual({ finished: 0, failedTries: 0, pending: 13 });
    for (const client of clients.splice(0)) client.destroy();
  });

  it.each([500, 503, 403])('that answers %d gets all when it is well again', async (status) => {
    const { id, directory } = await leaveRecording(used.spool);
    proxy.fault = () => ({ refuseWith: status });
    const worker = finisher(5_000);
    worker.add(directory);
    await logs.find('recording not finished; it stays in the spool', { tries: 3 });
    proxy.fault = () => undefined;
    await worker.idle();
    expect((await bucket.read(id)).manifest.status).toBe('complete');
  });

  it('that is back is told to all that wait for it by the first that it takes', async () => {
    const left = await Promise.all(Array.from({ length: 12 }, () => leaveRecording(used.spool)));
    proxy.fault = () => ({ refuseWith: 503 });
    const s3 = proxy.client();
    clients.push(s3);
    const delays = { firstMs: 3_600_000, lastMs: 3_600_000, wakeAfterMs: 0 };
    const dependencies = { target: { s3, bucket: bucket.name }, recorderVersion: VERSION };
    const worker = new Finisher(dependencies, logs.logger(), delays);
    workers.push(worker);
    for (const { directory } of left) worker.add(directory);
    await until(() => worker.counters.failedTries === left.length);
    proxy.fault = () => undefined;
    worker.add((await leaveRecording(used.spool)).directory);
    await worker.idle();
    for (const { id } of left) expect((await bucket.read(id)).manifest.status).toBe('complete');
  });

  it('that takes everything and answers nothing does not keep the process when it is stopped', async () => {
    const { directory } = await leaveRecording(used.spool);
    proxy.fault = () => ({ hang: true });
    const s3 = proxy.client({ stallMs: 60_000 });
    clients.push(s3);
    const uploads = new AbortController();
    const to = { s3, bucket: bucket.name, signal: uploads.signal };
    const worker = new Finisher({ target: to, recorderVersion: VERSION }, logs.logger());
    worker.add(directory);
    await until(() => proxy.seen.length > 0);
    uploads.abort();
    await worker.stop();
    expect(worker.counters).toEqual({ finished: 0, failedTries: 1, pending: 0 });
    expect(existsSync(join(directory, 'manifest.json'))).toBe(true);
  });

  it('gets no more audio made than it takes while room is short, of small recordings first', async () => {
    const sizes = [400, 100, 300, 200, 500];
    const left = await Promise.all(
      sizes.map((packets) => leaveRecording(used.spool, [{ type: 'answered', at: AT }, CLOSED], packets)),
    );
    proxy.fault = () => ({ refuseWith: 503 });
    const stored: string[] = [];
    const worker = finisher(5_000, (outcome) => {
      if (outcome.kind === 'stored') stored.push(outcome.directory);
    });
    worker.economise(true);
    for (const { directory } of left) worker.add(directory);
    const described = () => left.filter(({ directory }) => existsSync(join(directory, 'manifest.json')));
    await until(() => described().length === 2);
    await logs.find('recording not finished; it stays in the spool', { tries: 3 });
    expect(described()).toEqual([left[1], left[3]]);
    proxy.fault = () => undefined;
    await worker.idle();
    expect(stored.slice(2)).toEqual([left[2], left[0], left[4]].map((recording) => recording?.directory));
  });

  it('that takes nothing holds back the audio of the others only while room is short', async () => {
    const left = await Promise.all(Array.from({ length: 4 }, () => leaveRecording(used.spool)));
    proxy.fault = () => ({ refuseWith: 503 });
    const worker = finisher(5_000);
    worker.economise(true);
    for (const { directory } of left) worker.add(directory);
    const described = () => left.filter(({ directory }) => existsSync(join(directory, 'manifest.json')));
    await until(() => described().length === 2);
    worker.economise(false);
    await until(() => described().length === 4);
    proxy.fault = () => undefined;
    await worker.idle();
  });
});

/** A second segment, begun 2 s after the first: a second after its last packet, which the sender did not know. */
function reopened(directory: string, name: string): void {
  writeJournal(
    join(directory, name),
    talk({ seed: 0, packets: 50, atMs: 2000, sequence: 51, timestamp: 16_000 }),
  );
}
