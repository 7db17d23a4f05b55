/** Times in metadata: RFC 3339, and what SRCs send instead. */

const DATE_AND_TIME = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(\.\d{1,9})?\s*(Z|[+-]\d\d:?\d\d)?$/i;

/**
 * Reads a time; without a zone (Oracle) it is taken as UTC, and `+0000` (OpenSIPS) as `+00:00`.
 * @returns RFC 3339 in UTC with milliseconds; undefined if it is no time
 */
export function readTime(text: string): string | undefined {
  const [, date, time, fraction = '', zone = 'Z'] = DATE_AND_TIME.exec(text.trim()) ?? [];
  if (!date) return undefined;
  const offset = zone.toUpperCase().replace(/^([+-]\d\d):?(\d\d)$/, '$1:$2');
  const instant = new Date(`${date}T${time}${fraction}${offset}`);
  return Number.isNaN(instant.getTime()) ? undefined : instant.toISOString();
}
