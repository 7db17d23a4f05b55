/** Who makes a request, by the kind of sign-in that the deployment file names. */
import type { ApiAuth } from '../../core/api-auth.ts';
import type { Authenticate } from './api.ts';
import { iamAuthenticator } from './iam-callers.ts';
import type { IssuerKeys } from './issuer-keys.ts';
import { oidcAuthenticator } from './oidc-callers.ts';

/** @param keysOf the keys of an issuer; asked for only with OIDC */
export function createAuthenticator(
  { auth, callers }: ApiAuth,
  keysOf: (issuer: string) => IssuerKeys,
): Authenticate {
  return auth === 'iam' ? iamAuthenticator(callers) : oidcAuthenticator(auth.oidc, keysOf(auth.oidc.issuer));
}
