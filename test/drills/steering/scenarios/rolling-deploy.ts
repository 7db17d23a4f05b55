/** A new version: every recorder is drained and replaced, one after the other. */
import type { SteeringDrill } from '../steering-drill.ts';
import { seconds } from './seconds.ts';

export const rollingDeploy: SteeringDrill = {
  name: 'rolling-deploy',
  what: 'every recorder in turn is drained, stopped and started again',
  async play({ cloud, dns, say, pause, options }) {
    const tookSeconds: number[] = [];
    for (const slot of cloud.slots) {
      const startedAt = Date.now();
      await slot.restart();
      say(`${slot.name} is replaced`);
      await dns.untilBack(slot.name);
      tookSeconds.push(seconds(startedAt, Date.now()));
    }
    await pause(options.callMs);
    return {
      mayCut: false,
      failures: [],
      figures: { 'seconds for each recorder': tookSeconds.join(', ') },
    };
  },
};
