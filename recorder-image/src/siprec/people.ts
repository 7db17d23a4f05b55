/**
 * The people of a session, followed through documents that renew every id: BroadWorks does at each transfer, so that
 * somebody is known by address first.
 */
import type { Participant, Stay } from '../../../core/manifest.ts';
import { type Addresses, bareAor, commonTail, digitsOf, isLongSuffix, shareAddress } from './aor.ts';
import { hasLeft, type MetadataParticipant } from './model.ts';

export interface Person {
  /** The id under which the person first appeared, made unique in the session. */
  id: string;
  /** Every id since then. */
  ids: string[];
  aors: string[];
  names: string[];
  number?: string;
  /** In order; only the last can be without end. */
  stays: Stay[];
}

type Test = (person: Person, participant: MetadataParticipant) => boolean;

const isReachable = ({ aors }: { aors: readonly string[] }): boolean => aors.length > 0;

/** The same person, the best evidence first. One id with different addresses is two people. */
const TESTS: readonly Test[] = [
  (person, participant) =>
    person.ids.includes(participant.id) &&
    (!isReachable(person) || !isReachable(participant) || shareAddress(person, participant)),
  shareAddress,
  ({ number }, participant) => isLongSuffix(digitsOf(number), digitsOf(participant.number)),
];

/** Beyond the largest conference; each costs the manifest, and the index entry of at most 400 kB, some 300 bytes. */
export const MAX_PEOPLE = 500;

/**
 * Finds each participant among the people, or adds it to them, up to MAX_PEOPLE; two participants are never one person.
 * Somebody present comes before somebody who left.
 */
export function recognise(
  people: Person[],
  participants: readonly MetadataParticipant[],
): Map<MetadataParticipant, Person> {
  const found = new Map<MetadataParticipant, Person>();
  const taken = new Set<Person>();
  const byKey = Map.groupBy(
    people.flatMap((person) => keysOf(person.ids, person).map((key) => ({ key, person }))),
    ({ key }) => key,
  );
  for (const test of TESTS)
    for (const participant of participants) {
      if (found.has(participant)) continue;
      const matches = keysOf([participant.id], participant)
        .flatMap((key) => byKey.get(key) ?? [])
        .map(({ person }) => person)
        .filter((person) => !taken.has(person) && test(person, participant));
      const person = matches.find(isPresent) ?? matches[0];
      if (!person) continue;
      found.set(participant, person);
      taken.add(person);
    }
  for (const [participant, person] of found) learn(person, participant);
  for (const participant of participants)
    if (!found.has(participant) && people.length < MAX_PEOPLE) {
      const person = newPerson(people, participant);
      people.push(person);
      found.set(participant, person);
    }
  return found;
}

/** Whoever passes a test has one of these in common: the tests need not run on everybody. */
const keysOf = (ids: readonly string[], { aors, number }: Addresses): string[] => [
  ...ids.map((id) => `id ${id}`),
  ...aors.map((aor) => `aor ${bareAor(aor)}`),
  ...(number ? [`digits ${digitsOf(number)}`, `tail ${commonTail(digitsOf(number))}`] : []),
];

function learn(person: Person, { id, aors, names, number }: MetadataParticipant): void {
  person.ids = [...new Set([...person.ids, id])];
  person.aors = [...new Set([...person.aors, ...aors])];
  person.names = [...new Set([...person.names, ...names])];
  if (number) person.number ??= number;
}

function newPerson(people: readonly Person[], { id, aors, names, number }: MetadataParticipant): Person {
  const sameId = people.filter(({ ids }) => ids.includes(id)).length;
  return {
    id: sameId === 0 ? id : `${id}-${sameId + 1}`,
    ids: [id],
    aors: [...aors],
    names: [...names],
    ...(number && { number }),
    stays: [],
  };
}

export const isPresent = ({ stays }: Person): boolean => {
  const last = stays.at(-1);
  return last !== undefined && last.leftAt === undefined;
};

/** How somebody is named in a transfer. */
export const nameOf = ({ number, aors, id }: Person): string => number ?? aors[0] ?? id;

/**
 * Somebody whom the session names at a time: the stays that the document tells (it may restate earlier ones),
 * otherwise present from then on.
 */
export function stay(person: Person, participant: MetadataParticipant, at: string): void {
  const { joins, leaves } = participant;
  const told = [
    // Whoever leaves and comes back at one instant leaves first.
    ...leaves.map((time) => ({ time, isJoin: false })),
    ...joins.map((time) => ({ time, isJoin: true })),
  ].sort((one, other) => (one.time < other.time ? -1 : Number(one.time > other.time)));
  for (const { time, isJoin } of told)
    if (!isJoin) {
      // A time before the present stay belongs to an earlier one.
      if ((person.stays.at(-1)?.joinedAt ?? '') <= time) leave(person, time);
    } else if (person.stays.every(({ leftAt }) => leftAt !== undefined && leftAt <= time))
      person.stays.push({ joinedAt: time });
  const left = hasLeft(participant);
  if (person.stays.length === 0) person.stays.push({ joinedAt: leaves[0] ?? at });
  else if (!left && !isPresent(person)) person.stays.push({ joinedAt: at });
  if (left) leave(person, leaves.at(-1) as string);
}

/** Ends the stay that lasts, if one does; its beginning may be of a clock that is ahead of ours. */
export function leave({ stays }: Person, at: string): void {
  const last = stays.at(-1);
  if (last) last.leftAt ??= last.joinedAt < at ? at : last.joinedAt;
}

/** @param streamLabels of the streams that ever carried this person */
export const toParticipant = (person: Person, streamLabels: string[]): Participant => {
  const { id, aors, names, number, stays } = person;
  return {
    id,
    aors,
    names,
    ...(number && { number }),
    streamLabels,
    ...(stays[0] && { joinedAt: stays[0].joinedAt }),
    ...(!isPresent(person) && stays.length > 0 && { leftAt: stays.at(-1)?.leftAt }),
    stays,
  };
};
