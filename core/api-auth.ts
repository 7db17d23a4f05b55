/** `api` of the deployment file: how callers of the query API sign in, and what they may. The API's function is given the same. */
import { z } from 'zod';
import { ROLES } from './access.ts';
import { domainName } from './domain-name.ts';

const rolesList = z
  .array(z.enum(ROLES, `write ${ROLES.join(', ')}`))
  .min(1, `name at least one role: ${ROLES.join(', ')}`);

/** A tenant may be called anything: BroadWorks names it. */
const tenantsRemedy = 'write all, or a list of the exact names of tenants';
const tenantScope = z.union(
  [z.literal('all'), z.array(z.string().min(1)).min(1, tenantsRemedy)],
  tenantsRemedy,
);

const PRINCIPAL = /^arn:aws[a-z-]*:iam::\d{12}:(root|(user|role)\/[\w+=,.@/-]+)$/;

const iamCaller = z.strictObject({
  principal: z
    .string()
    .regex(
      PRINCIPAL,
      'write the ARN of an IAM role or user, such as arn:aws:iam::111122223333:role/supervisors',
    ),
  tenants: tenantScope,
  roles: rolesList,
});
export type IamCaller = z.infer<typeof iamCaller>;

/** An identity provider on this machine is for the local cloud and tests. */
const ISSUER = /^(https:\/\/[^\s?#]+|http:\/\/(127\.0\.0\.1|localhost)(:\d+)?[^\s?#]*)$/;

const oidcSchema = z.strictObject({
  issuer: z
    .string()
    .regex(ISSUER, 'write the https address of the issuer, exactly as its tokens have it in `iss`'),
  /** In `aud` of the tokens that are meant for this API. */
  audience: z.string().min(1),
  /** Claim with the caller's tenants: a text, or a list of texts. A name, or names joined by dots. */
  tenantClaim: z.string().min(1),
  /** Value of it that stands for all tenants; none does when absent. */
  allTenants: z.string().min(1).optional(),
  /** Claim with the caller's roles: a list, or a text with spaces between. */
  roleClaim: z.string().min(1),
  /** What the claim's values mean; when absent, they are the names of roles themselves. */
  roles: z.record(z.string().min(1), rolesList).optional(),
});
export type OidcAuth = z.infer<typeof oidcSchema>;

const authRemedy = 'write iam, or oidc with issuer, audience, tenantClaim and roleClaim';

/** By hand, and no union, so that each mistake in `oidc` is told with its place. */
const authSchema = z.unknown().transform((value, context): 'iam' | { oidc: OidcAuth } => {
  const isKeyed = typeof value === 'object' && value !== null;
  const result = isKeyed
    ? z.strictObject({ oidc: oidcSchema }).safeParse(value)
    : z.literal('iam', authRemedy).safeParse(value);
  if (result.success) return result.data;
  for (const issue of result.error.issues)
    context.issues.push({ ...issue, input: value } as z.core.$ZodRawIssue);
  return z.NEVER;
});

export const apiSchema = z
  .strictObject({
    auth: authSchema.prefault('iam'),
    /** With `auth: iam`: who may what. When absent, IAM alone decides, and whoever may call the API may do all. */
    callers: z.array(iamCaller).min(1, 'name at least one caller, or leave the key out').optional(),
    /** The same name in every region, in `dns.zone`, with a certificate of its own; AWS's names alone when absent. */
    domain: domainName.optional(),
  })
  .refine(({ auth, callers }) => auth === 'iam' || !callers, {
    path: ['callers'],
    message: 'goes with `auth: iam` only: with oidc, tokens say who may what. Remove it',
  });
export type ApiAuth = z.infer<typeof apiSchema>;

/**
 * A principal as it can be compared. Somebody who has assumed a role is that role; the path of a role is left out, since
 * requests do not have it and names of roles are unique without it.
 */
export function normalisePrincipal(arn: string): string {
  const assumed = /^arn:(aws[a-z-]*):sts::(\d{12}):assumed-role\/([^/]+)\//.exec(arn);
  if (assumed) return `arn:${assumed[1]}:iam::${assumed[2]}:role/${assumed[3]}`;
  return arn.replace(/^(arn:aws[a-z-]*:iam::\d{12}:role\/)(?:.*\/)?([^/]+)$/, '$1$2');
}
