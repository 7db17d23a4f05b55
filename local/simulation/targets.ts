/** What the figures must reach. A table. */
import { MAX_SLOTS_PER_SERVICE } from '../../core/deployment.ts';
import { type SlotHealthCheck, SRV_TTL_SECONDS } from '../../core/slot-plan.ts';
import type { Figures } from './figures.ts';
import { longestNoticeSeconds } from './health-checks.ts';
import { SRC_PATIENCE_SECONDS } from './srcs.ts';

export interface Target {
  what: string;
  /** Only in these scenarios; in all when absent. */
  scenarios?: readonly string[];
  /** @param rival what the static policy came to with the same calls, if it was run */
  isReached: (ours: Figures, rival: Figures | undefined, size: { callsPerSlot: number }) => boolean;
}

/** The policy that has to reach them, and the one that it is held against. */
export const OURS = 'ours';
export const RIVAL = 'static';

/**
 * With fewer calls to a slot, chance alone (1 in the square root of the calls) takes the worst minute past the limit, also under
 * perfect weights: then only the average is held against it.
 */
const CALLS_PER_SLOT_WITHOUT_NOISE = 1_500;

const CHECK: SlotHealthCheck = { port: 8080, path: '/healthz', intervalSeconds: 10, failureThreshold: 2 };
/** Besides what health checks and caches take: an SRC may have waited for the other targets of its answer before. */
const OTHER_WAITS_SECONDS = (MAX_SLOTS_PER_SERVICE - 1) * SRC_PATIENCE_SECONDS;
const LONGEST_SECONDS_TO_LAST_INVITE = longestNoticeSeconds(CHECK) + SRV_TTL_SECONDS + OTHER_WAITS_SECONDS;

const balanced =
  (limit: number): Target['isReached'] =>
  (ours, _, { callsPerSlot }) =>
    ours.highestOverMean <= limit &&
    (callsPerSlot < CALLS_PER_SLOT_WITHOUT_NOISE || ours.highestOverMeanWorst <= limit);

export const TARGETS: readonly Target[] = [
  {
    what: 'highest over mean utilisation at most 1.10',
    scenarios: ['steady'],
    isReached: balanced(1.1),
  },
  {
    what: 'highest over mean utilisation at most 1.25',
    scenarios: ['morning-ramp'],
    isReached: balanced(1.25),
  },
  {
    what: 'no INVITE refused, where static weights refuse some',
    scenarios: ['half-size-slot'],
    isReached: (ours, rival) => ours.refusedInvites === 0 && rival?.refusedInvites !== 0,
  },
  {
    what: 'no call lost',
    isReached: ({ scenario, lostCalls }) => scenario === 'slot-stalls' || lostCalls === 0,
  },
  {
    what: 'at most 60 Route 53 changes of any slot in an hour',
    isReached: ({ changesPerSlotHourMost }) => changesPerSlotHourMost <= 60,
  },
  {
    what: `a dead slot gets no INVITE after ${LONGEST_SECONDS_TO_LAST_INVITE} s`,
    scenarios: [
      'slot-dies',
      'slot-hangs',
      'slot-stalls',
      'region-lost',
      'region-back',
      'slot-back',
      'route53-down',
      'reports-missing',
    ],
    isReached: ({ secondsToLastInvite }) =>
      secondsToLastInvite !== null && secondsToLastInvite <= LONGEST_SECONDS_TO_LAST_INVITE,
  },
];

/** What was missed, one line each. */
export function missedTargets(all: readonly Figures[], size: { callsPerSlot: number }): string[] {
  return all
    .filter(({ policy }) => policy === OURS)
    .flatMap((ours) => {
      const rival = all.find(
        ({ scenario, seed, policy }) => policy === RIVAL && scenario === ours.scenario && seed === ours.seed,
      );
      return TARGETS.filter(
        ({ scenarios, isReached }) =>
          (scenarios?.includes(ours.scenario) ?? true) && !isReached(ours, rival, size),
      ).map(({ what }) => `${ours.scenario}, seed ${ours.seed}: ${what}`);
    });
}
