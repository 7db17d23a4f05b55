/** The ways to steer that are compared. */
import type { SimulatedSlot } from './fleet.ts';

export interface Policy {
  name: string;
  what: string;
  /** A dead slot leaves DNS by its health check; else a person takes it out. */
  healthChecks: boolean;
  /** Weights follow load by core/srv-policy.ts; else they stay. */
  steering: boolean;
  initialWeight: (slot: SimulatedSlot) => number;
}

export const POLICIES: readonly Policy[] = [
  {
    name: 'static',
    what: "the vendor's guide: weights 40/30/30 and a backup; a dead server stays in the answer for an hour",
    healthChecks: false,
    steering: false,
    initialWeight: ({ staticWeight }) => staticWeight,
  },
  {
    name: 'static-with-health',
    what: 'the same weights, with health checks',
    healthChecks: true,
    steering: false,
    initialWeight: ({ staticWeight }) => staticWeight,
  },
  {
    name: 'ours',
    what: 'health checks, and weights that follow load',
    healthChecks: true,
    steering: true,
    initialWeight: ({ plan }) => plan.srvRecords[0]?.weight ?? 1,
  },
];
