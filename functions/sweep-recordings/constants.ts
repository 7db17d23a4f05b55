/** Names shared by this function and the construct that deploys it. */
export const SERVICE_NAME = 'sweep-recordings';

/** Environment variable: seconds after which what has not arrived is missing (`graceMs`); not set by the stacks, for drills. */
export const SWEEP_GRACE_SECONDS = 'SIPREC_SWEEP_GRACE_SECONDS';

/** Metric names. Those of copies have the dimension `TARGET_DIMENSION`. */
export const METRICS = {
  /** Of this run. */
  looked: 'RecordingsSwept',
  unindexed: 'RecordingsFoundUnindexed',
  requested: 'CopiesRequestedAgain',
  checked: 'CopiesChecked',
  damaged: 'CopiesFoundDamaged',
  /** Of a whole round through all days, told at its end: copies that are due and not there, and how long the oldest is due. */
  backlog: 'ReplicationBacklog',
  backlogAge: 'ReplicationBacklogAgeSeconds',
} as const;
export const TARGET_DIMENSION = 'target';

/** As long as queues keep what failed: what is older has been seen by very many sweeps. */
export const SWEPT_DAYS = 14;

/** Partition of the index table that holds how far the sweep of a region has come. */
export const sweepPartition = (homeRegion: string): string => `SWEEP#${homeRegion}`;
