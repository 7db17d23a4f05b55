/** Callers with a token of the deployment's OpenID provider: a JWT, sent as bearer token (RFC 6750). */
import type { APIGatewayProxyEvent } from 'aws-lambda';
import { errors, type JWTPayload, jwtVerify } from 'jose';
import { ROLES, type Role, type TenantScope } from '../../core/access.ts';
import type { OidcAuth } from '../../core/api-auth.ts';
import type { Authenticate } from './api.ts';
import type { IssuerKeys } from './issuer-keys.ts';
import { ProblemError } from './problems.ts';

/** Signatures by private keys only: with `HS256`, whoever has the issuer's public key could make tokens of it. */
export const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
];

/** Between the issuer's clock and ours. */
const CLOCK_TOLERANCE_SECONDS = 30;

export function oidcAuthenticator(oidc: OidcAuth, keys: IssuerKeys): Authenticate {
  return async (event) => {
    const token = bearerToken(event);
    const { payload } = await jwtVerify(token, keys.find, {
      issuer: oidc.issuer,
      audience: oidc.audience,
      algorithms: ALGORITHMS,
      clockTolerance: CLOCK_TOLERANCE_SECONDS,
      requiredClaims: ['exp', 'sub'],
    }).catch((error: unknown) => {
      if (error instanceof errors.JOSEError) throw unauthorized(whyNot(error), 'invalid_token');
      throw error;
    });
    return {
      id: `${oidc.issuer}#${payload.sub}`,
      tenants: tenantsOf(payload, oidc),
      roles: rolesOf(payload, oidc),
    };
  };
}

function bearerToken({ headers }: APIGatewayProxyEvent): string {
  const header = Object.entries(headers ?? {}).find(([name]) => name.toLowerCase() === 'authorization')?.[1];
  const token = /^Bearer +(\S+) *$/i.exec(header ?? '')?.[1];
  if (!token) throw unauthorized('send a token of the OpenID provider as `Authorization: Bearer <token>`');
  return token;
}

/** RFC 6750 3: a request without a token is told no error. */
function unauthorized(detail: string, error?: 'invalid_token'): ProblemError {
  const challenge = ['Bearer realm="siprec-ha"', ...(error ? [`error="${error}"`] : [])].join(', ');
  return new ProblemError(401, detail, { 'www-authenticate': challenge });
}

/** In our own words, since the library's quote what the token says. */
function whyNot(error: InstanceType<typeof errors.JOSEError>): string {
  if (error instanceof errors.JWTExpired) return 'the token has expired: sign in again';
  if (error instanceof errors.JWTClaimValidationFailed)
    return `the token is not for this API, or not valid yet: its claim ${error.claim} does not fit`;
  if (error instanceof errors.JOSEAlgNotAllowed)
    return `the token is signed by another algorithm than ${ALGORITHMS.join(', ')}`;
  if (error instanceof errors.JWKSNoMatchingKey)
    return 'the token is signed by none of the keys of its issuer';
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'the signature of the token is wrong';
  return 'the token cannot be read';
}

function tenantsOf(payload: JWTPayload, { tenantClaim, allTenants }: OidcAuth): TenantScope {
  const claim = claimOf(payload, tenantClaim);
  const tenants = typeof claim === 'string' ? [claim] : texts(claim);
  return allTenants !== undefined && tenants.includes(allTenants) ? 'all' : tenants.filter(Boolean);
}

function rolesOf(payload: JWTPayload, { roleClaim, roles }: OidcAuth): Role[] {
  const claim = claimOf(payload, roleClaim);
  const values = typeof claim === 'string' ? claim.split(' ') : texts(claim);
  return ROLES.filter((role) =>
    values.some((value) =>
      roles ? Object.hasOwn(roles, value) && roles[value]?.includes(role) : value === role,
    ),
  );
}

/** A claim by its name, which may have dots itself (`https://example.com/roles`), or else by a path (`realm_access.roles`). */
function claimOf(payload: JWTPayload, name: string): unknown {
  if (Object.hasOwn(payload, name)) return payload[name];
  return name
    .split('.')
    .reduce<unknown>(
      (value, part) =>
        typeof value === 'object' && value !== null && Object.hasOwn(value, part)
          ? (value as Record<string, unknown>)[part]
          : undefined,
      payload,
    );
}

const texts = (claim: unknown): string[] =>
  Array.isArray(claim) ? claim.filter((value) => typeof value === 'string') : [];
