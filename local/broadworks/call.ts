/** A made-up call of two people, as BroadWorks would describe it to the recorder. */
import { randomUUID } from 'node:crypto';
import { newTag } from '../sip/values.ts';
import type { Codec } from './g711.ts';

export interface Party {
  /** E.164, from the 555-01xx range reserved for fiction. */
  number: string;
  displayName: string;
  aor: string;
}

export type StreamMode = 'dual' | 'single';

/** One media stream to the recorder. */
export interface MediaStream {
  uuid: string;
  label: string;
  /** Whose voices it carries. */
  speakers: ('recordedUser' | 'other')[];
  rtpPort: number;
}

export interface SimulatedCall {
  callNumber: number;
  sipCallId: string;
  fromTag: string;
  /** CSeq of the INVITE. */
  firstCSeq: number;
  startedAt: Date;
  /** BroadWorks' id of the communication session; also X-BroadWorks-Correlation-Info. */
  extTrackingId: string;
  direction: 'outgoing' | 'incoming';
  recordedUser: Party;
  other: Party;
  serviceProviderId: string;
  groupId: string;
  codec: Codec;
  streams: MediaStream[];
  sdpSessionId: number;
  uuids: {
    recording: string;
    group: string;
    session: string;
    extension: string;
    recordedUser: string;
    other: string;
  };
}

/** Both shapes of INVITE that the simulator sends. */
export type Shape = 'broadworks' | 'rfc7866';

export const USER_DOMAIN = 'example.com';

/** People of the n-th call (from 1): different numbers for 35,000 calls, then they repeat. */
export function partiesOf(callNumber: number): { recordedUser: Party; other: Party } {
  return {
    recordedUser: party(callNumber * 2 - 2, `User ${callNumber}`),
    other: party(callNumber * 2 - 1, `Caller ${callNumber}`),
  };
}

function party(index: number, displayName: string): Party {
  const areaCode = 201 + (Math.floor(index / 100) % 700);
  const number = `+1${areaCode}55501${String(index % 100).padStart(2, '0')}`;
  return { number, displayName, aor: `sip:${number}@${USER_DOMAIN};user=phone` };
}

export interface CallOptions {
  callNumber: number;
  localAddress: string;
  codec: Codec;
  mode: StreamMode;
  /** One per stream: two for dual, one for single. */
  rtpPorts: number[];
}

/** Odd calls are outgoing, even ones incoming. */
export function makeCall({ callNumber, localAddress, codec, mode, rtpPorts }: CallOptions): SimulatedCall {
  const speakers: MediaStream['speakers'][] =
    mode === 'dual' ? [['recordedUser'], ['other']] : [['recordedUser', 'other']];
  const startedAt = new Date();
  return {
    callNumber,
    sipCallId: `BW${startedAt.toISOString().replace(/\D/g, '').slice(8)}${randomUUID().slice(0, 8)}@${localAddress}`,
    fromTag: newTag(),
    firstCSeq: 1_000_000_000 + callNumber * 2,
    startedAt,
    extTrackingId: randomUUID(),
    direction: callNumber % 2 === 1 ? 'outgoing' : 'incoming',
    ...partiesOf(callNumber),
    serviceProviderId: 'ExampleTelecom',
    groupId: 'ExampleGroup',
    codec,
    streams: speakers.map((who, index) => ({
      uuid: randomUUID(),
      label: String(index + 1),
      speakers: who,
      rtpPort: rtpPorts[index] as number,
    })),
    sdpSessionId: 1_000_000 + callNumber,
    uuids: {
      recording: randomUUID(),
      group: randomUUID(),
      session: randomUUID(),
      extension: randomUUID(),
      recordedUser: randomUUID(),
      other: randomUUID(),
    },
  };
}
