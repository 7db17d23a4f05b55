/** `recover <dir>`: a spool without its recorder. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nodeProgram, runChild } from '../../../local/cloud/child.ts';
import { emulatorEnvironment } from '../../../local/cloud/deploy.ts';
import { lockSpool } from '../../../recorder-image/src/storage/spool-lock.ts';
import {
  ACCOUNT,
  EMULATOR_START_TIMEOUT_MS,
  startTestEmulator,
  type TestEmulator,
} from '../../helpers/emulator.ts';
import { MAIN, NO_ENDPOINT, REGION, runRecorderProcess, startTestRecorder } from '../../helpers/recorder.ts';
import { RecordingsBucket } from '../../helpers/recordings.ts';
import { type S3Proxy, startS3Proxy } from '../../helpers/s3-proxy.ts';
import { until } from '../../helpers/until.ts';
import { AT, leaveRecording, useSpool } from '../storage/support.ts';

const BUCKET = 'handed-over';

let emulator: TestEmulator;
let bucket: RecordingsBucket;
let proxy: S3Proxy;
let logs: string;
beforeAll(async () => {
  emulator = await startTestEmulator();
  bucket = new RecordingsBucket(emulator.s3(REGION), BUCKET);
  await bucket.create();
  proxy = await startS3Proxy(emulator);
  logs = mkdtempSync(join(tmpdir(), 'siprec-ha-log-'));
}, EMULATOR_START_TIMEOUT_MS);
afterAll(async () => {
  await proxy?.close();
  await emulator?.stop();
  rmSync(logs, { recursive: true, force: true });
});
beforeEach(() => {
  proxy.fault = () => undefined;
});

const used = useSpool();

/** As a person calls it. */
async function recover(args: string[], variables: NodeJS.ProcessEnv = {}, endpoint = proxy.endpoint) {
  const { code, lines } = await runChild({
    name: 'recover',
    command: nodeProgram(MAIN, ['recover', ...args]),
    env: {
      ...process.env,
      ...emulatorEnvironment(endpoint, ACCOUNT, REGION),
      SIPREC_BUCKET: BUCKET,
      ...variables,
    },
    logFile: join(logs, 'recover.log'),
    timeoutMs: 90_000,
  });
  return { code, lines };
}

/** With what comes of a kill in the middle; resolves when it is gone. */
async function recoverUntilKilled(directory: string, dies: () => boolean): Promise<void> {
  const child = spawn(process.execPath, [MAIN, 'recover', directory], {
    env: { ...process.env, ...emulatorEnvironment(proxy.endpoint, ACCOUNT, REGION), SIPREC_BUCKET: BUCKET },
    stdio: 'ignore',
  });
  await until(dies);
  child.kill('SIGKILL');
  await once(child, 'exit');
}

const spooled = () => readdirSync(used.spool.directory).filter((name) => !['lock', 'control'].includes(name));

it('finishes all that a spool holds, and tells of each', async () => {
  const ended = await leaveRecording(used.spool);
  const crashed = await leaveRecording(used.spool, [{ type: 'answered', at: AT }]);
  const nothing = await leaveRecording(used.spool, [], 0);
  const halfRemoved = `${used.spool.directory}/${ended.id}.removed`;
  mkdirSync(halfRemoved);
  const { code, lines } = await recover([used.spool.directory]);
  expect(code).toBe(0);
  const [endedAs, crashedAs] = [await bucket.read(ended.id), await bucket.read(crashed.id)];
  expect([endedAs.manifest.status, crashedAs.manifest.status]).toEqual(['complete', 'recovered']);
  expect(lines.toSorted()).toEqual(
    [
      `${ended.id}  complete: s3://${BUCKET}/rec/us-east-1/2026/01/05/${ended.id}/manifest.json`,
      `${crashed.id}  recovered (${crashedAs.manifest.statusReasons.join('; ')}): s3://${BUCKET}/rec/us-east-1/2026/01/05/${crashed.id}/manifest.json`,
      `${nothing.id}  nothing to keep: it was never answered`,
      lines.at(-1) as string,
    ].toSorted(),
  );
  expect(lines.at(-1)).toMatch(/^3 recordings, /);
  expect(lines.at(-1)).toContain('2 in S3');
  expect(lines.at(-1)).toContain('1 with nothing to keep');
  expect(spooled()).toEqual([]);
});

it('leaves recordings to the slot and the region that made them, whatever region it runs in', async () => {
  const elsewhere = new RecordingsBucket(emulator.s3('us-west-2'), 'handed-over-west');
  await elsewhere.create();
  const { id } = await leaveRecording(used.spool);
  const { code } = await recover([used.spool.directory], {
    SIPREC_BUCKET: elsewhere.name,
    AWS_REGION: 'us-west-2',
  });
  expect(code).toBe(0);
  expect((await elsewhere.read(id)).manifest).toMatchObject({ homeRegion: 'us-east-1', slot: 'use1-1' });
  expect(await elsewhere.keys()).toContainEqual(
    expect.stringMatching(`^rec/us-east-1/.*/${id}/manifest.json$`),
  );
});

it('goes on with the part that it was killed over, and not before', async () => {
  const { id, directory } = await leaveRecording(used.spool, undefined, 105_000); // 35 minutes: audio of 34 MB
  const parts = () => proxy.seen.flatMap(({ part }) => part ?? []);
  const held = new Set<number>();
  proxy.fault = ({ part }) => {
    if (part === 2) held.add(part);
    return part === 2 ? { hang: true } : undefined;
  };
  proxy.seen = [];
  proxy.answered = 0;
  await recoverUntilKilled(used.spool.directory, () => proxy.answered === 3 && held.has(2));
  expect(parts().toSorted()).toEqual([1, 2, 3]);
  const audio = statSync(join(directory, 'audio.wav'));
  expect(readdirSync(directory)).toEqual(expect.arrayContaining(['manifest.json', 'uploads.json']));

  proxy.fault = () => undefined;
  proxy.seen = [];
  expect((await recover([used.spool.directory])).code).toBe(0);
  expect(parts()).toEqual([2]);
  const { files } = await bucket.read(id); // checks it against its manifest
  expect(files.get('audio.wav')).toHaveLength(audio.size);
}, 180_000);

it('has nothing to do in an empty spool', async () => {
  expect(await recover([used.spool.directory])).toEqual({ code: 0, lines: ['0 recordings'] });
});

it('reports what nobody can finish, now and later, and finishes the others', async () => {
  const unusable = await leaveRecording(used.spool);
  writeFileSync(join(unusable.directory, 'session.jsonl'), 'rubbish');
  const good = await leaveRecording(used.spool);
  const first = await recover([used.spool.directory]);
  expect(first.code).toBe(1);
  expect(first.lines).toContainEqual(
    expect.stringMatching(`^${unusable.id}  unusable: .*session.jsonl cannot be used`),
  );
  expect((await bucket.read(good.id)).manifest.status).toBe('complete');
  expect(spooled()).toEqual(['unusable']);
  expect(await recover([used.spool.directory])).toEqual({
    code: 1,
    lines: [
      `${unusable.id}  unusable since an earlier try: ${join(used.spool.directory, 'unusable', unusable.id)}`,
      '1 recording, 1 unusable',
    ],
  });
});

describe('while S3 is away', () => {
  it('leaves what it could not upload, and can be repeated', async () => {
    const { id } = await leaveRecording(used.spool);
    const away = await recover([used.spool.directory], {}, NO_ENDPOINT);
    expect(away).toEqual({
      code: 1,
      lines: [
        expect.stringMatching(`^${id}  not finished: .*ECONNREFUSED`),
        '1 recording, 1 left in the spool',
      ],
    });
    expect(spooled()).toEqual([id]);
    expect((await recover([used.spool.directory])).code).toBe(0);
    await bucket.read(id);
  });

  it('tries on as long as it is told to', async () => {
    const { id } = await leaveRecording(used.spool);
    let refused = 0;
    proxy.fault = () => (refused++ < 2 ? { refuseWith: 503 } : undefined);
    const { code, lines } = await recover([used.spool.directory, '--retry-for', '60']);
    expect(code).toBe(0);
    expect(lines).toEqual([expect.stringMatching(`^${id}  complete: `), '1 recording, 1 in S3']);
    expect(refused).toBeGreaterThan(2);
  });

  it('and no longer', async () => {
    const { id } = await leaveRecording(used.spool);
    const { code, lines } = await recover([used.spool.directory, '--retry-for', '2'], {}, NO_ENDPOINT);
    expect(code).toBe(1);
    expect(lines[0]).toMatch(`${id}  not finished: `);
    expect(spooled()).toEqual([id]);
  });
});

it.each([
  ['no directory', [], '0 directories are named: name the one of the spool'],
  ['two directories', ['/tmp', '/tmp'], '2 directories are named: name the one of the spool'],
  ['a directory that is not there', ['/not/there'], '/not/there is no directory'],
  [
    'a time that is none',
    ['/tmp', '--retry-for', 'ever'],
    '--retry-for ever: write a whole number of seconds',
  ],
  ['a time that no timer takes', ['/tmp', '--retry-for', '3000000'], 'below a million'],
  ['an unknown option', ['/tmp', '--fast'], "Unknown option '--fast'"],
])('says how it is used when it is told %s', async (_what, args, problem) => {
  const { code, lines } = await recover(args);
  expect(code).toBe(2);
  expect(lines[0]).toContain(problem);
  expect(lines).toContainEqual(expect.stringContaining('usage: recover <directory>'));
});

it('names the variables that it lacks', async () => {
  const { code, lines } = await recover([used.spool.directory], {
    SIPREC_BUCKET: undefined,
    AWS_REGION: undefined,
  });
  expect(code).toBe(2);
  expect(lines.join('\n')).toMatch(/SIPREC_BUCKET: not set.*\n.*AWS_REGION: not set/);
  expect(readdirSync(used.spool.directory)).toEqual([]);
});

describe('a spool that somebody works on', () => {
  it('is left alone, and works again when he is gone', async () => {
    const recorder = await startTestRecorder({ spool: used.spool.directory });
    const { code, lines } = await recover([used.spool.directory]);
    expect(code).toBe(1);
    expect(lines).toEqual([
      expect.stringContaining(`spool ${used.spool.directory} is in use by another process`),
    ]);
    await recorder.stop();
    expect((await recover([used.spool.directory])).code).toBe(0);
  });

  it('is no spool for a second recorder', async () => {
    const lock = lockSpool(used.spool.directory);
    const { code, lines } = await runRecorderProcess({ spool: used.spool.directory });
    expect(code).toBe(1);
    expect(lines.join('\n')).toContain(`spool ${used.spool.directory} is in use by another process: stop `);
    lock.release();
  });
});
