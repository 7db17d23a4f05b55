/** Failover must not need Route 53's API (DESIGN.md 4.1). */
import type { SteeringDrill } from '../steering-drill.ts';
import { loseSlots } from './lose-slots.ts';

export const route53Frozen: SteeringDrill = {
  name: 'route53-frozen',
  what: "Route 53's API refuses everything while a recorder dies and comes back",
  async play(stage) {
    const { route53 } = stage.cloud;
    route53.frozen = true;
    try {
      const outcome = await loseSlots(stage, [stage.slot('use1-1')]);
      const nobodyAsked = route53.refused === 0 ? ['nobody asked the API: the drill shows nothing'] : [];
      return {
        ...outcome,
        failures: [...outcome.failures, ...nobodyAsked],
        figures: { ...outcome.figures, 'API requests refused': route53.refused },
      };
    } finally {
      route53.frozen = false;
    }
  },
};
