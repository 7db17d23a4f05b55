/** A recorder that neither lives nor dies: its ports are open, and nothing answers. */
import type { SteeringDrill } from '../steering-drill.ts';
import { seconds } from './seconds.ts';

export const recorderHung: SteeringDrill = {
  name: 'recorder-hung',
  what: 'SIGSTOP of a recorder and its SIP server, until DNS has dropped them; then SIGCONT',
  async play({ slot, dns, say, pause, options }) {
    const { name, recorderPid, sipServerPid } = slot('use1-1');
    const pids = [recorderPid, sipServerPid];
    for (const pid of pids) process.kill(pid, 'SIGSTOP');
    const hungAt = Date.now();
    say(`${name} hangs`);
    try {
      const goneAt = await dns.untilGone(name);
      say('DNS names it no more');
      await pause(options.callMs);
      return { secondsToLeaveDns: seconds(hungAt, goneAt), mayCut: true, failures: [] };
    } finally {
      for (const pid of pids) process.kill(pid, 'SIGCONT');
      const wokeAt = Date.now();
      say('it goes on');
      const backAt = await dns.untilBack(name);
      say(`DNS names it again after ${seconds(wokeAt, backAt)} s`);
      await pause(options.callMs);
    }
  },
};
