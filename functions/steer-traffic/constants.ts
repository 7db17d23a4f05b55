/** Names shared by this function and the construct that deploys it. */
export const SERVICE_NAME = 'steer-traffic';

/** Environment: name of the zone, without a closing dot. */
export const ZONE = 'SIPREC_ZONE';
/** Environment: id of the hosted zone where the deployment file gives it; otherwise the function looks it up. */
export const HOSTED_ZONE_ID = 'SIPREC_HOSTED_ZONE_ID';
/** Environment: the SRV names with the slots of this region in each, in JSON: `{"_sip._udp.siprec.rec.example.com": ["use1-1"]}`. */
export const STEERED_NAMES = 'SIPREC_STEERED_NAMES';

export const METRICS = {
  /** Of a slot (dimension `slot`), as it stands after the run; the largest of its SRV records. */
  weight: 'SlotWeight',
  /** SRV records that were given another weight. */
  changes: 'WeightChanges',
  /** Seconds. */
  oldestReport: 'OldestReportAge',
  /** Slots that never reported, whose item is unreadable, or whose last report is stale. */
  withoutFreshReport: 'SlotsWithoutFreshReport',
  /** SRV records of the plan that the zone does not hold, or not as one multivalue answer. */
  missingRecords: 'MissingRecords',
  /** Runs that changed nothing because they could not (dimension `REASON_DIMENSION`: a `SkipReason`). */
  skipped: 'SkippedRuns',
  /** Of each run, 0 or 1: it could change nothing, and not for a change that is still on its way. */
  failed: 'FailedRuns',
} as const;
export const REASON_DIMENSION = 'reason';

/**
 * `pending`: the last change is not at all DNS servers yet; `throttled`: Route 53 or DynamoDB wants fewer requests;
 * `unavailable`: it does not answer, or with 5xx; `refused`: it says no, and will say no again until somebody acts.
 */
export type SkipReason = 'pending' | 'throttled' | 'unavailable' | 'refused';
