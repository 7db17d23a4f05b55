import { objectLockOf, retainedUntil, retentionCutoff, retentionDays } from '../../core/retention.ts';

const POLICY = { days: 30, tenants: { acme: 365 }, objectLock: 'compliance' as const };
const startedAt = '2026-11-23T10:00:00.123Z';

it('is the days of the tenant, or of all', () => {
  expect(retentionDays(POLICY, 'acme')).toBe(365);
  expect(retentionDays(POLICY, 'other')).toBe(30);
  expect(retentionDays(POLICY, 'toString')).toBe(30); // a name that every object has
  expect(retentionDays({ days: 7 }, 'acme')).toBe(7);
});

it('counts from the start of the recording, to the millisecond', () => {
  expect(retainedUntil(POLICY, { tenant: 'other', startedAt }).toISOString()).toBe(
    '2026-12-23T10:00:00.123Z',
  );
  const until = retainedUntil(POLICY, { tenant: 'acme', startedAt });
  expect(retentionCutoff(POLICY, 'acme', until).toISOString()).toBe(startedAt);
});

it('locks objects until then, and none that are past it: S3 refuses a date in the past', () => {
  const recording = { tenant: 'other', startedAt };
  const until = retainedUntil(POLICY, recording);
  const before = (ms: number) => new Date(until.getTime() - ms);
  expect(objectLockOf(POLICY, recording, before(60_000))).toEqual({ mode: 'COMPLIANCE', retainUntil: until });
  expect(objectLockOf(POLICY, recording, before(59_999))).toBeUndefined();
  expect(objectLockOf({ days: 30 }, recording, before(60_000))).toBeUndefined();
  expect(objectLockOf({ days: 30, objectLock: 'governance' }, recording, before(60_000))).toMatchObject({
    mode: 'GOVERNANCE',
  });
});
