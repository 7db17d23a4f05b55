/** Names shared by this function and the construct that deploys it. */
export const SERVICE_NAME = 'expire-recordings';

/** Metric names. */
export const METRICS = {
  /** Deletions that were begun, by request or by age. */
  begun: 'DeletionsBegun',
  /** Proved in every region. */
  deleted: 'DeletionsDone',
  /** Looked at and left alone: there is a hold, or a lock. */
  held: 'DeletionsHeld',
  /** Not done because a region does not answer or refuses. */
  open: 'DeletionsOpen',
  failed: 'DeletionsFailed',
  /** Found after the deletion, and deleted. */
  leftovers: 'DeletionLeftovers',
} as const;

/** Partition of the index table that holds how far the search for what is past its retention has come. */
export const expirePartition = (homeRegion: string): string => `EXPIRE#${homeRegion}`;

/** From a request until it is looked at: whoever made it by mistake may still set a hold. */
export const REQUEST_MATURES_MS = 60_000;
