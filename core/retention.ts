/** How long recordings are kept: the policy of the deployment file, applied to one recording. */
import { z } from 'zod';

const remedy = 'write a whole number of days from 1 to 36500';
const days = z.int(remedy).min(1, remedy).max(36_500, remedy);

/**
 * S3's modes of Object Lock. `governance`: who has the right `s3:BypassGovernanceRetention` can still delete, and nobody in
 * this system has it; `compliance`: nobody can, the account's owner included, until the date has come.
 */
export const OBJECT_LOCK_MODES = ['governance', 'compliance'] as const;
export type ObjectLockMode = (typeof OBJECT_LOCK_MODES)[number];

export const retentionSchema = z.strictObject({
  /** From the start of a recording, of every tenant that is not named in `tenants`. */
  days,
  /** Days by tenant, as recordings name it. */
  tenants: z.record(z.string().min(1), days, 'write each tenant with its days: { acme: 365 }').optional(),
  /** Locks every object until its recording's retention has passed. Only for buckets made with it (`docs/retention.md`). */
  objectLock: z
    .enum(OBJECT_LOCK_MODES, 'write governance or compliance, or leave the key out for no lock')
    .optional(),
});
export type Retention = z.infer<typeof retentionSchema>;

const DAY_MS = 86_400_000;

/** Days that a tenant's recordings are kept. */
export const retentionDays = ({ days, tenants }: Retention, tenant: string): number =>
  tenants && Object.hasOwn(tenants, tenant) ? (tenants[tenant] as number) : days;

/** When a recording's retention has passed: so many days after it started, to the millisecond. */
export const retainedUntil = (
  retention: Retention,
  { tenant, startedAt }: { tenant: string; startedAt: string },
): Date => new Date(Date.parse(startedAt) + retentionDays(retention, tenant) * DAY_MS);

/** Recordings of the tenant that started before this are past their retention. */
export const retentionCutoff = (retention: Retention, tenant: string, now: Date): Date =>
  new Date(now.getTime() - retentionDays(retention, tenant) * DAY_MS);

/** As S3 writes it. */
export interface ObjectLock {
  mode: 'GOVERNANCE' | 'COMPLIANCE';
  retainUntil: Date;
}

/** S3 takes no date that has passed, by its own clock. */
const LEAST_LOCK_MS = 60_000;

/**
 * The lock of a recording's objects; undefined where the deployment locks nothing, and for a recording that is past its
 * retention already: S3 would refuse the object.
 */
export function objectLockOf(
  retention: Retention,
  recording: { tenant: string; startedAt: string },
  now: Date,
): ObjectLock | undefined {
  const { objectLock } = retention;
  const retainUntil = retainedUntil(retention, recording);
  if (!objectLock || retainUntil.getTime() < now.getTime() + LEAST_LOCK_MS) return undefined;
  return { mode: S3_MODES[objectLock], retainUntil };
}

const S3_MODES = { governance: 'GOVERNANCE', compliance: 'COMPLIANCE' } as const;
