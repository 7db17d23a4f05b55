/**
 * The story of a recording session, for its manifest: who was there and when, what was on hold, to whom the call was
 * transferred, and whom each stream carried. Pure: the same messages give the same story, also after a crash.
 */
import type { Carried, Hold, Participant, Transfer, Warning } from '../../../core/manifest.ts';
import { type MLine, streamLabels } from '../sdp/offer.ts';
import { applyMetadata } from './metadata-state.ts';
import type { RecordingMetadata } from './model.ts';
import { type OfferedStream, offeredStreams, streamOf } from './offered-streams.ts';
import { mapParticipants } from './parties.ts';
import { isPresent, leave, MAX_PEOPLE, type Person, recognise, stay, toParticipant } from './people.ts';
import { transferOf } from './transfers.ts';
import type { MetadataWarning } from './warnings.ts';

/** An INVITE, re-INVITE or UPDATE: an offer, a metadata document, or both. `at` is RFC 3339 in UTC with milliseconds. */
export interface SessionMessage {
  at: string;
  /** Of the offer; m-lines that the recorder refuses have port 0. */
  mLines?: readonly MLine[];
  metadata?: RecordingMetadata;
}

/** A stream of the story; in the order of opening, which is that of the journals. */
export interface StreamStory extends OfferedStream {
  carried: Carried[];
}

export interface Story {
  /** In order of appearance, the recorded user first where that can be told. */
  participants: Participant[];
  streams: StreamStory[];
  holds: Hold[];
  transfers: Transfer[];
  /** Of all documents, each once, with the time at which it first applied; of one code only the first 20. */
  warnings: Warning[];
}

/**
 * Tells the story of a session.
 * @param messages in the order of their arrival
 */
export function tellStory(messages: readonly SessionMessage[]): Story {
  const told = withoutGuesses(messages);
  const streams: StreamStory[] = offeredStreams(
    told.flatMap(({ at, mLines }) => (mLines ? [{ at, mLines }] : [])),
  ).map((stream) => ({ ...stream, carried: [] }));
  const people: Person[] = [];
  const transfers: Transfer[] = [];
  const warnings = new Map<string, Warning>();
  let state: RecordingMetadata | undefined;
  let mLines: readonly MLine[] = [];

  for (const { at, mLines: offered, metadata } of told) {
    mLines = offered ?? mLines;
    const before = {
      ids: new Set(state?.participants.map(({ id }) => id)),
      present: people.filter(isPresent),
    };
    if (metadata) state = applyMetadata(state, metadata);
    if (!state) continue;
    const mapped = mapParticipants(state, mLines);
    // An offer alone leaves the metadata as it is: what then contradicts it is no fault of the document.
    if (metadata) collect(warnings, [...state.warnings, ...contradictions(metadata, mapped.warnings)], at);
    const here = peopleHere(people, state, mapped.participants, at);
    if (people.length === MAX_PEOPLE)
      collect(warnings, [{ code: 'too-many-people', detail: `no more than ${MAX_PEOPLE} are listed` }], at);
    if (metadata) {
      const transfer = transferOf(at, metadata, before, people.filter(isPresent), transfers.at(-1));
      if (transfer) transfers.push(transfer);
    }
    carry(streams, mLines, here, at);
  }
  return {
    participants: people.map((person) => toParticipant(person, labelsOf(person, streams))),
    streams,
    holds: streams.flatMap(({ holds }) => holds),
    transfers,
    warnings: [...warnings.values()],
  };
}

/** Parties from SIP headers are a guess, and nothing any more once metadata names anybody. */
function withoutGuesses(messages: readonly SessionMessage[]): SessionMessage[] {
  const isKnown = messages.some(
    ({ metadata }) => metadata && metadata.dialect !== 'none' && metadata.participants.length > 0,
  );
  return messages.map((message) => {
    const { metadata, ...rest } = message;
    return isKnown && metadata?.dialect === 'none' ? rest : message;
  });
}

/** BroadWorks tells by a partial document who left: that their stream then carries nobody is what it says. */
const contradictions = (
  { dataMode }: RecordingMetadata,
  warnings: readonly MetadataWarning[],
): MetadataWarning[] =>
  warnings.filter(({ code }) => dataMode === 'complete' || code !== 'stream-without-participant');

/** A document with hundreds of elements can be wrong in each of them, and every update anew. */
const MAX_OF_ONE_CODE = 20;

function collect(warnings: Map<string, Warning>, found: readonly MetadataWarning[], at: string): void {
  for (const { code, detail } of found) {
    const key = `${code} ${detail}`;
    const isKnown = warnings.has(key);
    const alike = [...warnings.values()].filter((warning) => warning.code === code).length;
    if (!isKnown && alike < MAX_OF_ONE_CODE) warnings.set(key, { code, detail, at });
  }
}

/** Somebody who is there, with the labels, as of the present offer, of the streams that carry the voice. */
interface Presence {
  person: Person;
  labels: readonly string[];
}

/** Brings everyone's stays up to date; whoever the state does not name has left. */
function peopleHere(
  people: Person[],
  state: RecordingMetadata,
  mapped: readonly Participant[],
  at: string,
): Presence[] {
  // In the order of the mapping: the recorded user first.
  const participants = mapped.flatMap(({ id }) => state.participants.find((one) => one.id === id) ?? []);
  const found = recognise(people, participants);
  for (const [participant, person] of found) stay(person, participant, at);
  const named = new Set(found.values());
  for (const person of people) if (!named.has(person)) leave(person, at);
  return [...found]
    .filter(([, person]) => isPresent(person))
    .map(([{ id }, person]) => ({
      person,
      labels: mapped.find((one) => one.id === id)?.streamLabels ?? [],
    }));
}

/** Brings up to date whom each stream carries. */
function carry(
  streams: readonly StreamStory[],
  mLines: readonly MLine[],
  here: readonly Presence[],
  at: string,
): void {
  const labels = streamLabels(mLines);
  for (const stream of streams) {
    const isOpen = streamOf(streams, stream.mLine, at) === stream;
    const label = isOpen ? labels[stream.mLine] : undefined;
    const voices = here.filter((one) => label !== undefined && one.labels.includes(label));
    const heard = new Set(voices.map(({ person }) => person.id));
    const open = stream.carried.filter(({ endedAt }) => endedAt === undefined);
    for (const carried of open) if (!heard.delete(carried.participantId)) carried.endedAt = at;
    for (const participantId of heard) stream.carried.push({ participantId, startedAt: at });
  }
}

const labelsOf = ({ id }: Person, streams: readonly StreamStory[]): string[] => [
  ...new Set(
    streams
      .filter(({ carried }) => carried.some(({ participantId }) => participantId === id))
      .map(({ label }) => label),
  ),
];
