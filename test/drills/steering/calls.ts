/** What became of the calls of a steering drill. */
import type { ApiClientOptions } from '../../../local/api-client.ts';
import type { CallResult } from '../../../local/broadworks/simulator.ts';
import { type VerifiedCall, verifyCalls } from '../../../local/verify.ts';

export interface PlacedCalls {
  api: ApiClientOptions;
  calls: readonly CallResult[];
  since: Date;
  signal: AbortSignal;
}

export interface CallOutcomes {
  placed: number;
  recorded: number;
  failedOver: number;
  lost: number;
  /** Those whose recording does not hold the whole call. */
  cut: readonly VerifiedCall[];
  /** What must never be. */
  problems: string[];
}

const isComplete = ({ recording }: VerifiedCall): boolean => recording?.status === 'complete';

/** What is wrong with the recording; how the call itself ended is another matter. */
const recordingProblems = ({ call, problems }: VerifiedCall): string[] =>
  problems.filter((problem) => problem !== `${call.outcome}: ${call.reason}`);

/** Looks for the recording of every call. */
export async function judgeCalls({ api, calls, since, signal }: PlacedCalls): Promise<CallOutcomes> {
  const verified = await verifyCalls(api, [...calls], { since, streams: 'dual', signal, awaitsAll: true });
  const lost = verified.filter(({ recording }) => recording === undefined);
  const cut = verified.filter((one) => one.recording !== undefined && !isComplete(one));
  return {
    placed: calls.length,
    recorded: calls.length - lost.length,
    failedOver: calls.filter(({ recorder, attempts }) => recorder && attempts.length > 1).length,
    lost: lost.length,
    cut,
    problems: [
      ...lost.map(
        ({ call, problems }) => `call ${call.callNumber} is lost: ${problems.join('; ')} ${tried(call)}`,
      ),
      ...verified
        .filter(isComplete)
        .flatMap((one) =>
          recordingProblems(one).map(
            (problem) => `call ${one.call.callNumber} is said to be complete: ${problem}`,
          ),
        ),
    ],
  };
}

const tried = ({ attempts }: CallResult): string =>
  `(${attempts.map(({ target, outcome }) => `${target}: ${outcome}`).join(', ')})`;

/** For people, a line each. */
export function describeOutcomes({ placed, recorded, failedOver, lost, cut }: CallOutcomes): string[] {
  const cutBy = Map.groupBy(cut, ({ recording }) => `${recording?.status} by ${recording?.slot}`);
  return [
    `new calls: ${placed} placed, ${recorded} recorded, ${failedOver} failed over, ${lost} lost`,
    `recordings cut: ${cut.length}`,
    ...[...cutBy].map(([how, calls]) => `  ${calls.length} ${how}, such as: ${reasonsOf(calls[0])}`),
  ];
}

const reasonsOf = (one: VerifiedCall | undefined): string => one?.recording?.statusReasons.join('; ') ?? '';
