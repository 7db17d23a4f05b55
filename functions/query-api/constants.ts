/** Names shared by this function and the construct that deploys it. */
export const SERVICE_NAME = 'query-api';

/** JSON: how callers sign in and what they may (`ApiAuth` of the deployment file). */
export const API_AUTH = 'SIPREC_API_AUTH';

/** JSON: the slots of the function's region, by availability zone. */
export const SLOTS_BY_ZONE = 'SIPREC_SLOTS_BY_ZONE';

/** Bucket of the recordings of the function's region. */
export const RECORDINGS_BUCKET = 'SIPREC_RECORDINGS_BUCKET';

/** Seconds that a playback address is valid. It also dies with the credentials that signed it. */
export const AUDIO_URL_TTL_SECONDS = 600;
