/** Names shared by this function and the construct that deploys it. */
export const SERVICE_NAME = 'replicate-recording';

/** Metric names; each has the dimension `TARGET_DIMENSION`, failures also `REASON_DIMENSION`. */
export const METRICS = {
  copied: 'CopiesMade',
  alreadyCopied: 'CopiesAlreadyThere',
  gone: 'CopySourcesGone',
  failed: 'CopiesFailed',
  bytes: 'CopiedBytes',
  /** Seconds from the end of the recording to its verified copy. */
  lag: 'ReplicationLagSeconds',
} as const;
export const TARGET_DIMENSION = 'target';
export const REASON_DIMENSION = 'reason';
