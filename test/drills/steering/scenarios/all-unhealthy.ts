/** The health checks are wrong: nobody can reach the health ports, as after a mistake in a security group. */
import { until } from '../../../helpers/until.ts';
import { dropPackets, passPackets } from '../firewall.ts';
import type { SteeringDrill } from '../steering-drill.ts';

/** Between the first and the last slot that fails its health check, DNS names only the others. */
const AFTER_LAST_MS = 10_000;

export const allUnhealthy: SteeringDrill = {
  name: 'all-unhealthy',
  what: 'all health ports are cut off while the recorders are well: DNS fails open',
  dropsPackets: true,
  async play({ cloud, dns, say, pause, options }) {
    const names = cloud.slots.map(({ name }) => name);
    dropPackets(cloud.slots.map(({ ports }) => ports.health));
    await until(() => names.every((name) => cloud.health(name) === 'unhealthy'));
    say('no health check succeeds');
    await dns.untilBack(...names);
    await pause(AFTER_LAST_MS + options.callMs);
    const named = names.filter((name) => dns.weightOf(name) !== undefined);
    passPackets();
    await until(() => names.every((name) => cloud.health(name) === 'healthy'));
    say('health checks succeed again');
    await pause(options.callMs);
    return {
      mayCut: false,
      failures: named.length === names.length ? [] : [`DNS names ${named.length} slots of ${names.length}`],
    };
  },
};
