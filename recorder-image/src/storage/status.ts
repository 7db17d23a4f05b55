/** What a recording's status is, and why. Pure. */
import type { Hold, RecordedStream, RecordingStatus } from '../../../core/manifest.ts';
import type { AssembledStream } from '../media/assemble.ts';
import { missingMs } from './gap-causes.ts';
import {
  type ClosedStreamCounters,
  type Ending,
  eventsOf,
  type SessionRecord,
  STREAM_NOT_RECORDED,
} from './session-record.ts';

/** Why an ending other than the SRC's BYE makes a recording partial. */
const ENDING_REASONS: Partial<Record<Ending, string>> = {
  recorder: 'the recorder ended the recording before the call',
  'sip-server-lost': 'the end of the call was not signalled',
  silence: 'the end of the call was not signalled: no RTP came any more',
  ceiling: 'the recorder ended the recording at the longest time that one may take',
  'disk-full': 'the recorder ended the recording because its disk was full',
  crash: 'the end of the call was not signalled: the dialog was lost with the recorder that died',
};

/** A stream as the manifest tells it, and what only the spool does. */
export interface StreamOutcome {
  journal: string;
  stream: RecordedStream;
  assembled: AssembledStream;
  counters: ClosedStreamCounters | undefined;
}

/** Of the session. */
export interface SessionFrame {
  /** Milliseconds since the epoch. */
  endedAtMs: number;
  holds: readonly Hold[];
}

/** `complete` is only said when it is true: each thing that is missing, or may be, is a reason against it. */
export function statusOf(
  record: SessionRecord,
  outcomes: readonly StreamOutcome[],
  frame: SessionFrame,
): { status: RecordingStatus; statusReasons: string[] } {
  const endedBy = eventsOf(record, 'closed').at(-1)?.endedBy;
  const statusReasons = [
    ...sessionReasons(record, endedBy),
    ...(endedBy === 'bye' ? quietEnd(outcomes, frame) : []),
    ...missingStreams(record, outcomes),
    ...streamReasons(outcomes),
  ];
  const isRecovered = endedBy === undefined || endedBy === 'crash';
  if (isRecovered) return { status: 'recovered', statusReasons };
  return { status: statusReasons.length > 0 ? 'partial' : 'complete', statusReasons };
}

function sessionReasons(record: SessionRecord, endedBy: Ending | undefined): string[] {
  const { unreadableLines } = record;
  const ending = endedBy
    ? ENDING_REASONS[endedBy]
    : 'the end of the recording was not written down (the recorder died, or its disk failed): the last second may be missing';
  return [
    ...(ending ? [ending] : []),
    ...(unreadableLines > 0 ? [`${unreadableLines} unreadable lines in the session record`] : []),
  ];
}

/** SRCs send until they hang up, and a BYE may be on its way for a moment. */
const QUIET_MS = 3_000;

/**
 * RTP that stopped long before the BYE: the network between may have failed, which no packet tells. A sender that has paused
 * for as long before, or that is on hold, had nothing to send.
 */
function quietEnd(outcomes: readonly StreamOutcome[], { endedAtMs, holds }: SessionFrame): string[] {
  const times = outcomes.flatMap(({ stream }) =>
    stream.lastPacketAt ? [Date.parse(stream.lastPacketAt)] : [],
  );
  if (times.length === 0) return [];
  const heardAtMs = Math.max(...times);
  if (holds.some(({ endedAt }) => endedAt === undefined || Date.parse(endedAt) > heardAtMs)) return [];
  const pauses = outcomes.flatMap(({ stream }) => stream.gaps.filter(({ cause }) => cause === 'not-sent'));
  const longestPauseMs = Math.max(0, ...pauses.map(({ fromMs, toMs }) => toMs - fromMs));
  const quietMs = endedAtMs - heardAtMs;
  return quietMs > Math.max(QUIET_MS, longestPauseMs)
    ? [`no RTP came in the last ${(quietMs / 1000).toFixed(1)} s before the end of the call`]
    : [];
}

function missingStreams(record: SessionRecord, outcomes: readonly StreamOutcome[]): string[] {
  const there = new Set(outcomes.map(({ journal }) => journal));
  const opened = new Map(eventsOf(record, 'stream').map(({ journal, label }) => [journal, label]));
  return [
    ...(opened.size === 0 ? ['no stream was opened'] : []),
    ...eventsOf(record, 'warning')
      .filter(({ code }) => code === STREAM_NOT_RECORDED)
      .map(({ detail }) => `not recorded: ${detail}`),
    ...[...opened]
      .filter(([journal]) => !there.has(journal))
      .map(([journal, label]) => `the journal of stream ${label} is not there: ${journal}`),
  ];
}

/** A pause of the sender, or a hold, is no reason: there was nothing to record. */
function streamReasons(outcomes: readonly StreamOutcome[]): string[] {
  const isHeard = outcomes.some(({ stream }) => stream.packets > 0);
  return outcomes.flatMap((outcome) => REASONS.flatMap((reason) => reason(outcome, isHeard) ?? []));
}

/** `isHeard`: some stream of the recording has RTP. */
type Reason = (outcome: StreamOutcome, isHeard: boolean) => string | undefined;

const REASONS: readonly Reason[] = [
  ({ stream }, isHeard) => {
    const { label, packets, gaps } = stream;
    const wasOnHold = gaps.length > 0 && gaps.every(({ cause }) => cause === 'hold');
    if (packets > 0 || wasOnHold) return undefined;
    return isHeard
      ? `no RTP on stream ${label}: this leg is silent, ${sumOf(missingMs(stream))} ms`
      : `no RTP on stream ${label}`;
  },
  ({ stream: { label, lostPackets, droppedPackets = 0, ...gaps } }) => {
    const lost = lostPackets - droppedPackets;
    return lost > 0 ? `${lost} packets lost on stream ${label}${inGaps(missingMs(gaps).lost)}` : undefined;
  },
  ({ stream: { label, droppedPackets = 0, ...gaps } }) =>
    droppedPackets > 0
      ? `${droppedPackets} packets of stream ${label} dropped by the kernel, since the recorder did not take them in time${inGaps(missingMs(gaps).dropped)}`
      : undefined,
  ({ stream }) => {
    const { crash = 0 } = missingMs(stream);
    return crash === 0
      ? undefined
      : `${Math.round(crash)} ms of stream ${stream.label} missing by a crash: nobody listened`;
  },
  ({ stream: { label }, assembled: { crashUnmeasured = false } }) =>
    crashUnmeasured
      ? `stream ${label} was interrupted by a crash before its first packet or after its last: what came then may be missing`
      : undefined,
  ({ stream: { label, unauthenticPackets = 0 } }) =>
    unauthenticPackets > 0
      ? `${unauthenticPackets} packets on stream ${label} fit none of the keys`
      : undefined,
  ({ stream, assembled: { undecoded } }) => {
    const ms = missingMs(stream).undecoded;
    if (undecoded === undefined && ms === undefined) return undefined;
    return `stream ${stream.label} is not all in the audio: ${undecoded ?? 'its journal is spoiled'}${inGaps(ms)}`;
  },
  ({ stream, assembled: { truncatedJournal, unreadBytes = 0 } }) => {
    if (!truncatedJournal && unreadBytes === 0) return undefined;
    const damage = truncatedJournal ? 'cut off' : 'spoiled';
    const unread = unreadBytes > 0 ? `, ${unreadBytes} bytes of it cannot be read` : '';
    return `the journal of stream ${stream.label} is ${damage}${unread}`;
  },
  ({ stream: { label }, counters }) =>
    counters?.writeError && `stream ${label} could not be written to its end: ${counters.writeError}`,
];

const sumOf = (sums: Partial<Record<string, number>>): number =>
  Math.round(Object.values(sums).reduce<number>((sum, ms = 0) => sum + ms, 0));

const inGaps = (ms: number | undefined): string =>
  ms === undefined ? '' : `: ${Math.round(ms)} ms missing in gaps over 20 ms`;
