/**
 * Who is heard in which stream: the participants of the metadata, joined to the m-lines of the SDP.
 *
 * Documents that contradict the SDP are normal (a label that is not there, a `send` that names no stream, five
 * participants on two streams). The join is by label, then by position, and each guess is a named warning.
 */
import type { Participant } from '../../../core/manifest.ts';
import { type MLine, streamLabels } from '../sdp/offer.ts';
import { bareAor, digitsOf, isLongSuffix } from './aor.ts';
import { hasLeft, type MetadataParticipant, type MetadataStream, type RecordingMetadata } from './model.ts';
import type { MetadataWarning } from './warnings.ts';

export interface Parties {
  /** The recorded user first, where that can be told; otherwise in the document's order. */
  participants: Participant[];
  warnings: MetadataWarning[];
}

/** BroadWorks in dual mode: the stream of the recorded user. */
const RECORDED_USER_LABEL = '1';

/**
 * Joins participants to streams.
 * @param mLines all m-lines of the offer, with port 0 also for those that the recorder refuses; the labels in the result
 * are those of `streamLabels(mLines)`, without those of port 0
 */
export function mapParticipants(metadata: RecordingMetadata, mLines: readonly MLine[]): Parties {
  const warnings: MetadataWarning[] = [];
  const offered = streamLabels(mLines);
  const labels = offered.filter((_, index) => mLines[index]?.port !== 0);
  const labelOfStream = mapStreams(metadata.streams, offered, labels, warnings);
  const recordedUser = recordedUserOf(metadata);
  const ordered = recordedUser
    ? [recordedUser, ...metadata.participants.filter((participant) => participant !== recordedUser)]
    : metadata.participants;

  const labelsOf = new Map<MetadataParticipant, string[]>(
    ordered.map((participant) => [
      participant,
      (participant.sendsStreamIds ?? [])
        .flatMap((id) => labelOfStream.get(id) ?? [])
        .filter((label) => labels.includes(label)),
    ]),
  );
  for (const [participant] of labelsOf)
    for (const id of unknownStreamIds(participant, metadata))
      warnings.push({
        code: 'unknown-stream-id',
        detail: `participant ${participant.id} sends ${id}, which no stream has`,
      });
  assignByPosition(metadata, labelsOf, labels, warnings);

  for (const [participant, heardIn] of labelsOf) {
    const mayBeUnheard = participant.sendsStreamIds?.length === 0 || hasLeft(participant);
    if (heardIn.length === 0 && !mayBeUnheard && metadata.dataMode === 'complete')
      warnings.push({ code: 'participant-without-stream', detail: `participant ${participant.id}` });
  }
  const claimed = new Set([...labelsOf.values()].flat());
  const isSomebodySilent = ordered.some(({ sendsStreamIds }) => sendsStreamIds?.length === 0);
  for (const label of labels)
    if (!claimed.has(label) && !isSomebodySilent && metadata.dataMode === 'complete')
      warnings.push({ code: 'stream-without-participant', detail: `stream ${label}` });

  if (recordedUser) warnWrongSide(metadata, recordedUser, labelsOf.get(recordedUser) ?? [], labels, warnings);
  const participants = [...labelsOf].map(([participant, heardIn]) => toParticipant(participant, heardIn));
  return { participants: recordedUser ? participants : labelOneFirst(metadata, participants), warnings };
}

/** Stream id to SDP label: the streams whose label was offered, then the others, in order, on open m-lines. */
function mapStreams(
  streams: readonly MetadataStream[],
  offered: readonly string[],
  open: readonly string[],
  warnings: MetadataWarning[],
): Map<string, string> {
  const labelOf = new Map<string, string>();
  for (const { id, label } of streams) if (label && offered.includes(label)) labelOf.set(id, label);
  const taken = new Set(labelOf.values());
  const free = open.filter((label) => !taken.has(label));
  for (const { id, label } of streams.filter((stream) => !labelOf.has(stream.id))) {
    const assigned = free.shift();
    if (assigned !== undefined) labelOf.set(id, assigned);
    const sent = label ? `label ${label}` : 'no label';
    const outcome = assigned === undefined ? 'the SDP has no stream left for it' : `taken as ${assigned}`;
    warnings.push({ code: 'label-mismatch', detail: `stream ${id} has ${sent}, ${outcome}` });
  }
  return labelOf;
}

const unknownStreamIds = (
  { sendsStreamIds = [] }: MetadataParticipant,
  { streams }: RecordingMetadata,
): string[] => sendsStreamIds.filter((sent) => !streams.some(({ id }) => id === sent));

/**
 * Participants whose `send` names no stream take, in order, the streams that nobody claims; a single stream is
 * everybody's, which is no guess. One without `send` does not speak, and is left alone, unless the document says of nobody what they send;
 * whom it calls silent is silent.
 */
function assignByPosition(
  metadata: RecordingMetadata,
  labelsOf: Map<MetadataParticipant, string[]>,
  labels: readonly string[],
  warnings: MetadataWarning[],
): void {
  const nobodySends = metadata.participants.every(({ sendsStreamIds = [] }) => sendsStreamIds.length === 0);
  const guessAll = nobodySends && metadata.dataMode === 'complete';
  const claimed = new Set([...labelsOf.values()].flat());
  const free = labels.filter((label) => !claimed.has(label));
  const isSingle = labels.length === 1 && metadata.streams.length <= 1;
  for (const [participant, heardIn] of labelsOf) {
    const isLost =
      (guessAll && !participant.sendsStreamIds) || unknownStreamIds(participant, metadata).length > 0;
    if (heardIn.length > 0 || !isLost) continue;
    const label = isSingle ? labels[0] : free.shift();
    if (label === undefined) continue;
    labelsOf.set(participant, [label]);
    if (isSingle) continue;
    warnings.push({
      code: 'participant-by-position',
      detail: `participant ${participant.id} taken as the voice of stream ${label}`,
    });
  }
}

/** The party of BroadWorks' extension that is the recorded user: the caller of an `origCall`, the called of a `termCall`. */
function recordedUserOf({
  broadWorks,
  direction,
  participants,
}: RecordingMetadata): MetadataParticipant | undefined {
  if (!broadWorks) return undefined;
  const party = {
    outgoing: broadWorks.callingPartyNumber,
    incoming: broadWorks.calledPartyNumber,
    unknown: undefined,
  };
  const number = digitsOf(party[direction]);
  const tests: ((participant: MetadataParticipant) => boolean)[] = [
    (participant) => number !== '' && digitsOf(participant.number) === number,
    // One side may be in national, the other in international form.
    (participant) => isLongSuffix(digitsOf(participant.number), number),
    ({ aors }) => broadWorks.userId !== undefined && aors.map(bareAor).includes(bareAor(broadWorks.userId)),
  ];
  for (const test of tests) {
    const [match, ...others] = participants.filter(test);
    if (match && others.length === 0) return match;
  }
  return undefined;
}

/** In dual mode the recorded user speaks in label 1; the document is believed, but somebody should know. */
function warnWrongSide(
  { streams }: RecordingMetadata,
  { id }: MetadataParticipant,
  heardIn: readonly string[],
  labels: readonly string[],
  warnings: MetadataWarning[],
): void {
  const isDual = streams.filter(({ mode }) => mode === 'separate').length > 1;
  if (
    isDual &&
    labels.includes(RECORDED_USER_LABEL) &&
    heardIn.length > 0 &&
    !heardIn.includes(RECORDED_USER_LABEL)
  )
    warnings.push({
      code: 'recorded-user-label-mismatch',
      detail: `participant ${id} is the recorded user but speaks in ${heardIn.join(', ')}`,
    });
}

/** Where the numbers do not tell: in dual mode the recorded user is the one alone on label 1. */
function labelOneFirst(metadata: RecordingMetadata, participants: Participant[]): Participant[] {
  if (!metadata.broadWorks || metadata.streams.length < 2) return participants;
  const [user, ...others] = participants.filter(
    ({ streamLabels: heardIn }) => heardIn.length === 1 && heardIn[0] === RECORDED_USER_LABEL,
  );
  return user && others.length === 0
    ? [user, ...participants.filter((participant) => participant !== user)]
    : participants;
}

const toParticipant = (participant: MetadataParticipant, heardIn: readonly string[]): Participant => {
  const { id, aors, names, number, joins, leaves } = participant;
  return {
    id,
    aors,
    names,
    ...(number && { number }),
    streamLabels: [...new Set(heardIn)],
    ...(joins[0] && { joinedAt: joins[0] }),
    ...(hasLeft(participant) && { leftAt: leaves.at(-1) }),
  };
};
