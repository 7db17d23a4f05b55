/** Names shared by this function and the construct that deploys it. */
export const SERVICE_NAME = 'assure-recordings';

export const ASSURE_EVERY_SECONDS = 300;

/** Of the keys of all items that this function writes into the fleet table. */
export const ASSURED_PREFIX = 'ASSURED#';

/** Environment: the slots of this region, in JSON. */
export const SLOTS = 'SIPREC_SLOTS';

/** Metric names. */
export const METRICS = {
  /**
   * Recordings that began, that their slot does not have any more, and that the index never had, in the hours that are looked at.
   * Of the region, and of each slot (dimension `SLOT_DIMENSION`).
   */
  missing: 'RecordingsMissing',
  /** Of the region: recordings of those hours that slots still have. */
  open: 'RecordingsOpen',
} as const;
