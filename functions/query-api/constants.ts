/** Names shared by this function and the construct that deploys it. */
export const SERVICE_NAME = 'query-api';

/** Every route of the API, as API Gateway resources; the router of `routes.ts` has the same ones. */
export const ROUTES = ['/recordings', '/recordings/{id}', '/recordings/{id}/audio', '/calls/{id}'] as const;

/** Seconds that a playback address is valid. It also dies with the credentials that signed it. */
export const AUDIO_URL_TTL_SECONDS = 600;
