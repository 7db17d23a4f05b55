/** What a client asks, read from the query string into a query. */
import { z } from 'zod';
import { type EntryKind, entryKey } from '../../core/index-entries.ts';
import { DIRECTIONS, RECORDING_STATUSES } from '../../core/manifest.ts';
import { type Cursor, decodeCursor, InvalidCursorError } from './cursor.ts';
import type { PageRequest, RecordingQuery } from './search.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 200;
/** Longer than any name that the index has. */
const MAX_TEXT = 256;

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

const wholeNumber = (min: number, max: number) => {
  const remedy = `write a whole number from ${min} to ${max}`;
  return z
    .string()
    .regex(/^\d{1,10}$/, remedy)
    .transform(Number)
    .pipe(z.int(remedy).min(min, remedy).max(max, remedy));
};

const textRemedy = `write 1 to ${MAX_TEXT} characters`;
const text = z.string().min(1, textRemedy).max(MAX_TEXT, textRemedy);

const key = (kind: EntryKind, remedy: string) =>
  text.transform((asked, context) => {
    const made = entryKey(kind, asked);
    if (made === undefined) context.addIssue({ code: 'custom', message: remedy });
    return made ?? z.NEVER;
  });

const oneOf = <const Values extends readonly string[]>(values: Values) =>
  z.enum(values, { error: `write one of ${values.join(', ')}` });

/** What a query is made of, by its parameters. A page's own, `limit` and `cursor`, are not among it. */
const queryParameters = {
  from: time.optional(),
  to: time.optional(),
  tenant: text.optional(),
  number: key('number', 'write a telephone number, such as +12145550101').optional(),
  user: key('user', 'write a user id or an address, such as alice@example.com').optional(),
  group: key('group', 'write a group id').optional(),
  slot: text.optional(),
  status: oneOf(RECORDING_STATUSES).optional(),
  direction: oneOf(DIRECTIONS).optional(),
  minDurationMs: wholeNumber(0, 2 ** 31).optional(),
};

const querySchema = z.strictObject(queryParameters);
const requestSchema = z.strictObject({
  ...queryParameters,
  limit: wholeNumber(1, MAX_LIMIT).optional(),
  cursor: z.string().min(1, 'leave it out for the first page').optional(),
});
const NAMES = Object.keys(requestSchema.shape);

type Asked = z.infer<typeof querySchema>;

export interface RecordingsRequest {
  query: RecordingQuery;
  page: PageRequest;
}

/**
 * The query of `GET /recordings`, and which page of it. Without `to`: until now; without `from`: the 24 hours before `to`.
 * @throws InvalidQueryError, InvalidCursorError
 */
export function readRecordingsRequest(search: URLSearchParams, now: Date): RecordingsRequest {
  const { limit = DEFAULT_LIMIT, cursor, ...asked } = parse(requestSchema, search);
  return cursor === undefined
    ? { query: queryOf(asked, now), page: { limit } }
    : continued(decodeCursor(cursor), asked, limit);
}

/** A query as parameters, for its cursor; reading them again gives the same query. */
export function parametersOf(query: RecordingQuery): Record<string, string> {
  return Object.fromEntries(
    Object.entries(query)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [name, value instanceof Date ? value.toISOString() : String(value)]),
  );
}

function queryOf({ from, to, ...rest }: Asked, now: Date): RecordingQuery {
  const end = to ?? now;
  const begin = from ?? new Date(end.getTime() - DAY_MS);
  if (begin >= end)
    throw new InvalidQueryError(`from (${begin.toISOString()}) must be before to (${end.toISOString()})`);
  return { ...rest, from: begin, to: end };
}

/** A cursor is the client's own text: its parameters are held to all that holds for those of a request. */
function continued({ parameters, after }: Cursor, repeated: Asked, limit: number): RecordingsRequest {
  const result = querySchema.safeParse(parameters);
  if (!result.success || !result.data.from || !result.data.to) throw new InvalidCursorError();
  const query = queryOf(result.data, result.data.to);
  // Parameters may be repeated beside the cursor, and must be the same then.
  const own = parametersOf(query);
  const isOther = Object.entries(parametersOf(repeated as RecordingQuery)).some(
    ([name, value]) => own[name] !== value,
  );
  // A sort key is `<time>#<id>`: as text, it lies between the times.
  const isOutside = after < query.from.toISOString() || after >= query.to.toISOString();
  if (isOther || isOutside) throw new InvalidCursorError();
  return { query, page: { limit, after } };
}

function parse<Schema extends z.ZodType>(schema: Schema, search: URLSearchParams): z.infer<Schema> {
  const repeated = [...new Set(search.keys())].filter((name) => search.getAll(name).length > 1);
  if (repeated.length > 0) throw new InvalidQueryError(`${repeated.join(', ')}: write a parameter only once`);
  const result = schema.safeParse(Object.fromEntries(search));
  if (!result.success)
    throw new InvalidQueryError(result.error.issues.map((i) => explain(i, search)).join('; '));
  return result.data;
}

function explain(issue: z.core.$ZodIssue, search: URLSearchParams): string {
  if (issue.code === 'unrecognized_keys')
    return `${issue.keys.join(', ')}: no such parameter; there are ${NAMES.join(', ')}`;
  const name = String(issue.path[0]);
  return `${name}=${search.get(name)}: ${issue.message}`;
}
