/** What a client asks of `GET /recordings`, as a query and a page of it. */
import { z } from 'zod';
import { DIRECTIONS, RECORDING_STATUSES } from '../../core/manifest.ts';
import { nameWords } from '../../core/name-words.ts';
import { key, oneOf, text, time, wholeNumber } from './parameters.ts';
import { type PageRequest, pageParameters, rangeRequest } from './range-request.ts';
import type { RecordingQuery } from './search.ts';

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

export const searchParameters = z.strictObject({ ...queryParameters, ...pageParameters('Recordings') });

export interface RecordingsRequest {
  query: RecordingQuery;
  page: PageRequest;
}

/**
 * The query, and which page of it. Without `to`: until now; without `from`: the 24 hours before `to`.
 * @throws ProblemError, InvalidCursorError
 */
export const recordingsRequest = (asked: z.infer<typeof searchParameters>, now: Date): RecordingsRequest =>
  rangeRequest(querySchema, asked, now);
