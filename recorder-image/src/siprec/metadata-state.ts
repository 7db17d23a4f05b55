/**
 * What is known of a session after each of its metadata documents (RFC 7865 section 5.1.2, RFC 7866 section 9.2).
 *
 * A state has the shape of a document; its warnings are those that the last document gave.
 */
import { shareAddress } from './aor.ts';
import type { MetadataParticipant, MetadataSession, RecordingMetadata } from './model.ts';
import type { MetadataWarning, MetadataWarningCode } from './warnings.ts';

/** A document with one of these may have named more than could be read. */
const CUT: readonly MetadataWarningCode[] = ['metadata-cut', 'metadata-too-many-elements'];

/** The state after each document, in order. */
export function metadataStates(documents: readonly RecordingMetadata[]): RecordingMetadata[] {
  const states: RecordingMetadata[] = [];
  for (const document of documents) states.push(applyMetadata(states.at(-1), document));
  return states;
}

/**
 * Applies a document: a complete one replaces the state, a partial one changes the elements that it names, by id.
 * A document that was cut short cannot be believed in what it does not name, so that it counts as partial; one that
 * describes nothing changes nothing.
 * @param state undefined before the first document
 */
export function applyMetadata(
  state: RecordingMetadata | undefined,
  document: RecordingMetadata,
): RecordingMetadata {
  const isCut = document.warnings.some(({ code }) => CUT.includes(code));
  if (describesNothing(document)) return { ...(state ?? document), warnings: emptyWarnings(document) };
  if (document.dataMode === 'complete' && !isCut) return document;
  if (!state) return { ...document, dataMode: 'partial', warnings: firstWarnings(document) };
  return {
    ...state,
    ...document,
    dialect: document.dialect === 'unknown' ? state.dialect : document.dialect,
    dataMode: state.dataMode,
    groups: mergeById(state.groups, document.groups, (_, told) => told),
    sessions: mergeById(state.sessions, document.sessions, mergeSession),
    participants: mergeParticipants(state, document, isCut),
    streams: mergeById(state.streams, document.streams, (known, told) => ({ ...known, ...told })),
    correlationIds: union(state.correlationIds, document.correlationIds),
    ...(document.broadWorks && { broadWorks: { ...state.broadWorks, ...document.broadWorks } }),
    direction: document.direction === 'unknown' ? state.direction : document.direction,
  };
}

const describesNothing = ({ groups, sessions, participants, streams, broadWorks }: RecordingMetadata) =>
  [groups, sessions, participants, streams].every(({ length }) => length === 0) && !broadWorks;

const emptyWarnings = ({ warnings }: RecordingMetadata): MetadataWarning[] =>
  warnings.some(({ code }) => code === 'metadata-unreadable')
    ? warnings
    : [...warnings, { code: 'metadata-without-content', detail: 'what was known before still holds' }];

const firstWarnings = ({ dataMode, warnings }: RecordingMetadata): MetadataWarning[] =>
  dataMode === 'partial'
    ? [...warnings, { code: 'partial-without-complete', detail: 'no complete document came before' }]
    : warnings;

function mergeById<Element extends { id: string }>(
  known: readonly Element[],
  told: readonly Element[],
  merge: (known: Element, told: Element) => Element,
): Element[] {
  const byId = new Map(known.map((element) => [element.id, element]));
  for (const element of told) {
    const before = byId.get(element.id);
    byId.set(element.id, before ? merge(before, element) : element);
  }
  return [...byId.values()];
}

const mergeSession = (known: MetadataSession, told: MetadataSession): MetadataSession => ({
  ...known,
  ...told,
  sipSessionIds: union(known.sipSessionIds, told.sipSessionIds),
});

function mergeParticipants(
  state: RecordingMetadata,
  document: RecordingMetadata,
  isCut: boolean,
): MetadataParticipant[] {
  const merged = (told: readonly MetadataParticipant[]) =>
    mergeById(state.participants, told, document.dialect === 'rfc7865' ? mergeParticipant : replaceStreams);
  if (document.dialect !== 'broadworks' || isCut) return merged(document.participants);
  // BroadWorks lists whoever leaves without `send`; ids may be new, so that people are known by address too.
  const gone = document.participants.filter(({ sendsStreamIds }) => !sendsStreamIds);
  return merged(document.participants.filter((participant) => !gone.includes(participant))).filter(
    (participant) => !gone.some((left) => left.id === participant.id || shareAddress(left, participant)),
  );
}

/** RFC 7865: the participant, its stays and its streams are told apart; what is not told has not changed. */
const mergeParticipant = (known: MetadataParticipant, told: MetadataParticipant): MetadataParticipant => {
  const { aors, names, number } = told.aors.length > 0 ? told : known;
  return {
    ...known,
    ...told,
    aors,
    names: names.length > 0 ? names : known.names,
    ...(number && { number }),
    joins: union(known.joins, told.joins).sort(),
    leaves: union(known.leaves, told.leaves).sort(),
  };
};

/** The drafts tell the streams within the participant: one without them has stopped contributing. */
const replaceStreams = (known: MetadataParticipant, told: MetadataParticipant): MetadataParticipant => ({
  ...mergeParticipant(known, told),
  sendsStreamIds: told.sendsStreamIds ?? [],
  receivesStreamIds: told.receivesStreamIds ?? [],
});

const union = (one: readonly string[], other: readonly string[]): string[] => [
  ...new Set([...one, ...other]),
];
