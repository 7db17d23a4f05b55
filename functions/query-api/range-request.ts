/** What is asked of a stretch of time, page by page: the query, and the place in it that a cursor remembers. */
import { z } from 'zod';
import { type Cursor, decodeCursor, InvalidCursorError } from './cursor.ts';
import { wholeNumber } from './parameters.ts';
import { ProblemError } from './problems.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 200;

/** From `from` on and before `to`. */
export interface TimeRange {
  from: Date;
  to: Date;
}

/** At most `limit`, beginning behind the entry whose sort key is `after`. */
export interface PageRequest {
  limit: number;
  after?: string;
}

/** Parameters of a page, beside those of its query. */
export const pageParameters = (what: string) => ({
  limit: wholeNumber(1, MAX_LIMIT).optional().describe(`${what} on a page; ${DEFAULT_LIMIT} when absent.`),
  cursor: z
    .string()
    .min(1, 'leave it out for the first page')
    .optional()
    .describe('`nextCursor` of the page before. It carries its query.'),
});

interface Asked {
  from?: Date | undefined;
  to?: Date | undefined;
}
type Query<Given extends Asked> = Omit<Given, keyof Asked> & TimeRange;

/**
 * The query, and which page of it. Without `to`: until now; without `from`: the 24 hours before `to`.
 * @param schema strict, of the query's parameters, without those of the page
 * @throws ProblemError, InvalidCursorError
 */
export function rangeRequest<Given extends Asked>(
  schema: z.ZodType<Given>,
  {
    limit = DEFAULT_LIMIT,
    cursor,
    ...asked
  }: Given & { limit?: number | undefined; cursor?: string | undefined },
  now: Date,
): { query: Query<Given>; page: PageRequest } {
  const given = asked as unknown as Given;
  return cursor === undefined
    ? { query: queryOf(given, now), page: { limit } }
    : continued(schema, decodeCursor(cursor), given, limit);
}

/** A query as parameters, for its cursor; reading them again gives the same query. */
export function parametersOf(query: object): Record<string, string> {
  return Object.fromEntries(
    Object.entries(query)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [name, value instanceof Date ? value.toISOString() : String(value)]),
  );
}

function queryOf<Given extends Asked>({ from, to, ...rest }: Given, now: Date): Query<Given> {
  const end = to ?? now;
  const begin = from ?? new Date(end.getTime() - DAY_MS);
  if (begin >= end)
    throw new ProblemError(400, `from (${begin.toISOString()}) must be before to (${end.toISOString()})`);
  return { ...rest, from: begin, to: end };
}

/** A cursor is the client's own text: its parameters are held to all that holds for those of a request. */
function continued<Given extends Asked>(
  schema: z.ZodType<Given>,
  { parameters, after }: Cursor,
  repeated: Given,
  limit: number,
): { query: Query<Given>; page: PageRequest } {
  const result = schema.safeParse(parameters);
  if (!result.success || !result.data.from || !result.data.to) throw new InvalidCursorError();
  const query = queryOf(result.data, result.data.to);
  // Parameters may be repeated beside the cursor, and must be the same then.
  const own = parametersOf(query);
  const isOther = Object.entries(parametersOf(repeated)).some(([name, value]) => own[name] !== value);
  // A sort key is `<time>#<id>`: as text, it lies between the times.
  const isOutside = after < query.from.toISOString() || after >= query.to.toISOString();
  if (isOther || isOutside) throw new InvalidCursorError();
  return { query, page: { limit, after } };
}
