/**
 * How long Route 53's health checks take to notice. Its checkers probe each for itself every 10 s, a checker turns after two
 * contrary results, and an endpoint is healthy while more than 18 % of the checkers say so (Developer Guide, "How Route 53
 * determines whether a health check is healthy").
 */
import type { SlotHealthCheck } from '../../core/slot-plan.ts';
import type { Random } from './random.ts';

/** Eight regions; two in each is an assumption, on which little hangs. */
const CHECKERS = 16;
const HEALTHY_SHARE = 0.18;
/** From the checkers' verdict to the answers of the name servers: an assumption. */
const INTO_DNS_SECONDS = 5;

/** How an endpoint answers a probe: what it does, and how long the checker waits for it. */
export const PROBE_SECONDS = {
  /** 200 or 503, at once. */
  answers: 0,
  /** The kernel still accepts the connection: the limit for the response. */
  hangs: 2,
  /** The limit for the connection. */
  dead: 4,
} as const;

export type ProbeOutcome = keyof typeof PROBE_SECONDS;

/** When the checkers of one slot probe, in seconds within the interval; ascending. */
export const probePhases = (check: SlotHealthCheck, random: Random): number[] =>
  Array.from({ length: CHECKERS }, () => random() * check.intervalSeconds).sort((a, b) => a - b);

/**
 * When the answers of DNS follow a change of an endpoint's health.
 * @param changedAtSeconds when the endpoint changed
 * @param outcome how it answers from then on
 */
export function inDnsAtSeconds(
  check: SlotHealthCheck,
  phases: readonly number[],
  changedAtSeconds: number,
  healthy: boolean,
  outcome: ProbeOutcome,
): number {
  const { intervalSeconds, failureThreshold } = check;
  const verdicts = phases
    .map((phase) => {
      const first = Math.ceil((changedAtSeconds - phase) / intervalSeconds) * intervalSeconds + phase;
      return first + (failureThreshold - 1) * intervalSeconds + PROBE_SECONDS[outcome];
    })
    .sort((a, b) => a - b);
  const healthyNeeded = Math.floor(HEALTHY_SHARE * phases.length) + 1;
  // Healthy with the first so many; unhealthy as soon as fewer than so many still say healthy.
  const deciding = healthy ? healthyNeeded - 1 : phases.length - healthyNeeded;
  return (verdicts[deciding] as number) + INTO_DNS_SECONDS;
}

/** At most so long a dead endpoint is still in the answers of the name servers, with the checks of the slot plan. */
export const LONGEST_NOTICE_SECONDS = 10 * 2 + PROBE_SECONDS.dead + INTO_DNS_SECONDS;
