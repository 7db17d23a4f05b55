/** Names shared by this function and the construct that deploys it. */
export const SERVICE_NAME = 'replicate-recording';

/** Metric names; each has the dimension `TARGET_DIMENSION`, failures also `REASON_DIMENSION`. */
export const METRICS = {
  copied: 'CopiesMade',
  alreadyCopied: 'CopiesAlreadyThere',
  gone: 'CopySourcesGone',
  /** Jobs that were still in the queue when the window closed. */
  outsideWindow: 'CopiesLeftToTheWindow',
  /** Jobs of recordings that the target's filters leave out by now. */
  unwanted: 'CopiesUnwanted',
  failed: 'CopiesFailed',
  bytes: 'CopiedBytes',
  /** Seconds from when a copy was due (the end of the recording, or the opening of the window after it) until it was verified. */
  lag: 'ReplicationLagSeconds',
} as const;
export const TARGET_DIMENSION = 'target';
export const REASON_DIMENSION = 'reason';
