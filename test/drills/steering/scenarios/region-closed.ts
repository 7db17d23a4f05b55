/** An operator closes a region, for as long as work on it takes. */
import { PutParameterCommand, SSMClient } from '@aws-sdk/client-ssm';
import { type RegionSwitch, regionSwitchName } from '../../../../core/fleet.ts';
import type { SteeringDrill } from '../steering-drill.ts';
import { seconds } from './seconds.ts';

const REGION = 'us-east-1';

export const regionClosed: SteeringDrill = {
  name: 'region-closed',
  what: 'an operator closes a region and opens it again, by its parameter alone',
  async play({ cloud, slotsOf, dns, say, pause, options }) {
    const { endpoint, credentials, deployment, route53 } = cloud;
    const ssm = new SSMClient({ region: REGION, endpoint, credentials });
    const set = (Value: RegionSwitch) =>
      ssm.send(new PutParameterCommand({ Name: regionSwitchName(deployment), Value, Overwrite: true }));
    const names = slotsOf(REGION).map(({ name }) => name);
    route53.frozen = true; // it must not be needed
    try {
      await set('closed');
      const closedAt = Date.now();
      say(`${REGION} is closed`);
      const goneAt = await dns.untilGone(...names);
      say('DNS names it no more');
      await pause(options.callMs);
      await set('open');
      const openedAt = Date.now();
      say('it is open');
      const backAt = await dns.untilBack(...names);
      await pause(options.callMs);
      return {
        mayCut: false,
        failures: [],
        figures: {
          'seconds from closing it until DNS named it no more': seconds(closedAt, goneAt),
          'seconds from opening it until DNS named it again': seconds(openedAt, backAt),
        },
      };
    } finally {
      route53.frozen = false;
      ssm.destroy();
    }
  },
};
