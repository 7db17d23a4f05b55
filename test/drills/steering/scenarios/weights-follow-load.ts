/** One recorder is loaded from elsewhere; its share of new calls must fall. */
import { weightOf } from '../../../../core/srv-policy.ts';
import { until } from '../../../helpers/until.ts';
import { loadSlot } from '../caller.ts';
import type { SteeringDrill } from '../steering-drill.ts';
import { activeOn } from './slot-status.ts';

const CAPACITY = 64;
/** Leaves room for new calls. */
const LOAD = 54;
/** Of its share before: by its weight it should be a half, and chance has its part. */
const FALLEN = 0.7;
/** Calls that an SRC sends by an answer that it remembers. */
const TTL_MS = 30_000;
/** At two calls a second, enough to tell a quarter from a tenth. */
const MEASURED_MS = 60_000;

export const weightsFollowLoad: SteeringDrill = {
  name: 'weights-follow-load',
  what: 'one recorder gets calls from elsewhere: its weight and its share of new calls fall',
  callCapacity: CAPACITY,
  async play({ slot, dns, say, pause, shareOf }) {
    const loaded = slot('use1-1');
    const measuredFrom = Date.now();
    await pause(MEASURED_MS);
    const before = shareOf(loaded.name, measuredFrom);
    const load = loadSlot(loaded.ports.sip, LOAD);
    try {
      await until(async () => (await activeOn(loaded)) >= LOAD);
      say(`${loaded.name} has ${LOAD} calls from elsewhere; its share was ${percent(before)}`);
      await until(() => (dns.weightOf(loaded.name) ?? CAPACITY) <= weightOf(CAPACITY, LOAD));
      say(`its weight is ${dns.weightOf(loaded.name)}`);
      await pause(TTL_MS);
      const loadedFrom = Date.now();
      await pause(MEASURED_MS);
      const after = shareOf(loaded.name, loadedFrom);
      say(`its share is ${percent(after)}`);
      return {
        mayCut: false,
        failures:
          after < FALLEN * before ? [] : [`its share fell from ${percent(before)} to ${percent(after)} only`],
        figures: { 'share before': percent(before), 'share under load': percent(after) },
      };
    } finally {
      await load.stop();
    }
  },
};

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
