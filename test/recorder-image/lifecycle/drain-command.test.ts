/** `drain`: a word to the recorder that works on a spool. */
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nodeProgram, runChild } from '../../../local/cloud/child.ts';
import { CONTROL_SOCKET } from '../../../recorder-image/src/lifecycle/control-socket.ts';
import { EMULATOR_START_TIMEOUT_MS, startTestEmulator, type TestEmulator } from '../../helpers/emulator.ts';
import {
  MAIN,
  REGION,
  type RecorderProcess,
  type RecorderProcessOptions,
  startRecorderProcess,
  startTestRecorder,
} from '../../helpers/recorder.ts';
import { RecordingsBucket } from '../../helpers/recordings.ts';
import { finalOf, Src } from '../../helpers/src.ts';
import { until } from '../../helpers/until.ts';

const BUCKET = 'drained-by-command';
const COMMAND_CAME = 'drain: the command has come';

let directory: string;
let recorder: RecorderProcess | undefined;
let src: Src | undefined;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'siprec-drain-'));
  recorder = undefined;
  src = undefined;
});
afterEach(async () => {
  await src?.close();
  await recorder?.stop();
  rmSync(directory, { recursive: true, force: true });
});

const drain = (args: string[], env: NodeJS.ProcessEnv = {}) =>
  runChild({
    name: 'drain',
    command: nodeProgram(MAIN, ['drain', ...args]),
    env: { ...process.env, ...env },
    logFile: join(directory, 'drain.log'),
    timeoutMs: 50_000,
  });

async function start(options: RecorderProcessOptions = {}) {
  const started = await startRecorderProcess(options);
  recorder = started;
  src = await Src.start(started.sipServer.sipPort);
  return { recorder: started, src };
}

describe('drain', () => {
  let emulator: TestEmulator;
  let bucket: RecordingsBucket;
  beforeAll(async () => {
    emulator = await startTestEmulator();
    bucket = new RecordingsBucket(emulator.s3(REGION), BUCKET);
    await bucket.create();
  }, EMULATOR_START_TIMEOUT_MS);
  afterAll(() => emulator?.stop());

  it('lets a running call go on to its BYE, takes no other, and waits if it is told to', async () => {
    const { recorder, src } = await start({ endpoint: emulator.endpoint, bucket: BUCKET });
    const call = await src.call();
    await call.start();
    await call.speak(10);
    // Not waiting, and a spool from the environment.
    expect(await drain([], { SIPREC_SPOOL: recorder.spool })).toEqual({
      code: 0,
      signal: null,
      lines: ['the recorder takes no more calls; 1 recording runs'],
    });
    const waiting = drain([recorder.spool, '--wait']);
    await recorder.logs.find('told to stop', { why: 'the command drain' });
    await recorder.logs.find('draining');
    await until(() => recorder.logs.lines.filter(({ msg }) => msg === COMMAND_CAME).length === 2);
    expect(await recorder.health('/healthz')).toEqual({
      status: 503,
      body: { healthy: false, reasons: ['draining'] },
    });
    const late = await src.call();
    expect((await finalOf(late.send(late.invite()))).status).toBe(503);
    expect((await src.request('OPTIONS')).status).toBe(503);
    await call.speak(10);
    expect((await call.bye()).status).toBe(200);
    expect(await waiting).toEqual({
      code: 0,
      signal: null,
      lines: ['the recorder takes no more calls; 1 recording runs', 'the recorder has stopped'],
    });
    expect(await recorder.child.exited).toEqual({ code: 0, signal: null });
    expect((await bucket.of(recorder, call)).manifest).toMatchObject({
      status: 'complete',
      streams: [{ packets: 20 }, { packets: 20 }],
    });
    expect(recorder.spooled()).toEqual([]);
  });

  it('has the ceiling of SIGTERM, and what it ends is kept', async () => {
    const { recorder, src } = await start({
      endpoint: emulator.endpoint,
      bucket: BUCKET,
      variables: { SIPREC_DRAIN_SECONDS: '1' },
    });
    const call = await src.call();
    await call.start();
    await call.speak(10);
    expect((await drain([recorder.spool, '--wait'])).code).toBe(0);
    await call.endedByRecorder.promise;
    expect((await bucket.of(recorder, call)).manifest).toMatchObject({
      status: 'partial',
      session: { endedBy: 'recorder' },
    });
  });
});

describe('drain tells', () => {
  it('that no recorder runs', async () => {
    expect(await drain([directory])).toMatchObject({
      code: 1,
      lines: [`the recorder of spool ${directory} cannot be told to drain: no recorder runs on it`],
    });
    const file = join(directory, 'file');
    writeFileSync(file, '');
    expect((await drain([file])).lines.join()).toContain('it is no directory');
    const deep = join(directory, 'x'.repeat(120));
    expect((await drain([deep])).lines.join()).toContain('no recorder runs on it');
  });

  it('that the last one was killed; the next one can be told again', async () => {
    const spool = join(directory, 'spool');
    const killed = await startRecorderProcess({ spool });
    await killed.kill();
    await killed.stop();
    expect(await drain([spool])).toMatchObject({
      code: 1,
      lines: [expect.stringContaining('no recorder runs on it (the last one was killed)')],
    });
    const { recorder } = await start({ spool });
    expect((await drain([spool, '--wait'])).code).toBe(0);
    expect(await recorder.child.exited).toEqual({ code: 0, signal: null });
  });

  it('that the recorder does not answer', async () => {
    const { recorder } = await start();
    process.kill(recorder.child.pid, 'SIGSTOP');
    const { code, lines } = await drain([recorder.spool]);
    process.kill(recorder.child.pid, 'SIGCONT');
    expect([code, lines.join()]).toEqual([1, expect.stringContaining('it has not answered for 5 s')]);
  });

  it('that the recorder died over it', async () => {
    const { recorder, src } = await start();
    await (await src.call()).start();
    const waiting = drain([recorder.spool, '--wait']);
    await recorder.logs.find('draining');
    await recorder.kill();
    const { code, lines } = await waiting;
    expect(code).toBe(1);
    expect(lines.at(-1)).toContain('it ended before it had stopped: the next start on the spool, or recover');
  });

  it.each([
    ['no spool is named', [], {}],
    ['2 directories are named', ['a', 'b'], {}],
    ["Unknown option '--now'", ['--now'], {}],
  ])('that it was called wrongly: %s', async (problem, args, env) => {
    const { code, lines } = await drain(args, { SIPREC_SPOOL: '', ...env });
    expect(code).toBe(2);
    expect(lines.join('\n')).toContain(problem);
    expect(lines.join('\n')).toContain('usage: drain [<directory>] [--wait]');
  });
});

describe('the socket', () => {
  it('may lie deeper than the address of a socket is long', async () => {
    const spool = join(directory, 'x'.repeat(120), 'spool');
    mkdirSync(spool, { recursive: true });
    const { recorder } = await start({ spool });
    expect(await drain([spool, '--wait'])).toMatchObject({ code: 0 });
    expect(await recorder.child.exited).toEqual({ code: 0, signal: null });
    expect(recorder.spooled()).toEqual([]);
  });

  it('is for the user of the recorder alone, and answers to nothing else', async () => {
    const recorder = await startTestRecorder();
    const path = join(recorder.spool, CONTROL_SOCKET);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    for (const request of ['rubbish\n', '{"command":"kill"}\n', '{}\n', 'x'.repeat(2_000)]) {
      const socket = createConnection(path);
      socket.setEncoding('utf8').write(request);
      const [answer] = (await once(socket, 'data')) as [string];
      expect(JSON.parse(answer)).toEqual({ error: expect.any(String) });
      socket.destroy();
    }
    const silent = createConnection(path);
    await once(silent, 'connect');
    await once(silent.resume(), 'close'); // after a while
    expect((await recorder.health('/healthz')).status).toBe(200);
    await recorder.stop();
    expect(() => statSync(path)).toThrow('ENOENT');
  });

  it('is not needed: what lies in its place is told, and SIGTERM is there', async () => {
    const spool = join(directory, 'spool');
    mkdirSync(join(spool, CONTROL_SOCKET), { recursive: true });
    const { recorder } = await start({ spool });
    expect(
      await recorder.logs.find('the command drain will not reach this recorder; SIGTERM does'),
    ).toMatchObject({ level: 40 });
    process.kill(recorder.child.pid, 'SIGTERM');
    await until(() => recorder.logs.lines.some(({ msg }) => msg === 'stopped'));
  });
});
