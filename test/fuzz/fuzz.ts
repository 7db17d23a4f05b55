/** Feeds one reader with damaged input and watches what it does: its errors, its time, its memory. */
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { mutation } from './mutations.ts';
import type { Reader } from './readers.ts';

/** An input may take so much of the processor, in ms: what other programs take does not count. */
export const MAX_INPUT_MS = 50;
/** What takes longer than this is read again: only one that is slow each time is slow, and a busy machine is no finding. */
const SUSPECT_MS = 10;
const CONFIRMATIONS = 3;
/** After so many, more are more of the same. */
const MAX_FINDINGS = 10;
/** What code and caches may still grow by after the first inputs, in bytes; 25 bytes kept per input are beyond. */
const MAX_HEAP_GROWTH = 4 * 1024 * 1024;
/** The heap is first looked at when the reader has been compiled: after this part of the inputs. */
const WARM_UP = 0.1;
/** Inputs in one turn of the event loop: what is finalised between turns alone would look like a leak otherwise. */
const INPUTS_PER_TURN = 100;

export interface Finding {
  kind: 'exception' | 'slow' | 'memory';
  /** Of the input; the input is `mutation(corpus, seed, index)`. For `memory`, that of the last. */
  index: number;
  detail: string;
}

export interface Report {
  inputs: number;
  /** How many were refused with the reader's own error. */
  refused: number;
  seconds: number;
  /** The longest that an input took each time that it was read. */
  slowestMs: number;
  heapGrowthBytes: number;
  findings: Finding[];
}

/** Full garbage collection, without a command-line option. */
setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Heap and buffers that are still in use, in bytes. */
async function memoryInUse(): Promise<number> {
  // The first collection finds what has a finaliser, the second what only that had kept.
  collectGarbage();
  await setImmediate();
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** @param onProgress called with the index of every input before it is read */
export async function fuzz(
  { corpus, read, refusal }: Reader,
  {
    seed,
    inputs,
    onProgress = () => {},
  }: { seed: number; inputs: number; onProgress?: (index: number) => void },
): Promise<Report> {
  const startedAt = performance.now();
  const report: Report = { inputs, refused: 0, seconds: 0, slowestMs: 0, heapGrowthBytes: 0, findings: [] };
  const known = new Set<string>();
  const found = (finding: Finding) => {
    if (known.has(finding.detail) || report.findings.length === MAX_FINDINGS) return;
    known.add(finding.detail);
    report.findings.push(finding);
  };
  const timed = (input: Buffer): { ms: number; thrown: unknown } => {
    const before = process.threadCpuUsage();
    let thrown: unknown;
    try {
      read(input);
    } catch (error) {
      thrown = error;
    }
    const { user, system } = process.threadCpuUsage(before);
    return { ms: (user + system) / 1000, thrown };
  };
  let memoryAtStart = 0;
  for (let index = 0; index < inputs; index++) {
    if (index === Math.floor(inputs * WARM_UP)) memoryAtStart = await memoryInUse();
    if (index % INPUTS_PER_TURN === 0) await setImmediate();
    onProgress(index);
    const input = mutation(corpus, seed, index);
    const { ms, thrown } = timed(input);
    if (thrown !== undefined) {
      if (refusal !== undefined && thrown instanceof refusal) report.refused++;
      else found({ kind: 'exception', index, detail: describe(thrown) });
    }
    const again = ms > SUSPECT_MS ? Array.from({ length: CONFIRMATIONS }, () => timed(input).ms) : [];
    const fastest = Math.min(ms, ...again);
    report.slowestMs = Math.max(report.slowestMs, fastest);
    if (fastest > MAX_INPUT_MS) found({ kind: 'slow', index, detail: `${fastest.toFixed(0)} ms` });
  }
  report.heapGrowthBytes = (await memoryInUse()) - memoryAtStart;
  if (report.heapGrowthBytes > MAX_HEAP_GROWTH)
    found({ kind: 'memory', index: inputs - 1, detail: `${report.heapGrowthBytes} bytes more in use` });
  report.seconds = (performance.now() - startedAt) / 1000;
  return report;
}

/** With the place where it was thrown, so that one fault is found once. */
function describe(thrown: unknown): string {
  if (!(thrown instanceof Error)) return `thrown: ${String(thrown)}`;
  const place = thrown.stack?.split('\n').find((line) => line.trimStart().startsWith('at '));
  return `${thrown.name}: ${thrown.message.slice(0, 120)} ${place?.trim() ?? ''}`;
}
