/**
 * What an authoritative server says about a name: Route 53's rules over one hosted zone. Pure.
 *
 * Routing rules: Route 53 developer guide, "Multivalue answer routing". Negative answers: RFC 2308.
 */
import type { Answer, NaptrData, RecordType, SrvData, TxtData } from 'dns-packet';

/** Route 53 answers with at most this many multivalue answer records. */
const MAX_MULTIVALUE_RECORDS = 8;

export interface SoaRdata {
  mname: string;
  rname: string;
  serial: number;
  refresh: number;
  retry: number;
  expire: number;
  minimum: number;
}

/** Value shape of each record type that a zone here may hold. */
export interface RdataByType {
  A: string;
  AAAA: string;
  NS: string;
  SRV: Required<SrvData>;
  NAPTR: NaptrData;
  TXT: TxtData;
  SOA: SoaRdata;
}

export type ZoneRecordType = keyof RdataByType;

interface RecordSetOf<T extends ZoneRecordType> {
  /** Absolute, lower case, without the closing dot. */
  name: string;
  type: T;
  ttlSeconds: number;
  values: RdataByType[T][];
  /** Set on a multivalue answer record; a simple record has none. */
  multivalue?: { setIdentifier: string; healthCheckId?: string };
}

export type RecordSet = { [T in ZoneRecordType]: RecordSetOf<T> }[ZoneRecordType];

export interface Zone {
  /** Apex of the zone: absolute, lower case, without the closing dot. */
  origin: string;
  recordSets: RecordSet[];
}

/** State of a health check by its id. */
export type Health = (healthCheckId: string) => 'healthy' | 'unhealthy';

export interface Question {
  name: string;
  type: RecordType;
}

export interface ZoneAnswer {
  rcode: 'NOERROR' | 'NXDOMAIN' | 'REFUSED';
  authoritative: boolean;
  answers: Answer[];
  authorities: Answer[];
  /** Addresses of SRV targets: the caller may drop them when they do not fit. */
  additionals: Answer[];
}

/**
 * Answers one question of class IN.
 * @param health asked once per record that has a health check
 * @param random uniform in [0, 1)
 */
export function answerQuestion(
  zone: Zone,
  question: Question,
  health: Health,
  random: () => number,
): ZoneAnswer {
  const name = canonicalName(question.name);
  if (!isWithin(name, zone.origin)) {
    return { rcode: 'REFUSED', authoritative: false, answers: [], authorities: [], additionals: [] };
  }
  const chosen = chooseRecordSets(zone, name, question.type, health, random);
  // Owner names repeat the question's spelling: clients use its letter case as a nonce (DNS 0x20).
  const answers = chosen.flatMap((recordSet) => toAnswers(recordSet, question.name));
  if (answers.length === 0) {
    const rcode = zone.recordSets.some((recordSet) => isWithin(recordSet.name, name))
      ? 'NOERROR'
      : 'NXDOMAIN';
    return { rcode, authoritative: true, answers, authorities: negativeAuthority(zone), additionals: [] };
  }
  const additionals = srvTargets(chosen).flatMap((target) =>
    (['A', 'AAAA'] as const).flatMap((type) =>
      chooseRecordSets(zone, canonicalName(target), type, health, random).flatMap((recordSet) =>
        toAnswers(recordSet, target),
      ),
    ),
  );
  return { rcode: 'NOERROR', authoritative: true, answers, authorities: [], additionals };
}

/** Lower case, without the closing dot: the form that names are compared in. */
export function canonicalName(name: string): string {
  return name.replace(/\.$/, '').toLowerCase();
}

/** Whether a canonical name is an ancestor's own or lies below it. */
function isWithin(name: string, ancestor: string): boolean {
  return name === ancestor || name.endsWith(`.${ancestor}`);
}

function chooseRecordSets(
  zone: Zone,
  name: string,
  type: RecordType,
  health: Health,
  random: () => number,
): RecordSet[] {
  const matching = zone.recordSets.filter((recordSet) => recordSet.name === name && recordSet.type === type);
  const multivalue = matching.filter((recordSet) => recordSet.multivalue);
  if (multivalue.length === 0) return matching;
  return chooseMultivalue(
    multivalue,
    ({ multivalue }) =>
      multivalue?.healthCheckId === undefined || health(multivalue.healthCheckId) === 'healthy',
    random,
  );
}

/** Which of the multivalue answer records of one name and type are the answer. */
export function chooseMultivalue<T>(
  records: readonly T[],
  isHealthy: (record: T) => boolean,
  random: () => number,
): T[] {
  const healthy = records.filter(isHealthy);
  // Fail open: when everything looks dead, the checks are the likelier fault.
  return shuffled(healthy.length > 0 ? healthy : records, random).slice(0, MAX_MULTIVALUE_RECORDS);
}

/** Fisher-Yates. */
function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const result = [...items];
  for (let last = result.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [result[last], result[other]] = [result[other] as T, result[last] as T];
  }
  return result;
}

function toAnswers(recordSet: RecordSet, owner: string): Answer[] {
  return recordSet.values.map(
    (data) => ({ name: owner, type: recordSet.type, ttl: recordSet.ttlSeconds, data }) as Answer,
  );
}

/** RFC 2308 section 3: the SOA's own TTL, or its minimum field where that is less. */
function negativeAuthority(zone: Zone): Answer[] {
  return zone.recordSets
    .filter((recordSet) => recordSet.type === 'SOA' && recordSet.name === zone.origin)
    .flatMap((recordSet) =>
      toAnswers(recordSet, zone.origin).map((answer) =>
        answer.type === 'SOA'
          ? { ...answer, ttl: Math.min(recordSet.ttlSeconds, answer.data.minimum ?? 0) }
          : answer,
      ),
    );
}

function srvTargets(recordSets: RecordSet[]): string[] {
  const targets = recordSets.flatMap((recordSet) =>
    recordSet.type === 'SRV' ? recordSet.values.map(({ target }) => target) : [],
  );
  return [...new Set(targets)];
}
