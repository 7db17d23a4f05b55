/**
 * Fuzzes the readers of outside data: `npm run fuzz -- [--seed N] [--inputs N] [--reader NAME]`.
 *
 * Each reader runs in a thread of its own, so that one that never comes back is a finding too. A finding's input is
 * written to the system's folder for temporary files, and the run ends with exit code 1.
 */
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { type Finding, fuzz, type Report } from './fuzz.ts';
import { mutation } from './mutations.ts';
import { READER_NAMES, READERS, type ReaderName } from './readers.ts';

const DEFAULT_INPUTS = 200_000;
/** A reader that has been at one input for this long will not come back. */
const HANG_MS = 20_000;

interface Job {
  name: ReaderName;
  seed: number;
  inputs: number;
  /** One number: the index of the input that is being read. */
  progress: Int32Array;
}

type Result = Omit<Report, 'findings'> & {
  findings: (Finding | (Omit<Finding, 'kind'> & { kind: 'hang' }))[];
};

async function work({ name, seed, inputs, progress }: Job): Promise<void> {
  const reader = READERS[name]();
  try {
    const onProgress = (index: number) => Atomics.store(progress, 0, index);
    parentPort?.postMessage(await fuzz(reader, { seed, inputs, onProgress }));
  } finally {
    reader.close();
  }
}

/** @throws what the thread died of */
function run(name: ReaderName, seed: number, inputs: number): Promise<Result> {
  const progress = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(new URL(import.meta.url), {
    workerData: { name, seed, inputs, progress } satisfies Job,
  });
  return new Promise((resolve, reject) => {
    let last = -1;
    const watch = setInterval(() => {
      const index = Atomics.load(progress, 0);
      if (index === last) {
        const detail = `no answer within ${HANG_MS} ms`;
        const finding = { kind: 'hang', index, detail } as const;
        settle(() =>
          resolve({
            inputs: index,
            refused: 0,
            seconds: 0,
            slowestMs: HANG_MS,
            heapGrowthBytes: 0,
            findings: [finding],
          }),
        );
        void worker.terminate();
      }
      last = index;
    }, HANG_MS);
    const settle = (then: () => void) => {
      clearInterval(watch);
      then();
    };
    worker.on('message', (report: Report) => settle(() => resolve(report)));
    worker.on('error', (error) => settle(() => reject(error)));
  });
}

/** Writes the input of a finding, and gives back its path. */
function keep(name: ReaderName, seed: number, { index }: { index: number }): string {
  const reader = READERS[name]();
  const path = join(tmpdir(), `siprec-ha-fuzz-${name}-${seed}-${index}`);
  writeFileSync(path, mutation(reader.corpus, seed, index));
  reader.close();
  return path;
}

function wholeNumber(option: string, text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new Error(`--${option} must be a whole number: ${text}`);
  return Number(text);
}

function readersNamed(name: string | undefined): readonly ReaderName[] {
  if (name === undefined) return READER_NAMES;
  const known = READER_NAMES.find((candidate) => candidate === name);
  if (!known) throw new Error(`--reader must be one of ${READER_NAMES.join(', ')}`);
  return [known];
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { seed: { type: 'string' }, inputs: { type: 'string' }, reader: { type: 'string' } },
  });
  const seed = values.seed === undefined ? Date.now() % 1e9 : wholeNumber('seed', values.seed);
  const inputs = values.inputs === undefined ? DEFAULT_INPUTS : wholeNumber('inputs', values.inputs);
  const names = readersNamed(values.reader);
  const columns = (cells: (string | number)[]) => cells.map((cell) => String(cell).padStart(10)).join('');
  process.stdout.write(
    `seed ${seed}\n${columns(['reader', 'inputs', 'refused', 'seconds', 'max ms', 'heap +kB', 'findings'])}\n`,
  );
  const results: (Result & { reader: ReaderName })[] = [];
  for (const reader of names) {
    const result = await run(reader, seed, inputs);
    results.push({ reader, ...result });
    const { refused, seconds, slowestMs, heapGrowthBytes, findings } = result;
    const growth = Math.round(heapGrowthBytes / 1024);
    process.stdout.write(
      `${columns([reader, result.inputs, refused, seconds.toFixed(1), slowestMs.toFixed(1), growth, findings.length])}\n`,
    );
    for (const finding of findings)
      process.stdout.write(
        `  ${finding.kind}: ${finding.detail}\n  seed ${seed}, input ${finding.index}: ${keep(reader, seed, finding)}\n`,
      );
  }
  process.stdout.write(`${JSON.stringify({ seed, readers: results })}\n`);
  if (results.some(({ findings }) => findings.length > 0)) process.exitCode = 1;
}

if (!isMainThread) await work(workerData as Job);
else
  await main().catch((error: Error) => {
    process.stderr.write(`fuzz: ${error.message}\n`);
    process.exitCode = 1;
  });
