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
} as const;
