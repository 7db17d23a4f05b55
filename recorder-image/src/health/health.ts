/**
 * Whether this recorder should get new calls. Local facts only: were it to depend on S3 or DynamoDB, all slots would
 * turn red together and steering would be lost (DESIGN.md 4.4).
 */

/** What is looked at, at one moment. */
export interface LocalFacts {
  sipServerConnected: boolean;
  draining: boolean;
  full: boolean;
  freeRtpPortPairs: number;
  freeSpoolBytes: number;
}

/** A call of two streams takes two pairs of ports. */
const MIN_FREE_PORT_PAIRS = 2;
/** The calls that run must still be able to end: a quarter of an hour of a few two-stream calls (2 MB a minute each). */
const MIN_FREE_SPOOL_BYTES = 64 * 1024 * 1024;

const CHECKS: readonly [isBad: (facts: LocalFacts) => boolean, reason: string][] = [
  [({ sipServerConnected }) => !sipServerConnected, 'sip-server-gone'],
  [({ draining }) => draining, 'draining'],
  [({ full }) => full, 'full'],
  [({ freeRtpPortPairs }) => freeRtpPortPairs < MIN_FREE_PORT_PAIRS, 'rtp-ports-short'],
  [({ freeSpoolBytes }) => freeSpoolBytes < MIN_FREE_SPOOL_BYTES, 'disk-full'],
];

/** Reasons against new calls; none means healthy. */
export const unhealthyReasons = (facts: LocalFacts): string[] =>
  CHECKS.filter(([isBad]) => isBad(facts)).map(([, reason]) => reason);
