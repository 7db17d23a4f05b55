/** A target that gets its copies within a window of time only: none before it opens, all once it has. */
import { replicationRuleSchema } from '../../../../core/replication-rules.ts';
import { SERVICE_NAME as INDEX } from '../../../../functions/index-recording/constants.ts';
import { SERVICE_NAME as REPLICATE } from '../../../../functions/replicate-recording/constants.ts';
import { REPLICATION_RULES } from '../../../../functions/shared/environment.ts';
import { SERVICE_NAME as SWEEP } from '../../../../functions/sweep-recordings/constants.ts';
import type { RecordingsDrill } from '../recordings-drill.ts';
import { HOME, OTHER, type RecordingsStage } from '../recordings-stage.ts';

const MINUTE_MS = 60_000;
/** From the change of the rule to the opening, at least: for some recordings, and some sweeps that must do nothing. */
const CLOSED_MS = 75_000;
const OPEN_MS = 60 * MINUTE_MS;

export const window: RecordingsDrill = {
  name: 'window',
  what: 'the target has a window: nothing is copied before it opens, by nobody, and everything once it is open',
  async play(stage, count) {
    // Windows begin at whole minutes.
    const opensAt = Math.ceil((Date.now() + CLOSED_MS) / MINUTE_MS) * MINUTE_MS;
    const window = { timeZone: 'UTC', from: clockAt(opensAt), to: clockAt(opensAt + OPEN_MS) };
    const before = await setRule(stage, { to: OTHER, mode: 'window', window });
    try {
      stage.say(`the window opens at ${window.from} UTC`);
      const stored = await stage.store(HOME, count);
      let sweeps = 0;
      await stage.until('the opening of the window', async () => {
        if (Date.now() >= opensAt) return true;
        await stage.sweep(HOME);
        sweeps += 1;
        return undefined;
      });
      const repairedAt = await stage.untilArrived();
      const early = await stage.verifiedBefore(stored, OTHER, opensAt);
      return {
        mendedAt: opensAt,
        repairedAt,
        failures: early > 0 ? [`${early} copies were made before the window opened`] : [],
        figures: { 'sweeps before the window opened': sweeps },
      };
    } finally {
      await setVariable(stage, before);
    }
  },
};

const clockAt = (ms: number): string => new Date(ms).toISOString().slice(11, 16);

/** Gives the home region's functions another rule. @returns what they had */
async function setRule(stage: RecordingsStage, rule: object): Promise<string> {
  const before = stage.functions(HOME).variable(REPLICATE, REPLICATION_RULES);
  await setVariable(stage, JSON.stringify([replicationRuleSchema.parse(rule)]));
  return before;
}

async function setVariable(stage: RecordingsStage, value: string): Promise<void> {
  for (const name of [INDEX, REPLICATE, SWEEP])
    await stage.functions(HOME).setVariables(name, { [REPLICATION_RULES]: value });
}
