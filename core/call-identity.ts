/**
 * Which recordings belong to one call: the communication session behind a recording session.
 *
 * BroadWorks opens one recording session per recorded party and renews every UUID of its metadata on a transfer, so
 * neither the SIP dialog nor those UUIDs identify a call. Best first:
 * 1. `X-BroadWorks-Correlation-Info`: the same in both parties' sessions, and stable through redirections;
 * 2. `extTrackingID`: equal to the header in a call's first document, renewed by a redirection (then `newExtTrackingID`);
 * 3. ids that other SRCs' extensions give the call: NetSapiens' group, Avaya's UCID, Genesys' UUID, Cisco's refci;
 * 4. the group, the Session-ID of the recorded dialogs, then the session, of RFC 7865, for SRCs that are not BroadWorks;
 * 5. the SIP Call-ID: a call of one recording.
 */
import type { BroadWorksData } from './manifest.ts';

export interface CallFacts {
  broadWorks?: BroadWorksData;
  /** Value of the `X-BroadWorks-Correlation-Info` header. */
  correlationHeader?: string;
  /** Ids of the call from the metadata's extensions. */
  correlationIds?: readonly string[];
  /** Ids of the metadata's groups and sessions; not used beside BroadWorks' extension. */
  groupIds?: readonly string[];
  sessionIds?: readonly string[];
  /** `sipSessionID` of the metadata's sessions: Session-ID values of the recorded dialogs (RFC 7989), as sent. */
  sipSessionIds?: readonly string[];
  /** Number of this recording session among those of its group. */
  groupSequence?: number;
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
  /** Place of this recording among those of the call, where the SRC numbers them. */
  sequence?: number;
}

/** Joins what is known of a recording session into the identity of its call. */
export function callIdentity(facts: CallFacts): CallIdentity {
  const { broadWorks, groupSequence, sipCallId } = facts;
  const known = [
    facts.correlationHeader,
    broadWorks?.extTrackingId,
    broadWorks?.newExtTrackingId,
    ...(facts.correlationIds ?? []),
    ...(broadWorks ? [] : (facts.groupIds ?? [])),
    ...(facts.sipSessionIds ?? []).flatMap(endpointUuids),
    ...(broadWorks ? [] : (facts.sessionIds ?? [])),
    sipCallId,
  ].flatMap((id) => id?.trim() || []);
  const correlationIds = [...new Set(known)];
  return {
    callId: correlationIds[0] ?? sipCallId,
    correlationIds,
    ...(groupSequence !== undefined && { sequence: groupSequence }),
  };
}

/**
 * A Session-ID holds one UUID for each end, `local;remote=...`, and the ends see them swapped (RFC 7989 section 5): each
 * is an id by itself, in the order of the text so that both ends begin with the same. The nil UUID stands for an end
 * that is not known yet. What is no such UUID is kept as it is.
 */
const endpointUuids = (sipSessionId: string): string[] => {
  const uuids = sipSessionId.toLowerCase().match(/\b[\da-f]{32}\b/g);
  return uuids ? uuids.filter((uuid) => !/^0+$/.test(uuid)).sort() : [sipSessionId];
};
