/** Rules of replication for tests. */
import { type ReplicationRule, replicationRuleSchema } from '../../core/replication-rules.ts';

/** On completion, of everything; what is given replaces that. */
export const ruleTo = (to: string, given: object = {}): ReplicationRule =>
  replicationRuleSchema.parse({ to, mode: 'onCompletion', ...given });

/** Open from 22:00 to 06:00 of UTC. */
export const NIGHTLY = { mode: 'window', window: { timeZone: 'UTC', from: '22:00', to: '06:00' } } as const;
