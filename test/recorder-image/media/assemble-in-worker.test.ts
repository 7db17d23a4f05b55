import { execFileSync } from 'node:child_process';
import { closeSync, existsSync, openSync, renameSync, writeFileSync } from 'node:fs';
import { type AssemblyJob, assembleInWorker } from '../../../recorder-image/src/media/assemble.ts';
import { ASSEMBLY_THREADS } from '../../../recorder-image/src/media/assemble-in-worker.ts';
import type { G711Codec } from '../../../recorder-image/src/media/g711.ts';
import { WorkerCallError } from '../../../recorder-image/src/media/worker-channel.ts';
import {
  channelOf,
  EPOCH_MS,
  readWav,
  speech,
  talk,
  useTemporaryDirectory,
  writeJournal,
} from './support.ts';

const inDirectory = useTemporaryDirectory();
const CODECS: ReadonlyMap<number, G711Codec> = new Map([[0, 'PCMU']]);

function job(name: string, seed: number): AssemblyJob {
  writeJournal(inDirectory(`${name}.rtpdump`), talk({ seed, packets: 10 }));
  return {
    streams: [{ label: name, journalPaths: [inDirectory(`${name}.rtpdump`)], codecs: CODECS }],
    outPath: inDirectory(`${name}.wav`),
  };
}

/** A job whose journal is a pipe: it takes until the pipe is closed; without a word, that is an empty journal. */
function slowJob(name: string): AssemblyJob {
  execFileSync('mkfifo', [inDirectory(name)]);
  return {
    streams: [{ label: name, journalPaths: [inDirectory(name)], codecs: CODECS }],
    outPath: inDirectory(`${name}.wav`),
  };
}

describe('assembleInWorker', () => {
  it('assembles in a thread', async () => {
    const { audio, streams } = await assembleInWorker(job('a', 1));
    expect(audio).toEqual({
      startedAtMs: EPOCH_MS,
      durationMs: 200,
      sampleRate: 8000,
      channels: 1,
      encoding: 'pcmu',
    });
    expect(streams[0]).toMatchObject({ label: 'a', packets: 10, ssrcs: [0x1234], payloadTypes: [0] });
    expect(channelOf(readWav(inDirectory('a.wav')), 0)).toEqual(speech(1, 0, 1600));
  });

  it('has no more at work than there are threads, and takes the others in turn', async () => {
    const pipes = Array.from({ length: ASSEMBLY_THREADS }, (_, index) => `pipe-${index}`);
    const slow = pipes.map((name) => assembleInWorker(slowJob(name)));
    const names = ['a', 'b', 'c'];
    const others = names.map((name, seed) => assembleInWorker(job(name, seed)));
    // Opening a pipe waits until its thread has opened it too.
    const held = pipes.map((name) => openSync(inDirectory(name), 'w'));
    expect(names.filter((name) => existsSync(inDirectory(`${name}.wav`)))).toEqual([]);
    // A journal is read more than once; a pipe is not.
    for (const name of pipes) {
      writeFileSync(inDirectory('empty'), '');
      renameSync(inDirectory('empty'), inDirectory(name));
    }
    for (const pipe of held) closeSync(pipe);
    for (const { streams } of await Promise.all(slow))
      expect(streams[0]).toMatchObject({ packets: 0, truncatedJournal: true });
    expect((await Promise.all(others)).map(({ streams }) => streams[0]?.label)).toEqual(names);
    expect(names.filter((name) => existsSync(inDirectory(`${name}.wav`)))).toEqual(names);
  });

  it('goes on after a job that failed', async () => {
    const failing = assembleInWorker({ ...job('a', 1), outPath: inDirectory('missing/a.wav') });
    const following = assembleInWorker(job('b', 2));
    await expect(failing).rejects.toThrow(WorkerCallError);
    await expect(failing).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(following).resolves.toBeDefined();
    expect(existsSync(inDirectory('b.wav'))).toBe(true);
  });
});
