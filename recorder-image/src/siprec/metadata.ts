/**
 * Reads recording metadata of any dialect into the one model, by the table in `dialects.ts`.
 *
 * Metadata alone never costs a recording: nothing here throws. What cannot be read is left out with a warning, and
 * the caller keeps the raw XML.
 */
import type { BroadWorksData, Direction } from '../../../core/manifest.ts';
import { telephoneNumber } from './aor.ts';
import {
  BROADWORKS_ACD_FACTS,
  BROADWORKS_DIRECTIONS,
  BROADWORKS_EXTENSION,
  BROADWORKS_FACTS,
  BROADWORKS_REDIRECT_FACTS,
  DATA_MODE,
  DIALECTS,
  type Dialect,
  ELEMENTS,
  type ElementRow,
  KNOWN_ELEMENTS,
  type Place,
  type Places,
  RECORDING_ID,
} from './dialects.ts';
import type {
  MetadataParticipant,
  MetadataSession,
  MetadataStream,
  MetadataWarning,
  RecordingMetadata,
} from './model.ts';
import { readTime } from './time.ts';
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

/** Reads one metadata document. Never throws: bad metadata gives what could be read, with warnings. */
export function readMetadata(xml: Buffer): RecordingMetadata {
  const warnings: MetadataWarning[] = [];
  const document = readXml(xml, warnings);
  if (!document)
    return {
      dialect: 'unknown',
      dataMode: 'complete',
      groups: [],
      sessions: [],
      participants: [],
      streams: [],
      direction: 'unknown',
      warnings,
    };
  const { root } = document;
  warnUnknownElements(root, warnings);
  const entities = collectEntities(root, warnings);
  const dataMode = dataModeOf(root, warnings);
  if (dataMode === 'complete') warnUndefined(entities, warnings);
  const ofKind = (kind: ElementRow['kind']) => entities.filter((entity) => entity.kind === kind);
  const extension = descendant(root, BROADWORKS_EXTENSION);
  const recordingId = valuesAt(root, RECORDING_ID)[0];
  return {
    dialect: dialectOf(document, warnings),
    dataMode,
    ...(recordingId && { recordingId }),
    groups: ofKind('group').map(({ id }) => ({ id })),
    sessions: ofKind('session').map((entity) => sessionOf(entity, warnings)),
    participants: ofKind('participant').map((entity) => participantOf(entity, warnings)),
    streams: ofKind('stream').map((entity) => streamOf(entity, warnings)),
    ...(extension && { broadWorks: broadWorksOf(extension) }),
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
  facts: Record<string, Set<string>>;
}

function collectEntities(root: XmlElement, warnings: MetadataWarning[]): Entity[] {
  const byId = new Map<string, Entity>();
  for (const element of root.children)
    for (const { kind, defines, facts } of ELEMENTS.filter((row) => row.element === element.name)) {
      const read = readPlaces(element, facts);
      const sentId = read.id?.[0];
      if (sentId === undefined)
        warnings.push({ code: 'element-without-id', detail: `${element.name} has no id` });
      // RFC 7865 section 6.10: an id names one element; two kinds with one id are two things all the same.
      const id = sentId ?? `${kind}-${byId.size + 1}`;
      const known = byId.get(`${kind} ${id}`);
      if (defines && (known?.defined || isOtherKind(byId, kind, id)))
        warnings.push({ code: 'duplicate-id', detail: `${kind} ${id}` });
      const entity = known ?? { kind, id, defined: false, facts: {} };
      entity.defined ||= defines;
      for (const [fact, values] of Object.entries(read))
        entity.facts[fact] = addAll(entity.facts[fact] ?? new Set(), values);
      byId.set(`${kind} ${id}`, entity);
    }
  return [...byId.values()];
}

function addAll(set: Set<string>, values: readonly string[]): Set<string> {
  for (const value of values) set.add(value);
  return set;
}

const first = (values: Iterable<string> = []): string | undefined => [...values][0];

const isOtherKind = (byId: ReadonlyMap<string, Entity>, kind: string, id: string): boolean =>
  ELEMENTS.some((row) => row.kind !== kind && byId.get(`${row.kind} ${id}`)?.defined);

/** In a complete document, an association with something that it does not define. */
function warnUndefined(entities: readonly Entity[], warnings: MetadataWarning[]): void {
  for (const { kind, id, defined } of entities)
    if (!defined)
      warnings.push({ code: `unknown-${kind}-id`, detail: `${kind} ${id} is used but not defined` });
}

function sessionOf({ id, facts }: Entity, warnings: MetadataWarning[]): MetadataSession {
  const groupId = first(facts.groupId);
  const startedAt = readTimes(facts.startedAt, warnings)[0];
  const stoppedAt = readTimes(facts.stoppedAt, warnings)[0];
  return {
    id,
    ...(groupId && { groupId }),
    ...(startedAt && { startedAt }),
    ...(stoppedAt && { stoppedAt }),
  };
}

function participantOf({ id, facts }: Entity, warnings: MetadataWarning[]): MetadataParticipant {
  const aors = [...(facts.aors ?? [])];
  const number = aors.map(telephoneNumber).find((candidate) => candidate !== undefined);
  const joins = readTimes(facts.joinedAt, warnings);
  const leaves = readTimes(facts.leftAt, warnings);
  // RFC 7865 section 6.6: a participant may come back; it has left for good when every association has ended.
  const hasLeft = leaves.length > 0 && leaves.length >= joins.length;
  return {
    id,
    aors,
    names: [...(facts.names ?? [])],
    ...(number && { number }),
    sendsStreamIds: [...(facts.sends ?? [])],
    receivesStreamIds: [...(facts.receives ?? [])],
    ...(joins[0] && { joinedAt: joins[0] }),
    ...(hasLeft && { leftAt: leaves.at(-1) }),
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

function broadWorksOf(extension: XmlElement): BroadWorksData {
  const redirect = firstOfEach(extension, BROADWORKS_REDIRECT_FACTS);
  const acd = firstOfEach(extension, BROADWORKS_ACD_FACTS);
  return {
    ...firstOfEach(extension, BROADWORKS_FACTS),
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

function descendant(element: XmlElement, name: string): XmlElement | undefined {
  for (const child of element.children) {
    const found = child.name === name ? child : descendant(child, name);
    if (found) return found;
  }
  return undefined;
}

function warnUnknownElements(root: XmlElement, warnings: MetadataWarning[]): void {
  const names = new Set<string>();
  const visit = (element: XmlElement): void => {
    for (const child of element.children)
      if (KNOWN_ELEMENTS.has(child.name)) visit(child);
      else names.add(child.name.slice(0, 64));
  };
  visit(root);
  if (names.size > 0)
    warnings.push({
      code: 'unknown-elements',
      detail: [...names].sort().slice(0, MAX_NAMES_LISTED).join(', '),
    });
}
