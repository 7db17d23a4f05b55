/** What a client asks, read from the query string into a query. */
import { z } from 'zod';
import { decodeCursor, InvalidCursorError } from './cursor.ts';
import type { TimeQuery, TimeRange } from './search.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 200;
/** A day costs one read per shard even when it is empty. */
const MAX_DAYS = 92;

/** A query parameter is unknown, malformed or out of range; the message names it, the value and the remedy. */
export class InvalidQueryError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'InvalidQueryError';
  }
}

const time = z.iso
  .datetime({ offset: true, error: 'write a time by RFC 3339, such as 2026-11-23T10:00:00Z' })
  .transform((text) => new Date(text));

const limitRemedy = `write a whole number from 1 to ${MAX_LIMIT}`;
const parameters = z.strictObject({
  from: time.optional(),
  to: time.optional(),
  limit: z
    .string()
    .regex(/^\d{1,4}$/, limitRemedy)
    .transform(Number)
    .pipe(z.int(limitRemedy).min(1, limitRemedy).max(MAX_LIMIT, limitRemedy))
    .optional(),
  cursor: z.string().min(1, 'leave it out for the first page').optional(),
});

/**
 * The query of `GET /recordings`. Without `to`: until now; without `from`: the 24 hours before `to`.
 * @throws InvalidQueryError
 */
export function readTimeQuery(search: URLSearchParams, now: Date): TimeQuery {
  const result = parameters.safeParse(Object.fromEntries(search));
  if (!result.success)
    throw new InvalidQueryError(result.error.issues.map((i) => explain(i, search)).join('; '));
  const { from, to, limit = DEFAULT_LIMIT, cursor } = result.data;
  if (cursor !== undefined) {
    const page = decodeCursor(cursor);
    if ((from && +from !== +page.from) || (to && +to !== +page.to)) throw new InvalidCursorError();
    return { ...inRange(page), limit };
  }
  const end = to ?? now;
  return { ...inRange({ from: from ?? new Date(end.getTime() - DAY_MS), to: end }), limit };
}

/** A cursor is the client's own text, so that its times are held to the limits as well. */
function inRange<Range extends TimeRange>(range: Range): Range {
  const { from, to } = range;
  if (from >= to)
    throw new InvalidQueryError(`from (${from.toISOString()}) must be before to (${to.toISOString()})`);
  if (to.getTime() - from.getTime() > MAX_DAYS * DAY_MS)
    throw new InvalidQueryError(`from and to are more than ${MAX_DAYS} days apart: ask for a shorter time`);
  return range;
}

function explain(issue: z.core.$ZodIssue, search: URLSearchParams): string {
  if (issue.code === 'unrecognized_keys')
    return `${issue.keys.join(', ')}: no such parameter; there are from, to, limit, cursor`;
  const name = String(issue.path[0]);
  return `${name}=${search.get(name)}: ${issue.message}`;
}
