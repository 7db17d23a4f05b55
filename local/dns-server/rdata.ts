/**
 * Record values as Route 53 writes them ("10 100 5060 host.example.com.") into data for the wire.
 * Formats: Route 53 developer guide, "Supported DNS record types".
 */
import { isIPv4, isIPv6 } from 'node:net';
import { canonicalName, type RdataByType, type ZoneRecordType } from './zone.ts';

export class RdataError extends Error {
  readonly type: string;
  readonly value: string;

  constructor(type: string, value: string, why: string) {
    super(`${type} record value ${JSON.stringify(value)}: ${why}`);
    this.name = 'RdataError';
    this.type = type;
    this.value = value;
  }
}

const PARSERS: { [T in ZoneRecordType]: (fields: string[]) => RdataByType[T] } = {
  A: ([address]) => checked(address, isIPv4, 'an IPv4 address'),
  AAAA: ([address]) => checked(address, isIPv6, 'an IPv6 address'),
  NS: ([host]) => domainName(host),
  SRV: ([priority, weight, port, target]) => ({
    priority: integer(priority, 0xffff),
    weight: integer(weight, 0xffff),
    port: integer(port, 0xffff),
    target: domainName(target),
  }),
  NAPTR: ([order, preference, flags = '', services = '', regexp = '', replacement]) => ({
    order: integer(order, 0xffff),
    preference: integer(preference, 0xffff),
    flags,
    services,
    regexp,
    replacement: domainName(replacement),
  }),
  TXT: (strings) => strings,
  SOA: ([mname, rname, serial, refresh, retry, expire, minimum]) => ({
    mname: domainName(mname),
    rname: domainName(rname),
    serial: integer(serial, 0xffff_ffff),
    refresh: integer(refresh, 0xffff_ffff),
    retry: integer(retry, 0xffff_ffff),
    expire: integer(expire, 0xffff_ffff),
    minimum: integer(minimum, 0xffff_ffff),
  }),
};

const FIELD_COUNTS: Partial<Record<ZoneRecordType, number>> = {
  A: 1,
  AAAA: 1,
  NS: 1,
  SRV: 4,
  NAPTR: 6,
  SOA: 7,
};

export function isZoneRecordType(type: string): type is ZoneRecordType {
  return type in PARSERS;
}

/** @throws RdataError naming the value and what is wrong with it */
export function parseRdata<T extends ZoneRecordType>(type: T, value: string): RdataByType[T] {
  const fields = splitFields(value);
  const expected = FIELD_COUNTS[type];
  if (fields.length === 0 || (expected !== undefined && fields.length !== expected)) {
    throw new RdataError(type, value, `expected ${expected ?? 'at least 1'} fields, found ${fields.length}`);
  }
  try {
    return PARSERS[type](fields);
  } catch (error) {
    throw new RdataError(type, value, (error as Error).message);
  }
}

/** Names come from the API with characters outside a-z, 0-9, "-", "_" and "." as octal escapes. */
export function unescapeOctal(text: string): string {
  return text.replace(/\\([0-3][0-7]{2})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}

/** Splits at blanks; a quoted string is one field, without its quotes. */
function splitFields(value: string): string[] {
  return [...value.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g)].map(([, quoted, bare]) =>
    quoted === undefined ? (bare ?? '') : unescapeOctal(quoted).replace(/\\(.)/g, '$1'),
  );
}

function checked(value: string | undefined, isValid: (value: string) => boolean, what: string): string {
  if (value === undefined || !isValid(value)) throw new TypeError(`${value} is not ${what}`);
  return value;
}

function integer(value: string | undefined, max: number): number {
  const number = /^\d+$/.test(value ?? '') ? Number(value) : Number.NaN;
  if (!(number <= max)) throw new RangeError(`${value} is not a whole number up to ${max}`);
  return number;
}

function domainName(value: string | undefined): string {
  const name = checked(
    value,
    (text) => text === '.' || /^([^.\s]{1,63}\.)*[^.\s]{1,63}\.?$/.test(text),
    'a domain name',
  );
  return name === '.' ? name : canonicalName(name);
}
