/** The ways to steer that are compared. */
import { STEERING_TERMS, type SteeringTerms } from '../../core/srv-policy.ts';
import type { SimulatedSlot } from './fleet.ts';
import type { FullRule } from './slots.ts';

export interface Policy {
  name: string;
  what: string;
  /** A dead slot leaves DNS by its health check; else a person takes it out. */
  healthChecks: boolean;
  /** Weights follow load by core/srv-policy.ts; else they stay. */
  steering: boolean;
  /** When `/healthz` says 503 because the slot is full. */
  full: FullRule;
  /** Shown only in these scenarios, unless it is asked for by name. */
  onlyIn?: readonly string[];
  /** Of steering; those of production when absent. */
  terms?: SteeringTerms;
  initialWeight: (slot: SimulatedSlot) => number;
}

const plannedWeight = ({ plan }: SimulatedSlot): number => plan.srvRecords[0]?.weight ?? 1;

export const POLICIES: readonly Policy[] = [
  {
    name: 'static',
    what: "the vendor's guide: weights 40/30/30 and a backup; a dead server stays in the answer for an hour",
    healthChecks: false,
    steering: false,
    full: 0,
    initialWeight: ({ staticWeight }) => staticWeight,
  },
  {
    name: 'static-with-health',
    what: 'the same weights, with health checks',
    healthChecks: true,
    steering: false,
    full: 0,
    initialWeight: ({ staticWeight }) => staticWeight,
  },
  {
    name: 'ours',
    what: 'health checks, and weights that follow load',
    healthChecks: true,
    steering: true,
    full: 0,
    initialWeight: plannedWeight,
  },
  {
    name: 'ours-whole-call',
    what: 'as ours, but a call takes a whole call from the weight, and changes are of a fifth',
    healthChecks: true,
    steering: true,
    full: 0,
    onlyIn: ['slot-dies', 'slot-drains', 'nearly-full'],
    terms: { ...STEERING_TERMS, callShare: 1, minChange: 0.2 },
    initialWeight: plannedWeight,
  },
  {
    name: 'ours-full-until-95',
    what: 'as ours, but a slot that was full stays unhealthy until 5 % of it are free',
    healthChecks: true,
    steering: true,
    full: 0.05,
    onlyIn: ['nearly-full'],
    initialWeight: plannedWeight,
  },
  {
    name: 'ours-full-stays-in-dns',
    what: 'as ours, but a full slot stays healthy, and only refuses',
    healthChecks: true,
    steering: true,
    full: 'never',
    onlyIn: ['nearly-full'],
    initialWeight: plannedWeight,
  },
];
