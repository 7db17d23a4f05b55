/**
 * Reads recording metadata of any dialect into the one model, by the table in `dialects.ts`.
 *
 * Metadata alone never costs a recording: nothing here throws. What cannot be read is left out with a warning, and
 * the caller keeps the raw XML.
 */
import type { BroadWorksData, Direction } from '../../../core/manifest.ts';
import { bareAor, telephoneNumber } from './aor.ts';
import {
  BROADWORKS_ACD_FACTS,
  BROADWORKS_DIRECTIONS,
  BROADWORKS_EXTENSION,
  BROADWORKS_FACTS,
  BROADWORKS_REDIRECT_FACTS,
  CORRELATION_ELEMENTS,
  DATA_MODE,
  DIALECTS,
  type Dialect,
  ELEMENTS,
  type ElementRow,
  KNOWN_ELEMENTS,
  NETSAPIENS_EXTENSION,
  NETSAPIENS_FACTS,
  OPAQUE_ELEMENTS,
  PLACEHOLDER_USERS,
  type Place,
  type Places,
  RECORDING_ID,
} from './dialects.ts';
import {
  emptyMetadata,
  type MetadataParticipant,
  type MetadataSession,
  type MetadataStream,
  type RecordingMetadata,
} from './model.ts';
import { readTime } from './time.ts';
import type { MetadataWarning } from './warnings.ts';
import { readXml, type XmlDocument, type XmlElement } from './xml.ts';

/** RFC 7865 section 5.1 as registered (RFC 9806), and as the drafts and several SRCs write it. */
const METADATA_TYPES = ['application/rs-metadata+xml', 'application/rs-metadata'];

/** At most this many names in the warning about unknown elements. */
const MAX_NAMES_LISTED = 20;

/** The part that holds the metadata: known by its type, or by its disposition (RFC 7866 section 9.1). */
export const findMetadata = <Part extends { contentType: string; disposition?: { type: string } }>(
  parts: readonly Part[],
): Part | undefined =>
  parts.find(({ contentType }) => METADATA_TYPES.includes(contentType)) ??
  parts.find(({ disposition }) => disposition?.type === 'recording-session');

/**
 * Reads one metadata document. Never throws: bad metadata gives what could be read, with warnings.
 * @param charset parameter of the part's Content-Type, if it has one
 */
export function readMetadata(xml: Buffer, charset?: string): RecordingMetadata {
  const warnings: MetadataWarning[] = [];
  const document = readXml(xml, charset, warnings);
  if (!document) return emptyMetadata('unknown', warnings);
  const { root } = document;
  warnUnknownElements(root, warnings);
  const entities = collectEntities(root, warnings);
  const dataMode = dataModeOf(root, warnings);
  if (dataMode === 'complete') warnUndefined(entities, warnings);
  const ofKind = (kind: ElementRow['kind']) => entities.filter((entity) => entity.kind === kind);
  const extension = descendants(root, [BROADWORKS_EXTENSION])[0];
  const recordingId = valuesAt(root, RECORDING_ID)[0];
  return {
    dialect: dialectOf(document, warnings),
    dataMode,
    ...(recordingId && { recordingId }),
    groups: ofKind('group').map(({ id }) => ({ id })),
    sessions: ofKind('session').map((entity) => sessionOf(entity, warnings)),
    participants: ofKind('participant').map((entity) => participantOf(entity, warnings)),
    streams: ofKind('stream').map((entity) => streamOf(entity, warnings)),
    ...correlationOf(root),
    ...(extension && { broadWorks: broadWorksOf(extension, warnings) }),
    direction: extension ? directionOf(extension) : 'unknown',
    warnings,
  };
}

function dialectOf({ root, namespace }: XmlDocument, warnings: MetadataWarning[]): Dialect {
  const known = DIALECTS.find((row) => row.root === root.name && row.namespace === namespace);
  if (!known)
    warnings.push({ code: 'unknown-dialect', detail: `root ${root.name}, namespace ${namespace || 'none'}` });
  return known?.dialect ?? 'unknown';
}

function dataModeOf(root: XmlElement, warnings: MetadataWarning[]): RecordingMetadata['dataMode'] {
  const sent = valuesAt(root, DATA_MODE)[0]?.toLowerCase() ?? 'complete';
  if (sent === 'partial' || sent === 'complete') return sent;
  warnings.push({ code: 'unknown-data-mode', detail: `${sent}, taken as complete` });
  return 'complete';
}

/** All that the document says about one group, session, participant or stream. */
interface Entity {
  kind: ElementRow['kind'];
  id: string;
  /** False while only associations have named it. */
  defined: boolean;
  /** An association has said what it sends, be it nothing. */
  tellsStreams: boolean;
  facts: Facts;
}

type Facts = Record<string, Set<string>>;

function collectEntities(root: XmlElement, warnings: MetadataWarning[]): Entity[] {
  const entities = new Map<string, Entity>();
  for (const element of root.children)
    for (const { kind, defines, tellsStreams, facts } of ELEMENTS.filter(
      (row) => row.element === element.name,
    )) {
      const read = readPlaces(element, facts);
      const sentId = read.id?.[0];
      if (sentId === undefined)
        warnings.push({ code: 'element-without-id', detail: `${element.name} has no id` });
      const id = sentId ?? `${kind}-${entities.size + 1}`;
      const known = entities.get(`${kind} ${id}`);
      // RFC 7865 section 6.10: an id names one element; two kinds with one id are two things all the same.
      if (defines && (known?.defined || isOtherKind(entities, kind, id)))
        warnings.push({ code: 'duplicate-id', detail: `${kind} ${id}` });
      if (defines && known?.defined) continue;
      const entity = known ?? { kind, id, defined: false, tellsStreams: false, facts: {} };
      entity.defined ||= defines;
      entity.tellsStreams ||= tellsStreams === true && !hasEmptyReference(element);
      addFacts(entity.facts, read);
      entities.set(`${kind} ${id}`, entity);
    }
  return reassignAssociations(withoutPlaceholders([...entities.values()], warnings), warnings);
}

function addFacts(facts: Facts, read: Readonly<Record<string, Iterable<string>>>): void {
  for (const [fact, values] of Object.entries(read))
    facts[fact] = new Set([...(facts[fact] ?? []), ...values]);
}

const withoutPlaceholders = (entities: readonly Entity[], warnings: MetadataWarning[]): Entity[] =>
  entities.filter(({ id, facts: { aors = new Set<string>() } }) => {
    const isPlaceholder = aors.size > 0 && [...aors].every((aor) => PLACEHOLDER_USERS.includes(userOf(aor)));
    if (isPlaceholder) warnings.push({ code: 'placeholder-participant', detail: `participant ${id}` });
    return !isPlaceholder;
  });

const userOf = (aor: string): string => bareAor(aor).split('@')[0] ?? '';

/** A reference to a stream without id (Avaya SBCE): it is not silence. */
const hasEmptyReference = ({ children }: XmlElement): boolean =>
  children.some(({ text }) => text.trim() === '');

const isOtherKind = (entities: ReadonlyMap<string, Entity>, kind: string, id: string): boolean =>
  ELEMENTS.some((row) => row.kind !== kind && entities.get(`${row.kind} ${id}`)?.defined);

/** Associations with the id of a stream belong to the participant without one, if there is exactly one such. */
function reassignAssociations(entities: readonly Entity[], warnings: MetadataWarning[]): Entity[] {
  const streamIds = entities.filter(({ kind }) => kind === 'stream').map(({ id }) => id);
  const misdirected = entities.filter(({ id, defined }) => !defined && streamIds.includes(id));
  for (const { id, facts } of misdirected) {
    const [meant, ...others] = entities.filter(
      ({ kind, defined, tellsStreams }) => kind === 'participant' && defined && !tellsStreams,
    );
    const isClear = meant !== undefined && others.length === 0;
    const outcome = isClear ? `taken as that of participant ${meant.id}` : 'ignored';
    warnings.push({ code: 'association-to-stream', detail: `association of stream ${id}, ${outcome}` });
    if (!isClear) continue;
    const { id: _, ...told } = facts;
    addFacts(meant.facts, told);
    meant.tellsStreams = true;
  }
  return entities.filter((entity) => !misdirected.includes(entity));
}

const first = (values: Iterable<string> = []): string | undefined => [...values][0];

/** In a complete document, an association with a participant that it does not define. */
function warnUndefined(entities: readonly Entity[], warnings: MetadataWarning[]): void {
  for (const { id, defined } of entities)
    if (!defined)
      warnings.push({ code: 'unknown-participant-id', detail: `participant ${id} is used but not defined` });
}

function sessionOf({ id, facts }: Entity, warnings: MetadataWarning[]): MetadataSession {
  const groupId = first(facts.groupId);
  const startedAt = readTimes(facts.startedAt, warnings)[0];
  const stoppedAt = readTimes(facts.stoppedAt, warnings)[0];
  return {
    id,
    ...(groupId && { groupId }),
    sipSessionIds: [...(facts.sipSessionIds ?? [])],
    ...(startedAt && { startedAt }),
    ...(stoppedAt && { stoppedAt }),
  };
}

function participantOf(
  { id, facts, tellsStreams }: Entity,
  warnings: MetadataWarning[],
): MetadataParticipant {
  const aors = [...(facts.aors ?? [])];
  const number = aors.map(telephoneNumber).find((candidate) => candidate !== undefined);
  const streamIds = (told: Set<string> | undefined) => (told || tellsStreams ? [...(told ?? [])] : undefined);
  const sendsStreamIds = streamIds(facts.sends);
  const receivesStreamIds = streamIds(facts.receives);
  return {
    id,
    aors,
    names: [...(facts.names ?? [])],
    ...(number && { number }),
    ...(sendsStreamIds && { sendsStreamIds }),
    ...(receivesStreamIds && { receivesStreamIds }),
    joins: readTimes(facts.joins, warnings),
    leaves: readTimes(facts.leaves, warnings),
  };
}

function streamOf({ id, facts }: Entity, warnings: MetadataWarning[]): MetadataStream {
  const label = first(facts.label);
  const mode = first(facts.mode)?.toLowerCase();
  const isKnown = mode === 'mixed' || mode === 'separate';
  if (mode && !isKnown) warnings.push({ code: 'unknown-stream-mode', detail: mode });
  return { id, ...(label && { label }), ...(isKnown && { mode }) };
}

/** In order of time; RFC 3339 in UTC sorts as text. */
function readTimes(texts: Iterable<string> = [], warnings: MetadataWarning[]): string[] {
  return [...texts]
    .flatMap((text) => {
      const time = readTime(text);
      if (!time) warnings.push({ code: 'unreadable-time', detail: text.slice(0, 64) });
      return time ?? [];
    })
    .sort();
}

/** Ids of the call that extensions of other vendors carry. */
function correlationOf(root: XmlElement): Pick<RecordingMetadata, 'correlationIds' | 'groupSequence'> {
  const netSapiens = descendants(root, [NETSAPIENS_EXTENSION])[0];
  const { groupId, groupSequence } = netSapiens ? firstOfEach(netSapiens, NETSAPIENS_FACTS) : {};
  const ids = descendants(root, CORRELATION_ELEMENTS)
    .map(({ text }) => correlationId(text))
    .filter((id) => id !== '');
  return {
    correlationIds: [...new Set(groupId ? [groupId, ...ids] : ids)],
    ...(groupSequence && /^\d{1,9}$/.test(groupSequence) && { groupSequence: Number(groupSequence) }),
  };
}

/**
 * One id in one form: without `;encoding=hex` and, for a UCID, without the protocol discriminator that Oracle leaves on
 * it (RFC 7433 section 3.1) and AudioCodes takes off.
 */
const correlationId = (text: string): string =>
  text
    .replace(/;.*$/s, '')
    .trim()
    .replace(/^00(?=fa08[\da-f]{16}$)/i, '');

function broadWorksOf(extension: XmlElement, warnings: MetadataWarning[]): BroadWorksData {
  const facts = firstOfEach(extension, BROADWORKS_FACTS);
  const redirect = firstOfEach(extension, BROADWORKS_REDIRECT_FACTS);
  const acd = firstOfEach(extension, BROADWORKS_ACD_FACTS);
  if (facts.recordingType !== undefined && facts.recordingType.toLowerCase() !== 'on')
    warnings.push({ code: 'recording-type-not-on', detail: facts.recordingType.slice(0, 64) });
  return {
    ...facts,
    ...(Object.keys(redirect).length > 0 && { redirect }),
    ...(Object.keys(acd).length > 0 && { acd }),
  };
}

const directionOf = (extension: XmlElement): Direction =>
  BROADWORKS_DIRECTIONS.find(({ element }) => elementsAt(extension, element).length > 0)?.direction ??
  'unknown';

/** All values of each fact; facts without any are left out. */
const readPlaces = (element: XmlElement, places: Places): Record<string, string[]> =>
  Object.fromEntries(
    Object.entries(places)
      .map(([fact, alternatives]) => [fact, valuesAt(element, alternatives)] as const)
      .filter(([, values]) => values.length > 0),
  );

const firstOfEach = <Table extends Places>(
  element: XmlElement,
  places: Table,
): Partial<Record<keyof Table, string>> =>
  Object.fromEntries(
    Object.entries(readPlaces(element, places)).map(([fact, values]) => [fact, values[0]]),
  ) as Partial<Record<keyof Table, string>>;

/** The values of the first place that has any; empty ones do not count. */
function valuesAt(element: XmlElement, places: readonly Place[]): string[] {
  for (const place of places) {
    const [path = '', attribute] = place.split('@');
    const values = elementsAt(element, path)
      .map(({ attributes, text }) => (attribute ? (attributes.get(attribute) ?? '') : text).trim())
      .filter((value) => value !== '');
    if (values.length > 0) return values;
  }
  return [];
}

const elementsAt = (element: XmlElement, path: string): XmlElement[] =>
  path
    .split('/')
    .filter((name) => name !== '')
    .reduce(
      (found, name) => found.flatMap(({ children }) => children.filter((child) => child.name === name)),
      [element],
    );

/** The elements of these names, wherever they stand, in the order of the document. */
const descendants = ({ children }: XmlElement, names: readonly string[]): XmlElement[] =>
  children.flatMap((child) => [...(names.includes(child.name) ? [child] : []), ...descendants(child, names)]);

function warnUnknownElements(root: XmlElement, warnings: MetadataWarning[]): void {
  const names = new Set<string>();
  const visit = (element: XmlElement): void => {
    for (const child of element.children)
      if (!KNOWN_ELEMENTS.has(child.name)) names.add(child.name.slice(0, 64));
      else if (!OPAQUE_ELEMENTS.includes(child.name)) visit(child);
  };
  visit(root);
  if (names.size > 0)
    warnings.push({
      code: 'unknown-elements',
      detail: [...names].sort().slice(0, MAX_NAMES_LISTED).join(', '),
    });
}
