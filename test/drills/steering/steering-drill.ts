/**
 * A steering drill: recorders fail or fill up on the local cloud while an SRC places two calls per second. Afterwards every call
 * must have found a recorder, and its recording must be there.
 */
import type { LocalCloud } from '../../../local/cloud/local-cloud.ts';
import type { RunningSlot } from '../../../local/cloud/slot.ts';
import { type CallOutcomes, describeOutcomes, judgeCalls } from './calls.ts';
import type { DnsWatch } from './dns-watch.ts';
import { startSteeringStage } from './steering-stage.ts';

export interface SteeringDrillOptions {
  /** Length of each call. */
  callMs: number;
  /** Divides the intervals of health checks; 1 is Route 53's time. */
  timeFactor: number;
  /** Told as it goes on. */
  log: (line: string) => void;
}

export interface SteeringStage {
  cloud: LocalCloud;
  options: SteeringDrillOptions;
  dns: DnsWatch;
  slot: (name: string) => RunningSlot;
  slotsOf: (region: string) => RunningSlot[];
  /** Share of the calls since then that a slot took, 0 to 1. */
  shareOf: (slot: string, sinceMs: number) => number;
  /** Aborted when the drill takes too long, or is broken off. */
  signal: AbortSignal;
  say: (line: string) => void;
  pause: (ms: number) => Promise<void>;
}

export interface SteeringOutcome {
  /** Slots that DNS had to drop: how long it named them after they had gone. */
  secondsToLeaveDns?: number;
  /** Calls may have been cut, since recorders died. */
  mayCut: boolean;
  /** What the drill itself found wrong. */
  failures: string[];
  /** What else was measured, for the table. */
  figures?: Record<string, string | number>;
}

export interface SteeringDrill {
  name: string;
  /** One line for people. */
  what: string;
  /** Of each slot; default as in deployments/local.yaml. */
  callCapacity?: number;
  /** It drops packets, in a network namespace of its own. */
  dropsPackets?: boolean;
  play: (stage: SteeringStage) => Promise<SteeringOutcome>;
}

/** The last line of a drill. */
export interface SteeringResult {
  drill: string;
  passed: boolean;
  /** Placed. */
  newCalls: number;
  /** Of those, recorded somewhere. */
  recorded: number;
  /** Taken by another recorder than the first one tried. */
  failedOver: number;
  /** No recorder took it, or nobody can find its recording. */
  lost: number;
  /** Null where no slot had to leave DNS. */
  secondsToLeaveDns: number | null;
  /** Recordings that do not hold the whole call. */
  cut: number;
}

export interface SteeringReport {
  result: SteeringResult;
  failures: string[];
  /** For people. */
  table: string;
}

/** Limit of a probe that gets no connection; no time factor makes it shorter. */
const PROBE_SECONDS = 4;

/** Interval times threshold, and 5 s. */
const leaveLimitSeconds = (timeFactor: number): number => 2 * Math.max(10 / timeFactor, PROBE_SECONDS) + 5;

/**
 * Plays one drill.
 * @returns also if it could not be played to its end: that is a failure of it
 * @throws the signal's reason; LocalCloudError if the local cloud cannot be started
 */
export async function runSteeringDrill(
  drill: SteeringDrill,
  options: SteeringDrillOptions,
  signal: AbortSignal,
): Promise<SteeringReport> {
  const stage = await startSteeringStage(drill, options, signal);
  try {
    await stage.pause(options.callMs); // until calls end as often as they begin
    const outcome = await play(drill, stage);
    signal.throwIfAborted();
    const calls = await judgeCalls(await stage.finish());
    return report(drill, options, outcome, calls, stage.dns);
  } finally {
    await stage.stop();
  }
}

/** What cannot be played to its end has failed. */
async function play(drill: SteeringDrill, stage: SteeringStage): Promise<SteeringOutcome> {
  const tooLate = new Promise<never>((_, reject) => {
    stage.signal.addEventListener('abort', () => reject(stage.signal.reason));
  });
  try {
    return await Promise.race([drill.play(stage), tooLate]);
  } catch (error) {
    return { mayCut: true, failures: [`not played to its end: ${(error as Error).message}`] };
  }
}

function report(
  { name }: SteeringDrill,
  { timeFactor }: SteeringDrillOptions,
  outcome: SteeringOutcome,
  calls: CallOutcomes,
  dns: DnsWatch,
): SteeringReport {
  const { secondsToLeaveDns, mayCut, figures = {} } = outcome;
  const limit = leaveLimitSeconds(timeFactor);
  const failures = [...outcome.failures, ...calls.problems];
  if (secondsToLeaveDns !== undefined && secondsToLeaveDns > limit)
    failures.push(`a dead slot stayed in DNS for ${secondsToLeaveDns} s, ${limit} s are allowed`);
  if (!mayCut && calls.cut.length > 0) failures.push(`${calls.cut.length} calls are not recorded whole`);
  const result: SteeringResult = {
    drill: name,
    passed: failures.length === 0,
    newCalls: calls.placed,
    recorded: calls.recorded,
    failedOver: calls.failedOver,
    lost: calls.lost,
    secondsToLeaveDns: secondsToLeaveDns ?? null,
    cut: calls.cut.length,
  };
  const weights = dns.history.map(
    ({ atMs, weights }) =>
      `  ${new Date(atMs).toISOString().slice(11, 21)}  ${[...weights].map(([slot, weight]) => `${slot} ${weight}`).join('  ')}`,
  );
  const table = [
    `health checks: every ${10 / timeFactor} s, threshold 2 (time factor ${timeFactor})`,
    ...describeOutcomes(calls),
    ...Object.entries(figures).map(([what, value]) => `${what}: ${value}`),
    'slots and weights in DNS:',
    ...weights,
  ].join('\n');
  return { result, failures, table };
}
