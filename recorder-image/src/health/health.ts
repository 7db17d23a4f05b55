/**
 * Whether this recorder should get new calls. Local facts only: were it to depend on S3 or DynamoDB, all slots would
 * turn red together and steering would be lost (DESIGN.md 4.4).
 */

/** What a recording needs, at one moment. */
export interface Resources {
  /** Threads that receive media. */
  mediaWorkers: number;
  /** They do not keep up with the packets, for want of CPU or because the disk is slow. */
  mediaOverloaded: boolean;
  freeRtpPortPairs: number;
  freeSpoolBytes: number;
  /** What the recordings that run need to end and be finished. */
  spoolReserveBytes: number;
}

/** All that is looked at. */
export interface LocalFacts extends Resources {
  sipServerConnected: boolean;
  draining: boolean;
  full: boolean;
  /** The spool's disk will be full soon. Calls that still come are taken: there is room, and nobody else may have more. */
  spoolIsFilling: boolean;
}

/** A call of two streams takes two pairs of ports. */
const MIN_FREE_PORT_PAIRS = 2;

type Checks<Facts> = readonly [isBad: (facts: Facts) => boolean, reason: string][];

const RESOURCE_CHECKS: Checks<Resources> = [
  [({ mediaWorkers }) => mediaWorkers === 0, 'media-workers-gone'],
  [({ mediaOverloaded }) => mediaOverloaded, 'media-overloaded'],
  [({ freeRtpPortPairs }) => freeRtpPortPairs < MIN_FREE_PORT_PAIRS, 'rtp-ports-short'],
  [({ freeSpoolBytes, spoolReserveBytes }) => freeSpoolBytes <= spoolReserveBytes, 'disk-full'],
];

const CHECKS: Checks<LocalFacts> = [
  [({ sipServerConnected }) => !sipServerConnected, 'sip-server-gone'],
  [({ draining }) => draining, 'draining'],
  [({ full }) => full, 'full'],
  [({ spoolIsFilling }) => spoolIsFilling, 'spool-filling'],
  ...RESOURCE_CHECKS,
];

const reasonsOf = <Facts>(checks: Checks<Facts>, facts: Facts): string[] =>
  checks.filter(([isBad]) => isBad(facts)).map(([, reason]) => reason);

/** Reasons against new calls; none means healthy. */
export const unhealthyReasons = (facts: LocalFacts): string[] => reasonsOf(CHECKS, facts);

/** Those of the reasons that lie in what a recording needs. */
export const shortages = (resources: Resources): string[] => reasonsOf(RESOURCE_CHECKS, resources);
