/**
 * Which recordings belong to one call: the communication session behind a recording session.
 *
 * BroadWorks opens one recording session per recorded party and renews every UUID of its metadata on a transfer, so
 * neither the SIP dialog nor those UUIDs identify a call. Best first:
 * 1. `X-BroadWorks-Correlation-Info`: the same in both parties' sessions, and stable through redirections;
 * 2. `extTrackingID`: equal to the header in a call's first document, renewed by a redirection (then `newExtTrackingID`);
 * 3. the group, then the session, of RFC 7865, for SRCs that are not BroadWorks;
 * 4. the SIP Call-ID: a call of one recording.
 */
import type { BroadWorksData } from './manifest.ts';

export interface CallFacts {
  broadWorks?: BroadWorksData;
  /** Value of the `X-BroadWorks-Correlation-Info` header. */
  correlationHeader?: string;
  /** Ids of the metadata's groups and sessions; not used beside BroadWorks' extension. */
  groupIds?: readonly string[];
  sessionIds?: readonly string[];
  sipCallId: string;
}

export interface CallIdentity {
  callId: string;
  /**
   * Every id that another recording of the call may have in common, best first, without repetition: `callId`,
   * `newExtTrackingID` (the bridge to the call after a redirection), and the SIP Call-ID last. BroadWorks' `callID`
   * (`callhalf-N:M`) is not among them: it counts within one server, so two calls may share it.
   */
  correlationIds: string[];
}

/** Joins what is known of a recording session into the identity of its call. */
export function callIdentity(facts: CallFacts): CallIdentity {
  const { broadWorks, correlationHeader, groupIds = [], sessionIds = [], sipCallId } = facts;
  const known = [
    correlationHeader,
    broadWorks?.extTrackingId,
    broadWorks?.newExtTrackingId,
    ...(broadWorks ? [] : [...groupIds, ...sessionIds]),
    sipCallId,
  ].flatMap((id) => id?.trim() || []);
  const correlationIds = [...new Set(known)];
  return { callId: correlationIds[0] ?? sipCallId, correlationIds };
}
