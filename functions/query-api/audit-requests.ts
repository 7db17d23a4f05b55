/** What a client asks of `GET /audit`: which tenant's, of which time, and a page of it. */
import { z } from 'zod';
import type { Caller } from '../../core/access.ts';
import { text, time } from './parameters.ts';
import { ProblemError } from './problems.ts';
import { type PageRequest, pageParameters, rangeRequest, type TimeRange } from './range-request.ts';

const queryParameters = {
  from: time.optional().describe('Done at or after; the 24 hours before `to` when absent.'),
  to: time.optional().describe('Done before; now when absent.'),
  tenant: text
    .optional()
    .describe("Exact name of one of the caller's tenants; needed by whoever has not just one."),
};
const querySchema = z.strictObject(queryParameters);

export const auditParameters = z.strictObject({ ...queryParameters, ...pageParameters('Entries') });

export interface AuditRequest {
  query: TimeRange & { tenant: string };
  page: PageRequest;
}

/**
 * The query, and which page of it. The tenant is in the cursor, so that pages are all of one.
 * @throws ProblemError, InvalidCursorError
 */
export function auditRequest(
  asked: z.infer<typeof auditParameters>,
  caller: Caller,
  now: Date,
): AuditRequest {
  const { query, page } = rangeRequest(querySchema, asked, now);
  const tenant = query.tenant ?? onlyTenant(caller);
  return { query: { ...query, tenant }, page };
}

function onlyTenant({ tenants }: Caller): string {
  const [tenant, ...others] = tenants === 'all' ? [] : tenants;
  if (tenant !== undefined && others.length === 0) return tenant;
  throw new ProblemError(400, 'tenant: write one; the audit is kept for each tenant by itself');
}
