/** A recorder is full; the SRC goes to the next target. */
import { until } from '../../../helpers/until.ts';
import { loadSlot } from '../caller.ts';
import type { SteeringDrill } from '../steering-drill.ts';
import { activeOn } from './slot-status.ts';

const CAPACITY = 10;

export const overload: SteeringDrill = {
  name: 'overload',
  what: 'a recorder is filled to its capacity by calls from elsewhere: new ones get 503 and go on',
  callCapacity: CAPACITY,
  async play({ slot, dns, say, pause, options }) {
    const full = slot('use1-1');
    const load = loadSlot(full.ports.sip, CAPACITY);
    try {
      await until(async () => (await activeOn(full)) === CAPACITY);
      say(`${full.name} is full`);
      await dns.untilGone(full.name);
      say('DNS names it no more');
      await pause(options.callMs);
    } finally {
      await load.stop();
    }
    say('it has room again');
    await dns.untilBack(full.name);
    await pause(options.callMs);
    return { mayCut: false, failures: [] };
  },
};
