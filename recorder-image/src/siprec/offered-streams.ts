/** The streams that the offers of a session opened, and when each was on hold. */
import type { Hold, HoldCause } from '../../../core/manifest.ts';
import { type MLine, streamLabels } from '../sdp/offer.ts';

export interface OfferedStream {
  /** Index of its m-line. */
  mLine: number;
  /** As in the offer that opened it; later offers may label the m-line otherwise (RFC 7866 section 7.1.1). */
  label: string;
  openedAt: string;
  /** When its port became 0; then the m-line may open another stream. */
  closedAt?: string;
  holds: Hold[];
}

/** An offer's m-lines; those that the recorder refuses with port 0. */
export interface TimedOffer {
  at: string;
  mLines: readonly MLine[];
}

interface Place {
  stream: OfferedStream;
  before: MLine;
  /** It has had an address other than zeros: an SRC that never receives may give none from the beginning (OpenSIPS). */
  hasHadAddress: boolean;
}

/** The streams in the order in which they were opened: that of their journals. */
export function offeredStreams(offers: readonly TimedOffer[]): OfferedStream[] {
  const streams: OfferedStream[] = [];
  const places = new Map<number, Place>();
  for (const { at, mLines } of offers) {
    const labels = streamLabels(mLines);
    for (const mLine of mLines) {
      const place = places.get(mLine.index);
      const isOpen = place !== undefined && place.stream.closedAt === undefined;
      if (mLine.port === 0 || isOpen) continue;
      endHold(place?.stream, at);
      const stream = { mLine: mLine.index, label: labels[mLine.index] as string, openedAt: at, holds: [] };
      streams.push(stream);
      places.set(mLine.index, { stream, before: mLine, hasHadAddress: !mLine.held });
    }
    for (const [index, place] of places) {
      if (place.stream.closedAt !== undefined) continue;
      // RFC 3264 section 8: m-lines do not vanish; one that does has no port any more.
      const mLine = mLines[index] ?? { ...place.before, port: 0 };
      followHold(place, mLine, at);
      if (mLine.port === 0) place.stream.closedAt = at;
      place.before = mLine;
      place.hasHadAddress ||= !mLine.held;
    }
  }
  return streams;
}

/** The stream of an m-line at a time, with the offer of that time applied. */
export const streamOf = (
  streams: readonly OfferedStream[],
  mLine: number,
  at: string,
): OfferedStream | undefined =>
  streams.findLast(
    (stream) =>
      stream.mLine === mLine &&
      stream.openedAt <= at &&
      (stream.closedAt === undefined || at < stream.closedAt),
  );

/** First match wins: a stream that is inactive and has no address is inactive. */
const CAUSES: readonly { cause: HoldCause; holds: (now: MLine, place: Place) => boolean }[] = [
  { cause: 'removed', holds: ({ port }) => port === 0 },
  { cause: 'inactive', holds: ({ direction }) => direction === 'inactive' },
  { cause: 'not-sending', holds: ({ direction }) => direction === 'recvonly' },
  { cause: 'zero-address', holds: ({ held }, { hasHadAddress }) => held && hasHadAddress },
  {
    cause: 'sendonly-dropped',
    holds: (now, { before }) =>
      now.direction === 'sendrecv' && before.direction === 'sendonly' && !before.held,
  },
];

function followHold(place: Place, now: MLine, at: string): void {
  const { stream } = place;
  const current = stream.holds.at(-1);
  const open = current && current.endedAt === undefined ? current : undefined;
  const told = CAUSES.find(({ holds }) => holds(now, place))?.cause;
  // The dropped attribute stays dropped in the offers that follow.
  const persists = open?.cause === 'sendonly-dropped' && now.direction === 'sendrecv';
  const cause = told ?? (persists ? open.cause : undefined);
  if (cause === open?.cause) return;
  endHold(stream, at);
  if (cause) stream.holds.push({ streamLabel: stream.label, startedAt: at, cause });
}

function endHold(stream: OfferedStream | undefined, at: string): void {
  const hold = stream?.holds.at(-1);
  if (hold) hold.endedAt ??= at;
}
