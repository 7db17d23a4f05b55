/** Queues are purged: of half of the recordings nobody hears, and of the other half nobody hears that they are to be copied. */
import { SERVICE_NAME as INDEX } from '../../../../functions/index-recording/constants.ts';
import { SERVICE_NAME as REPLICATE } from '../../../../functions/replicate-recording/constants.ts';
import type { RecordingsDrill } from '../recordings-drill.ts';
import { HOME } from '../recordings-stage.ts';
import { loseMessages } from './lose-messages.ts';

export const lostEvents: RecordingsDrill = {
  name: 'lost-events',
  what: 'both queues are purged: half of the recordings never reach the index, the other half no copy',
  async play(stage, count) {
    const half = Math.ceil(count / 2);
    const events = await loseMessages(stage, { name: INDEX, queue: 'manifestEvents', region: HOME }, half);
    const jobs = await loseMessages(
      stage,
      { name: REPLICATE, queue: 'copyJobs', region: HOME },
      count - half,
    );
    const mendedAt = Date.now();
    const repairedAt = await stage.untilArrived();
    return {
      mendedAt,
      repairedAt,
      failures: [],
      figures: { 'manifest events lost': events, 'copy jobs lost': jobs },
    };
  },
};
