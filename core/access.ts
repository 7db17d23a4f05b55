/** Who asks, and what they may: whoever signs in has roles, and tenants whose recordings they see. */

/**
 * `search`: find recordings and read what the index says of them; `listen`: their audio, and exports with it; `hold`: put
 * and lift holds, and read the audit; `delete`: have recordings deleted; `operate`: the state of the deployment itself, which is no tenant's.
 */
export const ROLES = ['search', 'listen', 'hold', 'delete', 'operate'] as const;
export type Role = (typeof ROLES)[number];

/** The tenants whose recordings somebody sees, by their exact names. */
export type TenantScope = 'all' | readonly string[];

/** Somebody who has signed in. `id` is what an audit says of them: an ARN, or issuer and subject of a token. */
export interface Caller {
  id: string;
  tenants: TenantScope;
  roles: readonly Role[];
}

export const hasRole = ({ roles }: Pick<Caller, 'roles'>, role: Role): boolean => roles.includes(role);

export const seesTenant = ({ tenants }: Pick<Caller, 'tenants'>, tenant: string): boolean =>
  tenants === 'all' || tenants.includes(tenant);
