/** What a run reports of each target (`core/replication-report.ts`). */
import type { ReplicationReport } from '../../core/replication-report.ts';
import { type ReplicationRule, windowOf } from '../../core/replication-rules.ts';
import type { CatchUp } from './catch-up.ts';
import type { SweepCursor } from './sweep-cursor.ts';

export function reportOf(
  from: string,
  rule: ReplicationRule,
  { figures }: SweepCursor,
  backfill: CatchUp | undefined,
  now: Date,
): ReplicationReport {
  const state = windowOf(rule, now);
  const found = figures[rule.to];
  return {
    from,
    to: rule.to,
    mode: rule.mode,
    at: now.toISOString(),
    ...(found && { figures: found }),
    ...(state && { window: windowReport(state) }),
    ...(backfill && {
      backfill: { since: backfill.since, day: backfill.day, requested: backfill.requested },
    }),
  };
}

const windowReport = (
  state: NonNullable<ReturnType<typeof windowOf>>,
): NonNullable<ReplicationReport['window']> =>
  state.isOpen
    ? { isOpen: true, ...(state.closesAt && { closesAt: state.closesAt.toISOString() }) }
    : { isOpen: false, opensAt: state.opensAt.toISOString() };
