/** Names shared by this function and the construct that deploys it. */
export const SERVICE_NAME = 'index-recording';

/** Metric names: what became of each manifest event. */
export const METRICS = {
  indexed: 'ManifestsIndexed',
  alreadyIndexed: 'ManifestsAlreadyIndexed',
  foreign: 'ForeignObjects',
  gone: 'ManifestsGone',
  deleted: 'ManifestsOfDeletedRecordings',
  invalid: 'ManifestsInvalid',
  /** Recordings that came into the index or were replaced there (dimension `STATUS_DIMENSION`: their status). */
  recordings: 'RecordingsIndexed',
  /** Of each of those, 0 or 1: it is not complete. */
  imperfect: 'RecordingsImperfect',
  /** Of those: seconds since S3 took the manifest. */
  lag: 'IndexLagSeconds',
} as const;
export const STATUS_DIMENSION = 'status';
