/** A drill: something breaks while calls are recorded, and afterwards every recording is held against what was sent. */
import type { Gap, Manifest } from '../../core/manifest.ts';
import type { TestEmulator } from '../helpers/emulator.ts';
import { describeLosses } from './report.ts';
import { type DrillCall, type DrillStream, type Stage, type StageOptions, startStage } from './stage.ts';
import { type CallVerdict, verify } from './verify.ts';

/** Whatever waits for what never comes ends by then. */
const LONGEST_MS = 5 * 60_000;

export interface DrillOptions {
  calls: number;
  /** How long all calls talk before anything breaks. */
  talkMs: number;
  /** Of all that is random. */
  seed: number;
  /** Told as it goes on. */
  log: (line: string) => void;
}

/** Calls of which the same is expected. */
export interface Expected {
  calls: readonly DrillCall[];
  statuses: readonly Manifest['status'][];
  endings: readonly Manifest['session']['endedBy'][];
  /** Of gaps where something is missing. */
  causes?: readonly Gap['cause'][];
  /** Of a stream, besides the time in which nobody listened. Default 0. */
  maxMissingMs?: number;
  /** Bytes that are there and wrong, of a stream; only where a drill spoils them itself. Default 0. */
  maxDifferingMs?: (stream: DrillStream) => number;
}

export type Excuse = (stream: DrillStream, packet: number, sentAtMs: number) => boolean;

/** What came of a drill, besides the recordings. */
export interface Outcome {
  expected: readonly Expected[];
  /** Whether a packet may be missing: because nobody listened when it was sent, or it was destroyed afterwards. */
  excused?: Excuse;
  recoverySeconds: number;
  /** What the drill itself found wrong. */
  failures: string[];
  /** What else was measured, for the table. */
  figures?: Record<string, string | number>;
}

export interface Drill {
  name: string;
  /** One line for people. */
  what: string;
  /** Of all its recorders. */
  variables?: (options: DrillOptions) => StageOptions['variables'];
  /** It mounts a file system: root, or a user namespace of its own, is needed. */
  mounts?: boolean;
  play: (stage: Stage, options: DrillOptions) => Promise<Outcome>;
}

/** The last line of a drill. */
export interface DrillResult {
  drill: string;
  passed: boolean;
  /** Answered. */
  calls: number;
  manifests: number;
  /** Of the stream that lost most, besides the time in which nobody listened. */
  maxMsMissing: number;
  recoverySeconds: number;
}

export interface DrillReport {
  result: DrillResult;
  failures: string[];
  /** For people: what was lost of each stream. */
  losses: string;
}

/**
 * Plays one drill.
 * @param emulator where S3 is
 * @returns also if the drill could not be played to its end: that is a failure of it
 * @throws the signal's reason
 */
export async function runDrill(
  drill: Drill,
  emulator: TestEmulator,
  options: DrillOptions,
  signal: AbortSignal,
): Promise<DrillReport> {
  const result: DrillResult = {
    drill: drill.name,
    passed: false,
    calls: 0,
    manifests: 0,
    maxMsMissing: 0,
    recoverySeconds: 0,
  };
  let stage: Stage | undefined;
  try {
    stage = await startStage(emulator, {
      name: drill.name,
      calls: options.calls,
      signal,
      variables: drill.variables?.(options) ?? {},
    });
    const report = await judge(drill, stage, options);
    Object.assign(result, report.result);
    return report;
  } catch (error) {
    signal.throwIfAborted();
    const kept = stage ? [`logs and spool are kept in ${stage.directory}`] : [];
    return { result, failures: [(error as Error).stack ?? String(error), ...kept], losses: '' };
  } finally {
    await stage?.dispose(!result.passed && !signal.aborted);
  }
}

async function judge(drill: Drill, stage: Stage, options: DrillOptions): Promise<DrillReport> {
  const outcome = await inTime(drill.play(stage, options), options.talkMs + LONGEST_MS, stage.signal);
  options.log('comparing what is in S3 with what was sent');
  const verdicts = await verify(stage, outcome);
  const failures = [...outcome.failures, ...verdicts.failures];
  const streams = verdicts.calls.flatMap((call: CallVerdict) => call.streams);
  const passed = failures.length === 0;
  if (!passed) failures.push(`logs, and what shows it, are kept in ${stage.directory}`);
  return {
    result: {
      drill: drill.name,
      passed,
      calls: verdicts.calls.length,
      manifests: verdicts.manifests,
      maxMsMissing: Math.round(Math.max(0, ...streams.map(({ excessMs }) => excessMs))),
      recoverySeconds: Math.round(outcome.recoverySeconds * 10) / 10,
    },
    failures,
    losses: describeLosses(streams, outcome.figures ?? {}),
  };
}

/** @throws Error after so much time; the signal's reason */
async function inTime<T>(work: Promise<T>, limitMs: number, signal: AbortSignal): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new Error(`the drill did not come to its end within ${limitMs / 1000} s`)),
    limitMs,
  );
  const abort = () => late.reject(signal.reason);
  signal.addEventListener('abort', abort);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
  }
}
