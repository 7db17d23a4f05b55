/**
 * Callers who sign by SigV4. API Gateway has checked the signature, and IAM that they may call the API at all, before this
 * function sees a request; the deployment file may say more closely what each may.
 */
import { ROLES } from '../../core/access.ts';
import { type IamCaller, normalisePrincipal } from '../../core/api-auth.ts';
import type { Authenticate } from './api.ts';
import { ProblemError } from './problems.ts';

/** @param callers those who may call; without a list, whoever IAM lets in may do all */
export function iamAuthenticator(callers: readonly IamCaller[] | undefined): Authenticate {
  const known = callers && new Map(callers.map((caller) => [normalisePrincipal(caller.principal), caller]));
  return async ({ requestContext: { identity } }) => {
    const id = identity?.userArn;
    if (!id)
      throw new ProblemError(401, 'sign the request by AWS Signature Version 4, service execute-api', {
        'www-authenticate': 'AWS4-HMAC-SHA256',
      });
    if (!known) return { id, tenants: 'all', roles: ROLES };
    const caller = known.get(normalisePrincipal(id));
    if (!caller) throw new ProblemError(403, `${id} is not among api.callers of the deployment file`);
    return { id, tenants: caller.tenants, roles: caller.roles };
  };
}
