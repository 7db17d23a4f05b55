/** The network between a recorder and everybody else is gone, without a word. */
import { dropPackets, passPackets } from '../firewall.ts';
import type { SteeringDrill } from '../steering-drill.ts';
import { seconds } from './seconds.ts';

export const recorderUnreachable: SteeringDrill = {
  name: 'recorder-unreachable',
  what: 'packets to and from a recorder are dropped, until DNS has dropped it too',
  dropsPackets: true,
  async play({ slot, dns, say, pause, options }) {
    const { name, ports } = slot('use1-1');
    dropPackets([ports.sip, ports.health, ports.rtp]);
    const cutOffAt = Date.now();
    say(`${name} cannot be reached`);
    const goneAt = await dns.untilGone(name);
    say('DNS names it no more');
    await pause(options.callMs);
    passPackets();
    await dns.untilBack(name);
    say('it can be reached, and DNS names it again');
    await pause(options.callMs);
    return { secondsToLeaveDns: seconds(cutOffAt, goneAt), mayCut: true, failures: [] };
  },
};
