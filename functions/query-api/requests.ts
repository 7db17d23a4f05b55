/** What a client asks of `GET /recordings`, as a query and a page of it. */
import { z } from 'zod';
import { DIRECTIONS, RECORDING_STATUSES } from '../../core/manifest.ts';
import { nameWords } from '../../core/name-words.ts';
import { type Cursor, decodeCursor, InvalidCursorError } from './cursor.ts';
import { key, oneOf, text, time, wholeNumber } from './parameters.ts';
import { ProblemError } from './problems.ts';
import type { PageRequest, RecordingQuery } from './search.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 200;

/** What a query is made of, by its parameters. A page's own, `limit` and `cursor`, are not among it. */
const queryParameters = {
  from: time.optional().describe('Started at or after; the 24 hours before `to` when absent.'),
  to: time.optional().describe('Started before; now when absent.'),
  tenant: text.optional().describe("Exact name of one of the caller's tenants; all of them when absent."),
  number: key('number', 'write a telephone number, such as +12145550101')
    .optional()
    .describe('Telephone number of any party: E.164, or as the SRC sent it.'),
  user: key('user', 'write a user id or an address, such as alice@example.com')
    .optional()
    .describe('User id of BroadWorks, or address of a party; case does not matter.'),
  group: key('group', 'write a group id')
    .optional()
    .describe('Group id of BroadWorks; case does not matter.'),
  slot: text.optional().describe('The recorder.'),
  status: oneOf(RECORDING_STATUSES).optional(),
  direction: oneOf(DIRECTIONS).optional().describe('As the recorded user sees it.'),
  minDurationMs: wholeNumber(0, 2 ** 31)
    .optional()
    .describe('At least so long from start to end of the recording.'),
  text: text
    .transform((asked, context) => {
      const words = nameWords(asked);
      if (words.length === 0) context.addIssue({ code: 'custom', message: 'write letters or digits' });
      return words.join(' ');
    })
    .optional()
    .describe(
      'Beginnings of words in names of participants, without case and accents; all must be there. A word of less than three characters must be whole.',
    ),
};

const querySchema = z.strictObject(queryParameters);

export const searchParameters = z.strictObject({
  ...queryParameters,
  limit: wholeNumber(1, MAX_LIMIT).optional().describe(`Recordings on a page; ${DEFAULT_LIMIT} when absent.`),
  cursor: z
    .string()
    .min(1, 'leave it out for the first page')
    .optional()
    .describe('`nextCursor` of the page before. It carries its query.'),
});

type Asked = z.infer<typeof querySchema>;

export interface RecordingsRequest {
  query: RecordingQuery;
  page: PageRequest;
}

/**
 * The query, and which page of it. Without `to`: until now; without `from`: the 24 hours before `to`.
 * @throws ProblemError, InvalidCursorError
 */
export function recordingsRequest(
  { limit = DEFAULT_LIMIT, cursor, ...asked }: z.infer<typeof searchParameters>,
  now: Date,
): RecordingsRequest {
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
    throw new ProblemError(400, `from (${begin.toISOString()}) must be before to (${end.toISOString()})`);
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
