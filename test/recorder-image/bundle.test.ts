/** What the image runs: the bundle, away from the sources and from `node_modules`. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { refreshDevelopmentAddon } from '../../recorder-image/native/build.ts';
import { type RecorderProcess, startRecorderProcess } from '../helpers/recorder.ts';

const BUILD = join(import.meta.dirname, '../../recorder-image/build.ts');

let directory: string;
let recorder: RecorderProcess | undefined;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'siprec-bundle-'));
  execFileSync(process.execPath, [BUILD, directory], { stdio: 'pipe' });
  built = readdirSync(directory).sort();
});
afterEach(() => recorder?.stop());
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const dockerfile = readFileSync(join(import.meta.dirname, '../../recorder-image/Dockerfile'), 'utf8');
let built: string[];

const receiverOf = ({ logs }: RecorderProcess) => logs.lines.find(({ msg }) => msg === 'media receiver');

describe('the bundle', () => {
  it('starts, and receives with the addon that was compiled beside it', async () => {
    recorder = await startRecorderProcess({ main: join(directory, 'main.mjs') });
    const isCompiled = refreshDevelopmentAddon() === undefined;
    expect(existsSync(join(directory, 'receive.node'))).toBe(isCompiled);
    expect(receiverOf(recorder)).toMatchObject(
      isCompiled
        ? { receiver: 'native', why: 'the compiled addon is there' }
        : { receiver: 'dgram', why: expect.stringContaining('cannot be loaded') },
    );
  });

  it('has the command that drains it', async () => {
    const main = join(directory, 'main.mjs');
    recorder = await startRecorderProcess({ main });
    const said = execFileSync(process.execPath, [main, 'drain', '--wait', recorder.spool], {
      encoding: 'utf8',
    });
    expect(said).toBe('the recorder takes no more calls; 0 recordings run\nthe recorder has stopped\n');
    expect(await recorder.child.exited).toEqual({ code: 0, signal: null });
  });

  it('has no need of what the image leaves out, and writes nowhere but into its spool', async () => {
    // The image's file system is read-only.
    recorder = await startRecorderProcess({ main: join(directory, 'main.mjs') });
    expect(dockerfile).toMatch(/^COPY --from=build \/recorder \/recorder$/m);
    expect(dockerfile).toMatch(/^CMD \["node", "--enable-source-maps", "main.mjs"\]$/m);
    expect(readdirSync(directory).sort()).toEqual(built);
  });

  it('does without the addon', async () => {
    rmSync(join(directory, 'receive.node'), { force: true });
    recorder = await startRecorderProcess({ main: join(directory, 'main.mjs') });
    expect(receiverOf(recorder)).toMatchObject({
      receiver: 'dgram',
      why: expect.stringContaining('receive.node'),
    });
  });
});
