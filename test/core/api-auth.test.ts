import { hasRole, ROLES, seesTenant } from '../../core/access.ts';
import { apiSchema, normalisePrincipal } from '../../core/api-auth.ts';

describe('apiSchema', () => {
  it('takes IAM without a list for granted', () => {
    expect(apiSchema.parse({})).toEqual({ auth: 'iam' });
  });

  it('refuses a list of callers beside OIDC', () => {
    const oidc = { issuer: 'https://id.example.com', audience: 'a', tenantClaim: 't', roleClaim: 'r' };
    const callers = [{ principal: 'arn:aws:iam::111122223333:root', tenants: 'all', roles: ['search'] }];
    expect(apiSchema.safeParse({ auth: 'iam', callers }).success).toBe(true);
    expect(apiSchema.safeParse({ auth: { oidc }, callers }).error?.issues).toMatchObject([
      { path: ['callers'], message: expect.stringMatching(/goes with `auth: iam` only/) },
    ]);
  });

  it('reads back what it has read: the function is given it as JSON', () => {
    const oidc = {
      issuer: 'https://id.example.com',
      audience: 'siprec',
      tenantClaim: 'tenant',
      roleClaim: 'roles',
      allTenants: '*',
      roles: { boss: [...ROLES] },
    };
    const principal = 'arn:aws:iam::111122223333:root';
    for (const api of [
      { auth: { oidc } },
      { auth: 'iam', callers: [{ principal, tenants: 'all', roles: ['search'] }] },
    ])
      expect(apiSchema.parse(JSON.parse(JSON.stringify(apiSchema.parse(api))))).toEqual(api);
  });
});

describe('normalisePrincipal', () => {
  it.each([
    ['arn:aws:sts::111122223333:assumed-role/boss/alice@example.com', 'arn:aws:iam::111122223333:role/boss'],
    ['arn:aws:iam::111122223333:role/some/path/boss', 'arn:aws:iam::111122223333:role/boss'],
    ['arn:aws:iam::111122223333:role/boss', 'arn:aws:iam::111122223333:role/boss'],
    ['arn:aws-us-gov:sts::111122223333:assumed-role/a/b', 'arn:aws-us-gov:iam::111122223333:role/a'],
    ['arn:aws:iam::111122223333:user/team/alice', 'arn:aws:iam::111122223333:user/team/alice'],
    ['arn:aws:iam::111122223333:root', 'arn:aws:iam::111122223333:root'],
  ])('turns %s into %s', (arn, principal) => {
    expect(normalisePrincipal(arn)).toBe(principal);
  });
});

describe('a caller', () => {
  it('has the roles and sees the tenants that it was given, and no others', () => {
    const caller = { id: 'x', tenants: ['acme'], roles: ['search'] as const };
    expect(ROLES.filter((role) => hasRole(caller, role))).toEqual(['search']);
    expect(['acme', 'Acme', 'acm', ''].filter((tenant) => seesTenant(caller, tenant))).toEqual(['acme']);
    expect(seesTenant({ tenants: 'all' }, 'anything')).toBe(true);
    expect(seesTenant({ tenants: [] }, 'acme')).toBe(false);
  });
});
