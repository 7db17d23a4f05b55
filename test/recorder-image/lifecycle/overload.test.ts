/** More than a recorder can do: a disk that becomes slow, and more calls at once than it has room for. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { header } from '../../../local/sip/message.ts';
import { JournalReader } from '../../../recorder-image/src/media/journal.ts';
import { eventsOf, readSessionRecord } from '../../../recorder-image/src/storage/session-record.ts';
import { startRecorderProcess, startTestRecorder, type TestRecorder } from '../../helpers/recorder.ts';
import { finalOf, Src } from '../../helpers/src.ts';
import { until } from '../../helpers/until.ts';

const SHIM = join(import.meta.dirname, '../../helpers/slow-disk.c');
const hasCompiler = spawnSync('cc', ['--version']).error === undefined;

let directory: string;
let recorder: TestRecorder;
let src: Src;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'siprec-overload-'));
});
afterEach(async () => {
  await src.close();
  await recorder.stop();
  rmSync(directory, { recursive: true, force: true });
});

const slowSwitch = () => join(directory, 'slow');

async function start(slow: { files: string; ms: number }, callCapacity = 10): Promise<void> {
  const shim = join(directory, 'slow-disk.so');
  execFileSync('cc', ['-O2', '-shared', '-fPIC', '-o', shim, SHIM]);
  recorder = await startRecorderProcess({
    spool: join(directory, 'spool'),
    variables: {
      SIPREC_MAX_STALL_MS: '500',
      LD_PRELOAD: shim,
      SLOW_DISK_SWITCH: slowSwitch(),
      SLOW_DISK_FILES: slow.files,
      SLOW_DISK_MS: String(slow.ms),
      SIPREC_CALL_CAPACITY: String(callCapacity),
      UV_THREADPOOL_SIZE: '16', // as in the image
    },
  });
  src = await Src.start(recorder.sipServer.sipPort);
}

const packetsIn = (journal: string): number =>
  [...new JournalReader(journal).packets()].filter(({ rtcp }) => !rtcp).length;

(hasCompiler ? it : it.skip)('503 while the disk is slow, and no packet is lost', async () => {
  await start({ files: '.rtpdump', ms: 600 });
  const call = await src.call();
  expect((await call.start()).status).toBe(200);
  expect((await recorder.health('/healthz')).status).toBe(200);
  let spoken = 0;
  const speak = async () => {
    await call.speak(10);
    spoken += 10;
  };
  writeFileSync(slowSwitch(), '');
  await until(async () => {
    await speak();
    const { status, body } = await recorder.health('/healthz');
    return status === 503 && (body.reasons as string[]).includes('media-overloaded');
  });
  const refused = await src.call();
  expect(await finalOf(refused.send(refused.invite()))).toMatchObject({ status: 503 });
  await speak();
  rmSync(slowSwitch());
  // Some seconds later it takes calls again, by itself.
  await until(async () => (await recorder.health('/healthz')).status === 200);
  await speak();
  await call.bye();
  const { recordingId } = await recorder.logs.find('recording ended');

  const folder = join(directory, 'spool', recordingId as string);
  const [closed] = eventsOf(await readSessionRecord(folder), 'closed');
  const counters = Object.values(closed?.counters ?? {});
  expect(counters).toHaveLength(2);
  for (const one of counters) expect(one).toEqual({ foreignPackets: 0, malformedPackets: 0 });
  const journals = readdirSync(folder).filter((name) => name.endsWith('.rtpdump'));
  expect(journals.map((name) => packetsIn(join(folder, name)))).toEqual([spoken, spoken]);
});

(hasCompiler ? it : it.skip)(
  '503 at once past the capacity, however long the calls before take',
  async () => {
    const [capacity, more] = [6, 40];
    await start({ files: 'session.jsonl', ms: 200 }, capacity);
    writeFileSync(slowSwitch(), '');
    const calls = await Promise.all(Array.from({ length: capacity + more }, () => src.call()));
    const answers: number[] = [];
    const responses = await Promise.all(
      calls.map(async (call) => {
        const transaction = call.send(call.invite());
        const response = await finalOf(transaction);
        answers.push(response.status);
        if (response.status === 200) call.answered(transaction, response);
        return response;
      }),
    );
    rmSync(slowSwitch());
    // In the order of the answers: nobody who is refused waits for the disk, or for those who have room.
    expect(answers).toEqual([...Array(more).fill(503), ...Array(capacity).fill(200)]);
    // The first ones have it, and no Retry-After: only these calls are to go elsewhere.
    for (const [index, response] of responses.entries()) {
      expect(response.status).toBe(index < capacity ? 200 : 503);
      expect(header(response, 'Retry-After')).toBeUndefined();
    }
    const { body } = await recorder.health('/status');
    expect(body).toMatchObject({
      state: 'unhealthy',
      reasons: ['full'],
      activeRecordings: capacity,
      invites: { answered: capacity, refused: { 503: more } },
    });
    for (const call of calls.slice(0, capacity)) {
      await call.speak(2);
      expect((await call.bye()).status).toBe(200);
    }
    await until(async () => (await recorder.health('/healthz')).status === 200);
  },
);

it('unhealthy while its event loop is late, and some seconds longer; calls that come are taken', async () => {
  recorder = await startTestRecorder({ variables: { SIPREC_MAX_LOOP_DELAY_MS: '400' } });
  src = await Src.start(recorder.sipServer.sipPort);
  const reasons = async () => (await recorder.health('/healthz')).body.reasons as string[];
  expect(await reasons()).toEqual([]);
  // The recorder is in this process: its loop is ours.
  const hog = setInterval(() => {
    const end = performance.now() + 600;
    while (performance.now() < end);
  }, 50);
  await until(async () => (await reasons()).includes('event-loop-delay')).finally(() => clearInterval(hog));
  const over = performance.now();
  const call = await src.call();
  expect((await call.start()).status).toBe(200); // whoever still comes
  expect(await reasons()).toEqual(['event-loop-delay']);
  await until(async () => (await reasons()).length === 0);
  expect(performance.now() - over).toBeGreaterThan(9_000);
  await call.bye();
});
